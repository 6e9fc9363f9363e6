"""Trains the eight MNIST presets as the original experiment did; the models that ship come from it.

    python benchmarks/presets.py                  all eight, seeds 0 1 2, 10 epochs, and the table
    python benchmarks/presets.py --table          only the table, from the results on disk
    python benchmarks/presets.py --ship           writes models/ anew, from the runs just trained
    python benchmarks/presets.py --way cosine     the learning rate falls from 0.01 to 0
    python benchmarks/presets.py --way fit --presets autoencoder classifier-tiny
                                                  the same by plain Keras `fit`

The trainings are ordinary runs in `build/presets`; each finished one is added to
`results/presets.jsonl`, so that an interrupted series goes on where it was. The tables go to
`results/presets.md`. Of the three seeds of a preset the one
with the median result ships: neither the best nor one that was picked.
"""

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from ndmixer import PRESETS, TrainSpec, accounting, build_model, load_dataset, runs
from ndmixer.jobs import train_run
from ndmixer.presets import Preset
from ndmixer.runs import Run

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "presets.jsonl"
EPOCHS = 10
SHIPPED_SEEDS = (0, 1, 2)
SHIPPED_SNAPSHOTS = (0, 100, 400, 938, 2_814, 9_380)  # about these steps; 938 are an epoch
SHIPPED_BURSTS = 300  # points of the training curve at most, evenly out of all
SCHEDULES = {"train": {}, "cosine": {"schedule": "cosine", "learning_rate": 0.01}}
DIGITS = 5  # of a number in the metrics that ship

MNIST = [n for n, p in PRESETS.items() if p.train.dataset == "mnist" and p.result is not None]


def train_one(name: str, seed: int, way: str) -> dict[str, object]:
    """One training of a preset as a run; its last evaluation and its first."""
    training = TrainSpec(epochs=EPOCHS, seed=seed, **SCHEDULES[way])
    run = runs.create(PRESETS[name].model, training, name=name)
    started = time.perf_counter()
    train_run(run)
    seconds = time.perf_counter() - started
    if run.status() != "finished":
        raise RuntimeError(f"{run.id} is {run.status()}: {run.error}")
    tests = [event for event in run.metrics() if "val_loss" in event]
    score = "val_accuracy" if "val_accuracy" in tests[0] else "val_rmse"
    values = [test[score] for test in tests]
    return _row(name, seed, way, values, seconds) | {"run": run.id}


def fit_one(name: str, seed: int, way: str) -> dict[str, object]:
    """The same by `compile` and `fit`, as the experiment did: another order of the images."""
    import keras

    keras.utils.set_random_seed(seed)
    data, spec = load_dataset("mnist"), PRESETS[name].model
    classifier = spec.task == "classifier"
    x, x_test = (a.reshape(-1, *spec.in_shape) for a in (data.x_train, data.x_test))
    y, y_test = (data.y_train, data.y_test) if classifier else (x, x_test)
    model = build_model(spec)
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True) if classifier else "mse",
        metrics=["accuracy"] if classifier else [keras.metrics.RootMeanSquaredError(name="rmse")],
    )
    started = time.perf_counter()
    history = model.fit(
        x, y, batch_size=64, epochs=EPOCHS, validation_data=(x_test, y_test), verbose=0
    )
    values = history.history["val_accuracy" if classifier else "val_rmse"]
    return _row(name, seed, way, values, time.perf_counter() - started)


def _row(name: str, seed: int, way: str, values: list[float], seconds: float) -> dict[str, object]:
    best = (max if PRESETS[name].model.task == "classifier" else min)(values)
    about = {"preset": name, "seed": seed, "way": way, "seconds": round(seconds, 1)}
    return {**about, "first": values[0], "last": values[-1], "best": best}


def table(rows: list[dict]) -> str:
    """Markdown: the medians over the seeds beside the experiment's last values, each way."""
    return f"""The eight MNIST presets, 10 epochs, batch 64; test accuracy, or RMSE of the
reconstructions. Made by `python benchmarks/presets.py`.

## As in the experiment: Adam with a learning rate of 0.001

{_lines(rows, "train")}

The experiment printed one training each, and the last epoch of a training at a constant rate is
partly chance. Over all the seeds that were trained, and by plain Keras `fit` of the same model:

{_spread(rows)}

## With a learning rate that falls from 0.01 to 0 along a cosine

`python benchmarks/presets.py --way cosine`

{_lines(rows, "cosine")}
"""


def _lines(rows: list[dict], way: str) -> str:
    lines = [
        "| preset | parameters | experiment, last epoch | here, last epoch (median) | each seed "
        "| here, first epoch (median) | difference | within or better |",
        "|---|---:|---:|---:|---|---:|---:|---|",
    ]
    found = ((name, _of(rows, name, way, SHIPPED_SEEDS)) for name in MNIST)
    return "\n".join(lines + [_line(name, PRESETS[name], own) for name, own in found if own])


def _spread(rows: list[dict]) -> str:
    lines = [
        "| preset | experiment | `train`: seeds, least, median, largest | `fit`: the same |",
        "|---|---:|---|---|",
    ]
    for name in MNIST:
        ways = [_of(rows, name, way) for way in ("train", "fit")]
        if max(map(len, ways)) > len(SHIPPED_SEEDS) or all(ways):
            shown = _format(PRESETS[name])
            cells = [
                f"{len(own)}: "
                + ", ".join(shown(pick([r["last"] for r in own])) for pick in (min, median, max))
                if own
                else ""
                for own in ways
            ]
            lines.append(f"| {name} | {shown(PRESETS[name].result)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(rows: list[dict], name: str, way: str, seeds: tuple[int, ...] | None = None) -> list[dict]:
    found = (row for row in rows if row["preset"] == name and row["way"] == way)
    return sorted((r for r in found if not seeds or r["seed"] in seeds), key=lambda r: r["seed"])


def _format(preset: Preset):
    if preset.model.task == "classifier":
        return lambda value: f"{100 * value:.2f} %"
    return lambda value: f"{value:.4f}"


def _line(name: str, preset: Preset, rows: list[dict]) -> str:
    here, first = median(row["last"] for row in rows), median(row["first"] for row in rows)
    shown = _format(preset)
    if preset.model.task == "classifier":
        difference = f"{100 * (here - preset.result):+.2f} points"
        good = here >= preset.result - 0.005
    else:
        difference = f"{100 * (here / preset.result - 1):+.1f} % RMSE"
        good = here <= 1.1 * preset.result
    each = ", ".join(shown(row["last"]) for row in rows)
    return (
        f"| {name} | {preset.parameters:,} | {shown(preset.result)} | {shown(here)} | {each} "
        f"| {shown(first)} | {difference} | {'yes' if good else 'no'} |"
    )


def ship(name: str, rows: list[dict]) -> None:
    """Writes one folder of models/: the run of the median seed, thinned out, and its card."""
    found = sorted(_of(rows, name, "train", SHIPPED_SEEDS), key=lambda row: row["last"])
    chosen = found[len(found) // 2]
    run, folder = runs.open_run(chosen["run"]), ROOT / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "snapshots").mkdir(parents=True)
    info = json.loads((run.folder / "spec.json").read_text())
    del info["creator"]  # a process of the machine it was trained on
    info["name"] = name
    (folder / "spec.json").write_text(json.dumps(info, indent=2) + "\n")
    events = [event for event in run.metrics() if event.get("phase") != "loading"]
    bursts = [event for event in events if event.get("phase") == "training"]
    left_out = {
        id(event)
        for i, event in enumerate(bursts)
        if i * SHIPPED_BURSTS % len(bursts) >= SHIPPED_BURSTS
    }
    lines = [json.dumps(_shortened(event)) for event in events if id(event) not in left_out]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    shutil.copy(run.weights_path(), folder / "weights.safetensors")
    there = run.snapshots()
    kept = {min(there, key=lambda step: abs(step - wish)) for wish in SHIPPED_SNAPSHOTS}
    for step in kept:
        shutil.copy(run.weights_path(step), folder / "snapshots")
    (folder / "README.md").write_text(_card(name, run, sorted(kept), chosen, found))


def _shortened(value: object) -> object:
    match value:
        case dict():
            return {key: _shortened(item) for key, item in value.items()}
        case list():
            return [_shortened(item) for item in value]
        case float():
            return float(f"{value:.{DIGITS}g}")
    return value


def _card(name: str, run: Run, steps: list[int], chosen: dict, found: list[dict]) -> str:
    preset, info = PRESETS[name], run.info
    shown, account = _format(preset), accounting(preset.model)
    measure = "accuracy" if preset.model.task == "classifier" else "RMSE of the reconstructions"
    each = ", ".join(f"{shown(row['last'])} (seed {row['seed']})" for row in found)
    versions = ", ".join(f"{library} {v}" for library, v in info["versions"].items())
    return f"""# {preset.title}

A {preset.model.task} of {account.parameters:,} parameters and {account.flops:,} FLOPs an image.

* **Result**: {shown(chosen["last"])} test {measure} over the 10,000 test images of MNIST.
* **Training**: all 60,000 training images, {EPOCHS} epochs, batch {info["train"].batch_size},
  Adam with a learning rate of {info["train"].learning_rate:g}, seed {chosen["seed"]}.
* **Choice**: the median of the seeds {", ".join(map(str, SHIPPED_SEEDS))}: {each}.
* **Made by** `python benchmarks/presets.py --ship`, with {versions}.
* **What is here**: specification, metrics (every test, and {SHIPPED_BURSTS} points of the training
  at most), last weights, and the weights after
  {", ".join(f"{step:,}" for step in steps)} steps. Without the state of the optimizer,
  so that it cannot be trained on.
* **Use**: for looking inside, and as a point of comparison. It has seen only MNIST's digits:
  white on black, centred, 28 × 28. Of anything else it still names some digit.
* **Architecture** from the experiment nd-mlp-mixer by sradc. MNIST is by Yann LeCun, Corinna
  Cortes and Christopher Burges, CC BY-SA 3.0.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", choices=MNIST, default=MNIST)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SHIPPED_SEEDS))
    parser.add_argument("--way", choices=[*SCHEDULES, "fit"], default="train")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--ship", action="store_true", help="write models/")
    arguments = parser.parse_args()
    os.environ["NDMIXER_RUNS"] = str(ROOT / "build" / "presets")
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    way, one = arguments.way, fit_one if arguments.way == "fit" else train_one
    done = {(row["preset"], row["seed"], row["way"]) for row in rows}
    for seed in [] if arguments.table or arguments.ship else arguments.seeds:
        for name in arguments.presets:
            if (name, seed, way) not in done:
                rows.append(one(name, seed, way))
                print(json.dumps(rows[-1]), flush=True)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    RESULTS.with_suffix(".md").write_text(table(rows))
    print(table(rows))
    for name in arguments.presets if arguments.ship else []:
        ship(name, rows)


if __name__ == "__main__":
    main()
