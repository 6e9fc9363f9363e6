"""Writes `findings.md` and its pictures: the original experiment beside the models that ship.

    make findings

The words are in `findings.template.md`. Every number in them is a name in braces, computed here
from `models/` and from the trainings in `benchmarks/results/presets.jsonl`; only what the
experiment printed is typed, in `EXPERIMENT`. What the words say without a number is held by
`claim`: if it is no longer true, nothing is written.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ndmixer import PRESETS, accounting, load_dataset
from ndmixer.accounting import last_block
from ndmixer.comparing import agreement, history
from ndmixer.figures import LIGHT, class_average_maps, layer_curves, map_grid, matrix
from ndmixer.figures_depth import block_curves
from ndmixer.figures_runs import run_curves
from ndmixer.geometry import (
    ClassStatistics,
    confusion_matrix,
    distance_matrix,
    nearest_average,
    scatter_ratio,
)
from ndmixer.runs import Run, open_run, shipped_models

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

DOCS = Path(__file__).parent
TEMPLATE, DOCUMENT = DOCS / "findings.template.md", DOCS / "findings.md"
IMAGES = DOCS / "images" / "findings"
RESULTS = DOCS.parent / "benchmarks" / "results" / "presets.jsonl"
SHIPPED_SEEDS = (0, 1, 2)
SMALL, FIRST = "classifier-tiny-wide", "classifier"  # the two whose classes are looked at
SHOWN = 5  # test images
DIGITS = [str(digit) for digit in range(10)]
PAIRS = np.triu_indices(10, 1)


class Printed(NamedTuple):
    """What the experiment printed of one model.

    Attributes:
        parameters: In its summary.
        test: Accuracy or RMSE on the test images after each epoch.
        train: The same on the training images, during the last epoch.
    """

    parameters: int
    test: tuple[float, ...]
    train: float


EXPERIMENT = {
    "classifier": Printed(
        15_751,
        (0.9426, 0.9586, 0.9658, 0.9670, 0.9689, 0.9720, 0.9748, 0.9724, 0.9743, 0.9758),
        0.9839,
    ),
    "classifier-3d": Printed(
        14_196,
        (0.9210, 0.9273, 0.9479, 0.9517, 0.9529, 0.9579, 0.9630, 0.9626, 0.9624, 0.9649),
        0.9699,
    ),
    "classifier-tiny": Printed(
        766,
        (0.8064, 0.8683, 0.8937, 0.9035, 0.9105, 0.9127, 0.9168, 0.9169, 0.9225, 0.9191),
        0.9168,
    ),
    "classifier-large": Printed(
        71_251,
        (0.9608, 0.9642, 0.9756, 0.9715, 0.9777, 0.9791, 0.9787, 0.9825, 0.9795, 0.9779),
        0.9926,
    ),
    "classifier-tiny-wide": Printed(
        37_342,
        (0.8761, 0.9022, 0.9098, 0.9225, 0.9254, 0.9352, 0.9298, 0.9353, 0.9417, 0.9390),
        0.9374,
    ),
    "autoencoder": Printed(
        19_492,
        (0.1226, 0.0809, 0.0604, 0.0462, 0.0385, 0.0341, 0.0272, 0.0245, 0.0225, 0.0201),
        0.0218,
    ),
    "autoencoder-tiny-wide": Printed(
        52_324,
        (0.1672, 0.1546, 0.1483, 0.1459, 0.1439, 0.1416, 0.1403, 0.1389, 0.1387, 0.1376),
        0.1392,
    ),
    "autoencoder-small": Printed(
        3_892,
        (0.2146, 0.1569, 0.1355, 0.1168, 0.1090, 0.1026, 0.0977, 0.0945, 0.0923, 0.0907),
        0.0929,
    ),
}


def claim(words: str, true: bool) -> None:
    if not true:
        raise SystemExit(f"This is no longer true; change {TEMPLATE.name}: {words}")


def score_of(name: str) -> str:
    return "accuracy" if PRESETS[name].model.task == "classifier" else "rmse"


def shown(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if score_of(name) == "accuracy" else f"{value:.4f}"


def difference(name: str, here: float, there: float) -> str:
    if score_of(name) == "accuracy":
        return f"{100 * (here - there):+.2f} points".replace("-", "−")
    return f"{100 * (here / there - 1):+.1f} % RMSE".replace("-", "−")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def last_values(name: str, seeds: Sequence[int] | None = None) -> list[float]:
    """Of the trainings of a preset, ascending."""
    rows = map(json.loads, RESULTS.read_text().splitlines())
    return sorted(
        row["last"]
        for row in rows
        if row["preset"] == name and row["way"] == "train" and (not seeds or row["seed"] in seeds)
    )


def tests_of(run: Run) -> list[dict[str, Any]]:
    """What was measured after each epoch."""
    return [event for event in run.metrics() if "val_loss" in event]


def last_epoch(run: Run) -> float:
    """Accuracy or RMSE on the training images while it learned from them, in the last epoch."""
    last = run.train_spec.epochs
    parts = [e for e in run.metrics() if e.get("phase") == "training" and e["epoch"] == last]
    values = np.array([event[score_of(run.id)] for event in parts])
    return float(values.mean() if score_of(run.id) == "accuracy" else np.sqrt((values**2).mean()))


def gates_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps `(moments,)` and gates `(moments, blocks)`; all are 0 before the first."""
    events = [event for event in run.metrics() if event.get("gates")]
    steps = [0, *(event["step"] for event in events)]
    first = [0.0] * len(events[0]["gates"])
    return np.array(steps), np.array([first, *(event["gates"] for event in events)])


def half_open(run: Run) -> list[int]:
    """For each gate the first step at which it had half of its last magnitude."""
    steps, gates = gates_of(run)
    reached = np.abs(gates) >= np.abs(gates[-1]) / 2
    return [int(steps[column.argmax()]) for column in reached.T]


def table_of_models() -> str:
    rows = []
    for name, printed in EXPERIMENT.items():
        parameters, values = (
            accounting(PRESETS[name].model).parameters,
            last_values(name, SHIPPED_SEEDS),
        )
        claim(f"parameters of {name} equal exactly", parameters == printed.parameters)
        spread = f"{shown(name, values[0])} – {shown(name, values[-1])}"
        rows.append(
            [
                f"`{name}`",
                f"{printed.parameters:,}",
                f"{parameters:,}",
                shown(name, printed.test[-1]),
                f"**{shown(name, median(values))}**",
                spread,
                difference(name, median(values), printed.test[-1]),
            ]
        )
    heads = ["model", "parameters, printed", "here", "last test, printed", "here, median"]
    return table([*heads, "least – largest", "median to printed"], rows)


def table_of_training() -> str:
    rows = []
    for name, printed in EXPERIMENT.items():
        run = open_run(name)
        test = tests_of(run)[-1][f"val_{score_of(name)}"]
        values = printed.train, printed.test[-1], last_epoch(run), test
        rows.append([f"`{name}`", *(shown(name, value) for value in values)])
    heads = ["model", "printed: training images", "test images", "here: training images"]
    return table([*heads, "test images"], rows)


def table_of_gates() -> str:
    rows = []
    for run in shipped_models():
        gates = ", ".join(f"{gate:+.3f}" for gate in gates_of(run)[1][-1]).replace("-", "−")
        rows.append([f"`{run.id}`", gates, ", ".join(f"{step:,}" for step in half_open(run))])
    return table(["model", "gates of blocks 0 to 3 after training", "half open at step"], rows)


def from_metrics() -> dict[str, str]:
    """What follows from the metrics of the models and the list of trainings: no TensorFlow."""
    found = {
        "table_of_models": table_of_models(),
        "table_of_training": table_of_training(),
        "table_of_gates": table_of_gates(),
    }
    for name, printed in EXPERIMENT.items():
        key, values = name.replace("-", "_"), last_values(name, SHIPPED_SEEDS)
        every = last_values(name)
        found |= {
            f"{key}_printed": shown(name, printed.test[-1]),
            f"{key}_median": shown(name, median(values)),
            f"{key}_difference": difference(name, median(values), printed.test[-1]),
            f"{key}_seeds": str(len(every)),
            f"{key}_each": ", ".join(shown(name, value) for value in every),
        }
    tests = tests_of(open_run("classifier-large"))
    losses = [event["val_loss"] for event in tests]
    found |= {
        "large_lowest": f"{min(losses):.4f}",
        "large_lowest_epoch": str(1 + losses.index(min(losses))),
        "large_last": f"{losses[-1]:.4f}",
    }
    claim("the test loss of the large classifier rises again", losses[-1] > min(losses))
    wide, narrow = (median(last_values(n, SHIPPED_SEEDS)) for n in (SMALL, "classifier-tiny"))
    there = EXPERIMENT[SMALL].test[-1] - EXPERIMENT["classifier-tiny"].test[-1]
    found |= {
        "wider_here": f"{100 * (wide - narrow):.1f}",
        "wider_printed": f"{100 * there:.1f}",
    }
    early = [step for run in shipped_models() for step in half_open(run)]
    found["steps_an_epoch"] = "938"
    found["early_gates"] = str(sum(step <= 938 for step in early))
    found["all_gates"] = str(len(early))
    close = {n: median(last_values(n, SHIPPED_SEEDS)) - EXPERIMENT[n].test[-1] for n in EXPERIMENT}
    claim(
        "but for classifier-tiny, the classifiers are within 0.5 points below or better",
        all(close[n] > -0.005 for n in EXPERIMENT if n[0] == "c" and n != "classifier-tiny"),
    )
    tiny, ae = last_values("classifier-tiny"), last_values("autoencoder")
    claim(
        "no training of classifier-tiny reaches the printed value",
        tiny[-1] < EXPERIMENT["classifier-tiny"].test[-1],
    )
    claim("nor one of autoencoder", ae[0] > EXPERIMENT["autoencoder"].test[-1])
    return found
