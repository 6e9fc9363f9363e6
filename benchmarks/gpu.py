"""Training on a GPU: TensorFlow's way (`ndmixer.xla`) beside the compiled steps on the CPU.

    python benchmarks/gpu.py --preset classifier cifar10-classifier-deep

Prints the name of the GPU that TensorFlow sees and, for each preset and batch size, the images a
second of both on this machine, and how far their weights are from one another after 64 steps
from the same ones on the same images, as a part of the way that they have come. Without a GPU
TensorFlow takes the CPU, and its name is the first line.
"""

import argparse
import time

import numpy as np
import tensorflow as tf
from peers.problem import initial_weights

from ndmixer import PRESETS, kernels, xla
from ndmixer.kernels import State, join

STEPS, IMAGES = 64, 8_192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", nargs="+", default=["classifier"], choices=PRESETS)
    parser.add_argument("--batch-size", type=int, nargs="+", default=[64, 1_024])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    arguments = parser.parse_args()
    devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
    print(tf.config.experimental.get_device_details(devices[0]) or devices[0])
    print("| preset | batch | GPU | CPU | difference |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in arguments.preset:
        for batch in arguments.batch_size:
            print(row(name, batch, arguments.seconds), flush=True)


def row(name: str, batch: int, seconds: float) -> str:
    """One line of the table."""
    spec = PRESETS[name].model
    random, start = np.random.default_rng(0), join(spec, initial_weights(spec))
    images = random.random((IMAGES, int(np.prod(spec.in_shape))), np.float32)
    labels = random.integers(0, spec.num_classes, IMAGES).astype(np.int32)
    order = random.integers(0, IMAGES, (STEPS, batch)).astype(np.int32)
    ends, speeds = [], []
    for program in (xla.Program(spec, batch), kernels.Program(spec, batch)):
        program.prepare()
        state = State(start.copy(), np.zeros_like(start), np.zeros_like(start))
        program.train(state, 0, np.full(STEPS, 1e-3), images, labels, order)
        ends.append(state.weights.copy())
        taken, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            program.train(state, STEPS, np.full(STEPS, 1e-3), images, labels, order)
            taken += STEPS
        speeds.append(taken * batch / (time.perf_counter() - begin))
    moved = np.linalg.norm(ends[1] - start)
    difference = np.linalg.norm(ends[0] - ends[1]) / moved
    speed = " | ".join(f"{value:,.0f}" for value in speeds)
    return f"| {name} | {batch:,} | {speed} | {difference:.1e} |"


if __name__ == "__main__":
    main()
