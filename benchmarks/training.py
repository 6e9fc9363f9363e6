"""Training speed: this project's `train` beside Keras, PyTorch and JAX, and the arithmetic floor.

    python benchmarks/training.py --preset classifier --rounds 5
    python benchmarks/training.py --preset classifier --to-accuracy 0.97
    python benchmarks/training.py --preset all --rounds 3 --seconds 2

The contenders (`peers/`, one a file) train the same model on the same images in the same
order, and before they are timed it is asserted that after 64 steps from equal weights all have
the same losses. Then they take turns on the same machine and threads, each in a process of its
own, while the others wait. A ratio is the median over the rounds of `train`'s speed over the
peer's in the same round; two rounds before are a warm-up and not counted.

Results are merged into `results/training.json` by preset and contender, so that a part can be
measured by itself; `results/training.svg` draws them all, and the table is printed.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import numpy as np
from peers import CONTENDERS, OURS
from peers.problem import Problem, Weights, loss_and_accuracy
from peers.process import Worker
from peers.report import plot, read, store, table

from ndmixer import PRESETS, accounting

TOLERANCE = 1e-4  # of the losses, relative: rounding grows over 64 steps of Adam


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    presets = [*PRESETS, "all"]
    parser.add_argument("--preset", nargs="+", default=["classifier"], choices=presets)
    peers = [name for name in CONTENDERS if name != OURS]
    parser.add_argument("--peers", nargs="*", default=peers, choices=peers)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--chunk", type=int, default=32, help="steps at most of one call of a framework"
    )
    parser.add_argument(
        "--to-accuracy", type=float, help="measure the time to this test accuracy instead"
    )
    parser.add_argument("--cap", type=float, default=120.0, help="seconds of training at most")
    arguments = parser.parse_args()
    measured = time_to_accuracy if arguments.to_accuracy else speed
    for preset in PRESETS if "all" in arguments.preset else arguments.preset:
        for row in measured(preset, arguments):
            print(json.dumps(row), flush=True)
            store(row)
    plot()
    print(table(read()))


def speed(preset: str, arguments: argparse.Namespace) -> list[dict]:
    """All contenders in turn on one preset: a row for each."""
    given = preset, arguments.batch_size, arguments.chunk
    weights = initial_weights(*given)
    names = [OURS, *arguments.peers]
    speeds: dict[str, list[float]] = {name: [] for name in names}
    products = []
    with working(names, *given) as workers:
        starts = {name: worker.call("start", weights) for name, worker in workers.items()}
        losses = same_losses(preset, arguments.batch_size, starts)
        for worker in workers.values():
            worker.call("turn", 0)
        for turn in range(1 + arguments.rounds):
            for name, worker in workers.items():
                images_per_s = worker.call("turn", arguments.seconds)
                if turn:
                    speeds[name].append(images_per_s)
            products.append(max(worker.call("gflops", 0.3) for worker in workers.values()))
        peaks = {name: worker.call("peak_mb") for name, worker in workers.items()}
    gflops = median(products)
    floor = gflops * 1e9 / (3 * accounting(PRESETS[preset].model).flops)
    rows = []
    for name in names:
        ratios = [a / b for a, b in zip(speeds[OURS], speeds[name], strict=True)]
        rows.append(
            {
                "preset": preset,
                "contender": name,
                "batch_size": arguments.batch_size,
                "chunk": arguments.chunk,
                "rounds": arguments.rounds,
                "seconds": arguments.seconds,
                "images_per_s": round(median(speeds[name])),
                "train_images_per_s": round(median(speeds[OURS])),
                "ratio": round(median(ratios), 2),
                "ratios": [round(ratio, 2) for ratio in ratios],
                "first_step_s": round(starts[name]["first_step_s"], 2),
                "first_64_steps_s": round(starts[name]["first_64_steps_s"], 2),
                "peak_mb": round(peaks[name]),
                "matmul_gflops": round(gflops, 1),
                "part_of_floor": round(median(speeds[name]) / floor, 3),
                "losses": losses[name],
            }
        )
    return rows


def same_losses(preset: str, batch: int, starts: dict[str, dict]) -> dict[str, list[float]]:
    """Asserts that all have the same two losses after 64 steps, and returns them.

    The mean over the 64 steps, as each reports it itself; and that of 256 test images with the
    weights it ended with, by one NumPy function for all.
    """
    problem = Problem(preset, batch)
    x, labels = problem.data.x_test[:256], problem.data.y_test[:256]
    losses = {}
    for name, start in starts.items():
        after, _ = loss_and_accuracy(problem.spec, start["weights"], x, labels)
        losses[name] = [start["mean_loss"], after]
        np.testing.assert_allclose(losses[name], losses[OURS], rtol=TOLERANCE, err_msg=name)
    return losses


def time_to_accuracy(preset: str, arguments: argparse.Namespace) -> list[dict]:
    """Each contender once, in a fresh process; compilation counts, judging does not."""
    if PRESETS[preset].train.dataset != "mnist" or PRESETS[preset].model.task != "classifier":
        raise SystemExit(f"--to-accuracy is for the classifiers of MNIST. Received: {preset}")
    given = preset, arguments.batch_size, arguments.chunk
    weights = initial_weights(*given)
    rows = []
    for name in [OURS, *arguments.peers]:
        with working([name], *given) as workers:
            found = workers[name].call("to_accuracy", arguments.to_accuracy, arguments.cap, weights)
        row = {"preset": preset, "contender": name, "batch_size": arguments.batch_size}
        found = {key: round(value, 4) for key, value in found.items()}
        rows.append({**row, "target": arguments.to_accuracy, "cap": arguments.cap, **found})
    return rows


def initial_weights(preset: str, batch: int, chunk: int) -> Weights:
    with working([OURS], preset, batch, chunk) as workers:
        return workers[OURS].call("initial_weights")


@contextmanager
def working(names: list[str], preset: str, batch: int, chunk: int) -> Iterator[dict[str, Worker]]:
    """A process for each name, ready and idle; all end with the block."""
    workers = {name: Worker(name, preset, batch, chunk) for name in names}
    try:
        for worker in workers.values():
            worker.call("ready")
        yield workers
    finally:
        for worker in workers.values():
            worker.end()


if __name__ == "__main__":
    main()
