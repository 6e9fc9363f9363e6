"""Training speed: this project's `train` beside plain Keras, and the arithmetic floor.

    python benchmarks/training.py --preset classifier --rounds 5

The contenders take turns on the same machine and threads; the medians are over the rounds,
the first of which is a warm-up and not counted. Both Keras contenders are trained by
`compile` and `fit` with Keras's own Adam: `KerasFit` is the same model written in the
obvious way with stock layers (`EinsumDense`, `Add`), `KerasFitOurLayers` is
`build_model(spec)`, the Keras model of this package.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from ndmixer import PRESETS, ModelSpec, ScalarGate, TrainSpec, accounting, build_model
from ndmixer.datasets import Dataset, load_dataset
from ndmixer.training import Trainer

RESULTS = Path(__file__).parent / "results" / "training.json"


class Ours:
    """Bursts of the compiled training, without its start."""

    def __init__(self, spec: ModelSpec, data: Dataset, batch: int) -> None:
        self.trainer = Trainer(spec, TrainSpec(batch_size=batch, epochs=10_000), data)
        self._until(self.trainer.step + 64)

    def _until(self, step: int) -> None:
        self.trainer.run(lambda event: None, lambda: self.trainer.step >= step)

    def images_per_s(self, seconds: float) -> float:
        """Trains for about so long and returns images a second."""
        rates, start = [], time.perf_counter()
        self.trainer.run(
            lambda event: rates.append((event["phase"], event["images_per_s"])),
            lambda: time.perf_counter() - start > seconds,
        )
        return median(rate for phase, rate in rates if phase == "training")


class KerasFit:
    """`compile` and `fit` of the model in stock Keras layers."""

    def __init__(self, spec: ModelSpec, data: Dataset, batch: int) -> None:
        keras.utils.set_random_seed(0)
        self.model = self.build(spec)
        assert self.model.count_params() == accounting(spec).parameters
        classifier = spec.task == "classifier"
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(
            optimizer="adam",
            loss=loss if classifier else "mse",
            metrics=["accuracy"] if classifier else [keras.metrics.RootMeanSquaredError()],
        )
        self.x = data.x_train.reshape(-1, *spec.in_shape)
        self.y = data.y_train if classifier else self.x
        self.batch = batch
        self.speed = 1_000.0
        self._fit(10 * batch)
        self._fit(10 * batch)

    def build(self, spec: ModelSpec) -> keras.Model:
        """One `EinsumDense` for each kernel of the accounting."""
        inputs = h = keras.Input(spec.in_shape)
        for stage in accounting(spec).stages[1:]:
            if stage.name == "logits":
                h = keras.layers.Flatten()(h)
            mixed = h
            for linear in stage.linears:
                left, _, after = linear.equation.partition("->")
                mixed = keras.layers.EinsumDense(
                    linear.equation,
                    output_shape=linear.shape,
                    activation=linear.activation,
                    bias_axes=left[-1],
                    kernel_initializer="he_uniform",
                )(mixed)
                assert left[-1] in after
            if stage.gate:
                mixed = ScalarGate()(mixed)
            h = keras.layers.Add()([h, mixed]) if stage.axes and spec.residual else mixed
        return keras.Model(inputs, h)

    def _fit(self, images: int) -> float:
        start = time.perf_counter()
        self.model.fit(self.x[:images], self.y[:images], batch_size=self.batch, verbose=0)
        return time.perf_counter() - start

    def images_per_s(self, seconds: float) -> float:
        """Fits about so long and returns images a second."""
        images = int(max(self.batch, min(len(self.x), self.speed * seconds)))
        self.speed = images / self._fit(images)
        return self.speed


class KerasFitOurLayers(KerasFit):
    """`compile` and `fit` of `build_model(spec)`."""

    def build(self, spec: ModelSpec) -> keras.Model:
        return build_model(spec)


def best_gflops(seconds: float = 0.5) -> float:
    """GFLOP/s of the best float32 matrix product, here of 2048 x 2048 matrices."""
    a = tf.random.normal((2048, 2048))
    tf.matmul(a, a).numpy()
    best, start = 0.0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        tf.matmul(a, a).numpy()
        best = max(best, 2 * 2048**3 / (time.perf_counter() - begin) / 1e9)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", nargs="+", default=["classifier"], choices=list(PRESETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    rows = [measure(name, arguments) for name in arguments.preset]
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


def measure(name: str, arguments: argparse.Namespace) -> dict[str, object]:
    """All contenders in turn on one preset; prints and returns the medians."""
    preset = PRESETS[name]
    spec = preset.model
    if preset.train.dataset == "mnist":
        data = load_dataset("mnist")
    else:
        random = np.random.default_rng(0)
        x = random.random((2_000, *spec.in_shape), np.float32)
        data = Dataset(name, x, np.arange(2_000) % 10, x[:100], np.arange(100) % 10)
    kinds = (Ours, KerasFit, KerasFitOurLayers)
    contenders = {kind.__name__: kind(spec, data, arguments.batch_size) for kind in kinds}
    speeds: dict[str, list[float]] = {kind: [] for kind in contenders}
    floors = []
    for turn in range(1 + arguments.rounds):
        for kind, contender in contenders.items():
            speed = contender.images_per_s(arguments.seconds)
            if turn:
                speeds[kind].append(speed)
        floors.append(best_gflops())
    gflops = median(floors)
    floor = gflops * 1e9 / (3 * accounting(spec).flops)
    ratios = {
        kind: [a / b for a, b in zip(speeds["Ours"], values, strict=True)]
        for kind, values in speeds.items()
        if kind != "Ours"
    }
    row = {
        "preset": name,
        "batch_size": arguments.batch_size,
        "images_per_s": {kind: round(median(values)) for kind, values in speeds.items()},
        "ratio_to": {kind: round(median(values), 2) for kind, values in ratios.items()},
        "ratios": {kind: [round(r, 2) for r in values] for kind, values in ratios.items()},
        "matmul_gflops": round(gflops, 1),
        "floor_images_per_s": round(floor),
        "part_of_floor": round(median(speeds["Ours"]) / floor, 3),
    }
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    main()
