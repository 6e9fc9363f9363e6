"""How soon the explorer answers: class averages and distances of 10,000 test images.

    python benchmarks/explorer.py --preset classifier classifier-tiny --rounds 5
    python benchmarks/explorer.py --training      while a training fills the cores

Asked as a page asks: through the engine, at the last block. `first` is a model never seen
before, `again` the same question, `stage` and `metric` another stage and another metric of the
same model. Medians over the rounds in milliseconds. `load` is the number of processes that
wanted to run in the last minute, before and after: other work makes everything slower.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, jobs, runs
from ndmixer.accounting import last_block
from ndmixer.runs import Run

RESULTS = Path(__file__).parent / "results" / "explorer.json"


def made(spec: ModelSpec, seed: int) -> Run:
    """A run whose weights are noise: what they are does not matter to the time."""
    random = np.random.default_rng(seed)
    run = runs.create(spec, TrainSpec(seed=seed))
    shapes = accounting(spec).weights.items()
    weights = {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes}
    run.save_weights(weights, 0)
    run.end("stopped", step=0)
    return run


def milliseconds(run: Run, *question: object) -> float:
    """Until the answer is there."""
    start = time.perf_counter()
    answer = jobs.class_geometry(run, None, *question)
    while answer() is None:
        time.sleep(0.002)
    return 1_000 * (time.perf_counter() - start)


def measure(name: str, rounds: int) -> dict[str, object]:
    spec = PRESETS[name].model
    stage = last_block(spec)
    times: dict[str, list[float]] = {}
    for seed in range(rounds):
        run = made(spec, seed)
        for kind, question in {
            "first": (stage,),
            "again": (stage,),
            "stage": ("embed",),
            "metric": (stage, "test", 10_000, "mahalanobis"),
        }.items():
            times.setdefault(kind, []).append(milliseconds(run, *question))
    return {"preset": name} | {kind: round(median(values), 1) for kind, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", nargs="+", default=["classifier"], choices=list(PRESETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--training", action="store_true", help="While one goes on.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NDMIXER_RUNS"] = folder
        before = os.getloadavg()[0]
        jobs.start_engine()
        milliseconds(made(ModelSpec(depth=0), 99), "embed")  # loads TensorFlow and MNIST
        if arguments.training:
            trained = runs.open_run(
                jobs.submit(PRESETS["classifier"].model, TrainSpec(epochs=1_000))
            )
            while (trained.last_event() or {}).get("step", 0) < 1_000:
                time.sleep(0.1)
        rows = [measure(name, arguments.rounds) for name in arguments.preset]
        jobs.close_engine()
    found = {
        "cores": os.cpu_count(),
        "rounds": arguments.rounds,
        "load": [round(before, 1), round(os.getloadavg()[0], 1)],
        "answers": rows,
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["training" if arguments.training else "alone"] = found
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
