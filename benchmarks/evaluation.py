"""How much longer an epoch takes for the evaluation on the whole test set at its end.

    python benchmarks/evaluation.py --preset classifier classifier-large

Trains some epochs with `ndmixer.train` and prints for each preset the seconds of the steps and
of the evaluation, medians of the epochs after the first, and the evaluation as a part of the
steps. By arithmetic alone it is 10,000 forward passes to 60,000 steps of three: 5.6 %.
"""

import argparse
from collections import Counter
from statistics import median

from ndmixer import PRESETS, load_dataset, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    presets = [name for name, preset in PRESETS.items() if preset.train.dataset == "mnist"]
    parser.add_argument("--preset", nargs="+", default=["classifier"], choices=presets)
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    data = load_dataset("mnist")
    print("| preset | steps, s | evaluation, s | of the steps |\n| --- | ---: | ---: | ---: |")
    for name in arguments.preset:
        seconds: Counter[tuple[int, str]] = Counter()
        before = 0.0

        def count(event: dict, seconds: Counter = seconds) -> None:
            nonlocal before
            seconds[event["epoch"], event["phase"]] += event["elapsed"] - before
            before = event["elapsed"]

        preset = PRESETS[name]
        wanted = preset.train.model_copy(update={"epochs": arguments.epochs})
        train(preset.model, wanted, data, on_event=count)
        later = range(2, arguments.epochs + 1)
        steps = median(seconds[epoch, "training"] for epoch in later)
        evaluation = median(seconds[epoch, "evaluating"] for epoch in later)
        parts = median(seconds[epoch, "evaluating"] / seconds[epoch, "training"] for epoch in later)
        print(f"| {name} | {steps:.3f} | {evaluation:.3f} | {parts:.1%} |", flush=True)


if __name__ == "__main__":
    main()
