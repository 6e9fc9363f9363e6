"""Whether the cost of training grows as the work: images a second against depth, size and batch.

    python benchmarks/scaling.py

The preset `classifier` with one thing changed at a time, on random images. The sizes take turns,
so that what else the machine does meets all of them; each figure is the median of the turns.
Writes `results/scaling.json` and draws `results/scaling.svg`: GFLOP/s, which stay level where the
cost grows as the work.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median

import numpy as np

from ndmixer import PRESETS, ModelSpec, accounting
from ndmixer.kernels import Program, State

RESULTS = Path(__file__).parent / "results" / "scaling.json"
BASE = PRESETS["classifier"].model
BATCH = 64
SWEEPS: dict[str, dict[int, tuple[ModelSpec, int]]] = {
    "depth": {n: (BASE.model_copy(update={"depth": n}), BATCH) for n in (1, 2, 4, 8, 16, 32)},
    "size of both axes inside": {
        n: (BASE.model_copy(update={"repr_shape": (n, n), "out_shape": (1, n)}), BATCH)
        for n in (8, 12, 16, 24, 28, 32, 48, 64, 96, 128)
    },
    "batch size": {n: (BASE, n) for n in (1, 8, 16, 32, 64, 96, 128, 256, 512, 1_024)},
}


class Case:
    """One size, ready to take steps."""

    def __init__(self, spec: ModelSpec, batch: int) -> None:
        random, count = np.random.default_rng(0), accounting(spec).parameters
        self._random, self._batch, self._steps = random, batch, 1
        self._images = random.random((2_000, int(np.prod(spec.in_shape))), np.float32)
        self._labels = random.integers(0, 10, 2_000).astype(np.int32)
        self._program = Program(spec, batch)
        weights = random.normal(0, 0.05, count).astype(np.float32)
        self._state = State(weights, np.zeros_like(weights), np.zeros_like(weights))

    def images_per_s(self, seconds: float) -> float:
        """Trains for about so long, after a first call that finds out how many steps these are."""
        for _ in range(2):
            order = self._random.integers(0, 2_000, (self._steps, self._batch)).astype(np.int32)
            rates, start = np.full(self._steps, 1e-4), time.perf_counter()
            self._program.train(self._state, 0, rates, self._images, self._labels, order)
            taken = time.perf_counter() - start
            speed = self._steps * self._batch / taken
            self._steps = max(1, round(self._steps * seconds / taken))
        return speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    arguments = parser.parse_args()
    rows = []
    for sweep, sizes in SWEEPS.items():
        cases = {size: Case(*given) for size, given in sizes.items()}
        speeds: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(arguments.turns):
            for size, case in cases.items():
                speeds[size].append(case.images_per_s(arguments.seconds))
        for size, (spec, _) in sizes.items():
            speed, flops = median(speeds[size]), 3 * accounting(spec).flops
            row = {"sweep": sweep, "size": size, "images_per_s": round(speed)}
            rows.append({**row, "flops": flops, "gflops": round(speed * flops / 1e9, 1)})
            print(json.dumps(rows[-1]), flush=True)
    RESULTS.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=1) + "\n")
    plot(rows)


def plot(rows: list[dict]) -> None:
    """Three panels side by side: images a second above, GFLOP/s below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.5), layout="constrained")
    axes = figure.subplots(2, 3, sharex="col", sharey="row")
    for (above, below), sweep in zip(axes.T, SWEEPS, strict=True):
        own = [row for row in rows if row["sweep"] == sweep]
        x = [row["size"] for row in own]
        above.loglog(x, [row["images_per_s"] for row in own], "o-", color="#0072B2")
        below.semilogx(x, [row["gflops"] for row in own], "o-", color="#D55E00")
        below.set_xlabel(sweep)
        below.set_xticks(x, [f"{n:,}" for n in x], rotation=90, fontsize=8)
        below.set_xticks([], minor=True)
    axes[0, 0].set_ylabel("images a second")
    axes[1, 0].set_ylabel("GFLOP/s")
    axes[1, 0].set_ylim(0)
    figure.savefig(RESULTS.with_suffix(".svg"))


if __name__ == "__main__":
    main()
