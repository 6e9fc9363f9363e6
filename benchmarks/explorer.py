"""How soon the explorer answers: class averages and distances of 10,000 test images.

    python benchmarks/explorer.py --preset classifier classifier-tiny --rounds 5
    python benchmarks/explorer.py --training      while a training fills the cores
    python benchmarks/explorer.py --memory        of 60,000 images; some minutes

Asked as a page asks: through the engine, at the last block. `first` is a model never seen
before, `again` the same question, `stage` and `metric` another stage and another metric of the
same model. Medians over the rounds in milliseconds. `load` is the number of processes that
wanted to run in the last minute, before and after: other work makes everything slower.

`--memory` takes the statistics of the classes at every stage over the 60,000 training images, each
model in a process of its own. `growth` is by how many MB that process, with the
images in it, became larger at its peak; it needs Linux.
"""

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np

from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, jobs, runs
from ndmixer.accounting import last_block
from ndmixer.runs import Run

LARGE = PRESETS["classifier-large"].model
MEASURED = {
    "classifier-large": LARGE,
    "256 x 256 inside": LARGE.model_copy(update={"repr_shape": (256, 256)}),
}
RESULTS = Path(__file__).parent / "results" / "explorer.json"


def made(spec: ModelSpec, seed: int) -> Run:
    """A run whose weights are noise: what they are does not matter to the time."""
    run = runs.create(spec, TrainSpec(seed=seed))
    run.save_weights(noise(spec, seed), 0)
    run.end("stopped", step=0)
    return run


def noise(spec: ModelSpec, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = accounting(spec).weights.items()
    return {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes}


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


def memory(name: str, count: int) -> dict[str, object]:
    """In a fresh process: how much larger it becomes, in MB."""
    from ndmixer.datasets import load_dataset
    from ndmixer.inspection import class_pass

    spec, data = MEASURED[name], load_dataset("mnist")
    images, labels = data.x_train[:count], data.y_train[:count]
    class_pass(
        ModelSpec(depth=0), noise(ModelSpec(depth=0), 0), images[:10], labels[:10], 10, "embed"
    )
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far, that of loading
    before = kilobytes("VmRSS")
    class_pass(spec, noise(spec, 0), images, labels, data.num_classes, last_block(spec))
    growth = (kilobytes("VmHWM") - before) // 1_000
    return {"model": name, "images": len(images), "before": before // 1_000, "growth": growth}


def kilobytes(what: str) -> int:
    """What Linux says of the memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def measure_memory(count: int) -> list[dict[str, object]]:
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as fresh:
        return [fresh.submit(memory, name, count).result() for name in MEASURED]


def keep(kind: str, found: object) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[kind] = found
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", nargs="+", default=["classifier"], choices=list(PRESETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--training", action="store_true", help="While one goes on.")
    parser.add_argument("--memory", action="store_true", help="Not the time, but the memory.")
    parser.add_argument("--images", type=int, default=60_000, help="Of which the memory is.")
    arguments = parser.parse_args()
    if arguments.memory:
        keep("memory", measure_memory(arguments.images))
        return
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
    keep("training" if arguments.training else "alone", found)


if __name__ == "__main__":
    main()
