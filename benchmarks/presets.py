"""Trains the eight MNIST presets as the original experiment did and prints both results.

    python benchmarks/presets.py                  all eight, seeds 0 1 2, 10 epochs
    python benchmarks/presets.py --table          only the table, from the results on disk

Each finished training is added to `results/presets.jsonl`, so that an interrupted run goes
on where it was. The table goes to `results/presets.md`.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from ndmixer import PRESETS, TrainSpec, load_dataset, train
from ndmixer.presets import Preset

RESULTS = Path(__file__).parent / "results" / "presets.jsonl"
EPOCHS = 10


def run(name: str, seed: int) -> dict[str, object]:
    """One training of a preset; the last evaluation and the first."""
    events: list[dict] = []
    started = time.perf_counter()
    spec = TrainSpec(epochs=EPOCHS, seed=seed)
    train(PRESETS[name].model, spec, load_dataset("mnist"), on_event=events.append)
    seconds = time.perf_counter() - started
    tests = [event for event in events if "val_loss" in event]
    score = "val_accuracy" if "val_accuracy" in tests[0] else "val_rmse"
    return {
        "preset": name,
        "seed": seed,
        "first": tests[0][score],
        "last": tests[-1][score],
        "best": (max if score == "val_accuracy" else min)(test[score] for test in tests),
        "seconds": round(seconds, 1),
    }


def table(rows: list[dict]) -> str:
    """A Markdown table of the medians over the seeds beside the experiment's last values."""
    lines = [
        "| preset | parameters | experiment, last epoch | here, last epoch (median) | each seed "
        "| here, first epoch (median) | difference | within |",
        "|---|---:|---:|---:|---|---:|---:|---|",
    ]
    for name, preset in PRESETS.items():
        found = sorted((row for row in rows if row["preset"] == name), key=lambda r: r["seed"])
        if found:
            lines.append(_line(name, preset, found))
    return "\n".join(lines) + "\n"


def _line(name: str, preset: Preset, rows: list[dict]) -> str:
    classifier = preset.model.task == "classifier"
    here, first = median(row["last"] for row in rows), median(row["first"] for row in rows)
    shown = (lambda v: f"{100 * v:.2f} %") if classifier else (lambda v: f"{v:.4f}")
    if classifier:
        difference, good = (
            f"{100 * (here - preset.result):+.2f} points",
            (here >= preset.result - 0.005),
        )
    else:
        difference, good = (
            f"{100 * (here / preset.result - 1):+.1f} % RMSE",
            (here <= 1.1 * preset.result),
        )
    each = ", ".join(shown(row["last"]) for row in rows)
    return (
        f"| {name} | {preset.parameters:,} | {shown(preset.result)} | {shown(here)} | {each} "
        f"| {shown(first)} | {difference} | {'yes' if good else 'no'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {(row["preset"], row["seed"]) for row in rows}
    names = [name for name, preset in PRESETS.items() if preset.train.dataset == "mnist"]
    for seed in [] if arguments.table else arguments.seeds:
        for name in names:
            if (name, seed) not in done:
                rows.append(run(name, seed))
                print(json.dumps(rows[-1]), flush=True)
                with RESULTS.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    text = table(rows)
    RESULTS.with_suffix(".md").write_text(
        "The eight MNIST presets, 10 epochs, batch 64, Adam 0.001; test accuracy, or RMSE of the\n"
        f"reconstructions. Made by `python benchmarks/presets.py`.\n\n{text}"
    )
    print(text)


if __name__ == "__main__":
    main()
