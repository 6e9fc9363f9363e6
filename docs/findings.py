"""Writes `findings.md` and its pictures: the original experiment beside the models that ship.

    make findings

The words are in `findings.template.md`. Every number in them is a name in braces, computed here
from `models/` and from the trainings in `benchmarks/results/presets.jsonl`; only what the
experiment printed is typed, in `EXPERIMENT` and in the presets. What the words say without a
number is held by `claim`: if it is no longer true, nothing is written.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
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
IMAGES_AN_EPOCH, STEPS = 60_000, 938  # steps of an epoch, of 64 images
AUTOENCODERS = ("autoencoder", "autoencoder-small", "autoencoder-tiny-wide")  # ever smaller
DIGITS = [str(digit) for digit in range(10)]
PAIRS = np.triu_indices(10, 1)


class Printed(NamedTuple):
    """What the experiment printed of one model.

    Attributes:
        test: Accuracy or RMSE on the test images after each epoch.
        train: The same on the training images, during the last epoch.
    """

    test: tuple[float, ...]
    train: float


EXPERIMENT = {
    "classifier": Printed(
        (0.9426, 0.9586, 0.9658, 0.9670, 0.9689, 0.9720, 0.9748, 0.9724, 0.9743, 0.9758),
        0.9839,
    ),
    "classifier-3d": Printed(
        (0.9210, 0.9273, 0.9479, 0.9517, 0.9529, 0.9579, 0.9630, 0.9626, 0.9624, 0.9649),
        0.9699,
    ),
    "classifier-tiny": Printed(
        (0.8064, 0.8683, 0.8937, 0.9035, 0.9105, 0.9127, 0.9168, 0.9169, 0.9225, 0.9191),
        0.9168,
    ),
    "classifier-large": Printed(
        (0.9608, 0.9642, 0.9756, 0.9715, 0.9777, 0.9791, 0.9787, 0.9825, 0.9795, 0.9779),
        0.9926,
    ),
    "classifier-tiny-wide": Printed(
        (0.8761, 0.9022, 0.9098, 0.9225, 0.9254, 0.9352, 0.9298, 0.9353, 0.9417, 0.9390),
        0.9374,
    ),
    "autoencoder": Printed(
        (0.1226, 0.0809, 0.0604, 0.0462, 0.0385, 0.0341, 0.0272, 0.0245, 0.0225, 0.0201),
        0.0218,
    ),
    "autoencoder-tiny-wide": Printed(
        (0.1672, 0.1546, 0.1483, 0.1459, 0.1439, 0.1416, 0.1403, 0.1389, 0.1387, 0.1376),
        0.1392,
    ),
    "autoencoder-small": Printed(
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


def curve_of(name: str) -> np.ndarray:
    """Accuracy or RMSE on the test images after each epoch."""
    return np.array([event[f"val_{score_of(name)}"] for event in tests_of(open_run(name))])


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
        preset, values = PRESETS[name], last_values(name, SHIPPED_SEEDS)
        parameters = accounting(preset.model).parameters
        claim(f"parameters of {name} equal exactly", parameters == preset.parameters)
        spread = f"{shown(name, values[0])} – {shown(name, values[-1])}"
        rows.append(
            [
                f"`{name}`",
                f"{preset.parameters:,}",
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
        values = printed.train, printed.test[-1], last_epoch(run), curve_of(name)[-1]
        rows.append([f"`{name}`", *(shown(name, value) for value in values)])
    heads = [f"{who}: {what}" for who in ("printed", "here") for what in ("training", "test")]
    return table(["model", *heads], rows)


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
    middles = {name: median(last_values(name, SHIPPED_SEEDS)) for name in EXPERIMENT}
    tests = tests_of(open_run("classifier-large"))
    losses = [event["val_loss"] for event in tests]
    spread = last_values(FIRST, SHIPPED_SEEDS)
    size = prod(PRESETS["classifier-large"].model.repr_shape)
    early = [step for run in shipped_models() for step in half_open(run)]
    found |= {
        "large_lowest": f"{min(losses):.4f}",
        "large_lowest_epoch": str(1 + losses.index(min(losses))),
        "large_last": f"{losses[-1]:.4f}",
        "large_parameters": f"{PRESETS['classifier-large'].parameters:,}",
        "large_dense": f"{size**2 + size:,}",
        "spread": f"{100 * (spread[-1] - spread[0]):.1f}",
        "steps": str(STEPS),
        "early_gates": str(sum(step <= STEPS for step in early)),
        "all_gates": str(len(early)),
    }
    for key, small, large in (
        ("wider", "classifier-tiny", SMALL),
        ("larger", FIRST, "classifier-large"),
    ):
        printed = EXPERIMENT[large].test[-1] - EXPERIMENT[small].test[-1]
        here = middles[large] - middles[small]
        found |= {f"{key}_printed": f"{100 * printed:.1f}", f"{key}_here": f"{100 * here:.1f}"}
        claim(f"{large} is better than {small}", min(printed, here) > 0)
    claim(
        "of that, only the printed one is within the spread",
        printed < spread[-1] - spread[0] < here,
    )
    return found


def check_words() -> None:
    """What the words say without a number, as far as metrics and trainings tell."""
    models = shipped_models()
    classifiers = [name for name in EXPERIMENT if score_of(name) == "accuracy"]
    last = {name: printed.test[-1] for name, printed in EXPERIMENT.items()}
    middles = {name: median(last_values(name, SHIPPED_SEEDS)) for name in EXPERIMENT}
    how = {(t.epochs, t.batch_size, t.learning_rate) for t in (r.train_spec for r in models)}
    claim("all had 10 epochs, batches of 64, a learning rate of 0.001", how == {(10, 64, 0.001)})
    others = [
        name
        for name in EXPERIMENT
        if (
            middles[name] < last[name] - 0.005
            if name in classifiers
            else middles[name] > 1.1 * last[name]
        )
    ]
    claim("two results differ", others == ["classifier-tiny", "autoencoder"])
    tiny, first = last_values("classifier-tiny"), last_values("autoencoder")
    claim("no classifier-tiny reaches the printed value", tiny[-1] < last["classifier-tiny"])
    claim("some of the autoencoders come close", first[0] < 1.05 * last["autoencoder"])
    here, there = curve_of("classifier-tiny"), EXPERIMENT["classifier-tiny"].test
    claim("classifier-tiny parts after the first epoch", bool((here < there)[1:].all()))
    here, there = curve_of("autoencoder"), EXPERIMENT["autoencoder"].test
    claim("the curves of autoencoder cross", here[0] < there[0] and here[-1] > there[-1])
    for gaps in (
        {name: EXPERIMENT[name].train - last[name] for name in classifiers},
        {name: last_epoch(open_run(name)) - curve_of(name)[-1] for name in classifiers},
    ):
        widest = max(gaps, key=gaps.__getitem__)
        claim("the large classifier has the widest gap", widest == "classifier-large")
        claim("those of 4 × 4 have next to none", max(gaps[SMALL], gaps["classifier-tiny"]) < 1e-3)
    gates = {run.id: np.abs(gates_of(run)[1]) for run in models}
    sizes = {name: magnitudes[-1].max() for name, magnitudes in gates.items()}
    claim(f"the gates of {SMALL} are the smallest", min(sizes, key=sizes.__getitem__) == SMALL)
    shrunk = gates[SMALL].max(axis=0) > 1.5 * gates[SMALL][-1]
    claim(f"the gates of {SMALL} shrink after the first steps", bool(shrunk.all()))
    for values in (middles, last):
        errors = [values[name] for name in AUTOENCODERS]
        claim("the smaller the representation, the larger the error", errors == sorted(errors))
    parameters = [PRESETS[name].parameters for name in AUTOENCODERS]
    claim("the autoencoder of 4 × 4 has the most parameters", parameters[-1] == max(parameters))
    tests = tests_of(open_run("classifier-large"))
    lowest = min(tests, key=lambda test: test["val_loss"])
    claim("the test loss of the large classifier rises again", lowest is not tests[-1])
    claim("its accuracy does not fall", tests[-1]["val_accuracy"] >= lowest["val_accuracy"])


class Inside(NamedTuple):
    """What a classifier makes of the images: its main stages, in order.

    Attributes:
        stages: Their names, from the input to the logits.
        classes: For each stage what is known of the classes there, over all training images.
        nearest: For each stage the share of test images nearest to their own class average.
        exits: The accuracy if head and logits followed this stage at once; none for the first
            and the last two.
        confusion: `(10, 10)`, on the test images.
    """

    stages: tuple[str, ...]
    classes: dict[str, ClassStatistics]
    nearest: dict[str, float]
    exits: dict[str, float]
    confusion: np.ndarray


def look_inside(name: str) -> Inside:
    from ndmixer.representations import in_batches, output_after

    run, data = open_run(name), load_dataset("mnist")
    spec, weights = run.model_spec, run.load_weights()
    stages = tuple(stage.name for stage in accounting(spec).stages)
    classes = {stage: ClassStatistics(10) for stage in stages}
    for part, stage, values in in_batches(spec, weights, data.x_train, stages):
        classes[stage].add(values, data.y_train[part])
    averages = {stage: statistics.averages() for stage, statistics in classes.items()}
    nearest, exits = dict.fromkeys(stages, 0), dict.fromkeys(stages[1:-2], 0)
    confusion = np.zeros((10, 10), np.int64)
    for part, stage, values in in_batches(spec, weights, data.x_test, stages):
        labels = data.y_test[part]
        nearest[stage] += np.count_nonzero(nearest_average(values, averages[stage]) == labels)
        if stage in exits:
            answers = output_after(spec, weights, last_block(spec), values).argmax(axis=1)
            exits[stage] += np.count_nonzero(answers == labels)
        if stage == stages[-1]:
            confusion += confusion_matrix(labels, values.argmax(axis=1), 10)
    count = len(data.x_test)
    return Inside(
        stages,
        classes,
        {stage: right / count for stage, right in nearest.items()},
        {stage: right / count for stage, right in exits.items()},
        confusion,
    )


def distances(inside: Inside, stage: str) -> np.ndarray:
    return distance_matrix(inside.classes[stage].averages())


def pairs(values: np.ndarray, count: int, form: str) -> str:
    """The pairs of the smallest numbers, or of the largest if the count is below 0."""
    found = values[PAIRS]
    order = np.argsort(found, kind="stable")
    order = order[:count] if count > 0 else order[count:][::-1]
    named = (f"{PAIRS[0][i]} and {PAIRS[1][i]} ({found[i]:{form}})" for i in order)
    return ", ".join(named)


def sigmas(statistics: ClassStatistics) -> tuple[np.ndarray, np.ndarray]:
    """σ of each class: within the entries, and over all its images and entries at once."""
    within = (statistics.deviations().reshape(10, -1).astype(np.float64) ** 2).mean(axis=1)
    between = statistics.averages().reshape(10, -1).astype(np.float64).var(axis=1)
    return np.sqrt(within), np.sqrt(within + between)


def table_of_sigmas(models: dict[str, Inside]) -> str:
    columns = [
        column
        for inside in models.values()
        for column in sigmas(inside.classes[last_of_blocks(inside)])
    ]
    rows = [[digit, *(f"{c[i]:.2f}" for c in columns)] for i, digit in enumerate(DIGITS)]
    heads = [f"`{name}`: {kind}" for name in models for kind in ("σ", "as in the notebook")]
    return table(["class", *heads], rows)


def last_of_blocks(inside: Inside) -> str:
    return inside.stages[-3]


def ratio_at(inside: Inside, stage: str) -> float:
    known = inside.classes[stage]
    return scatter_ratio(known.averages(), known.deviations(), known.counts)


def table_of_depth(inside: Inside) -> str:
    rows = []
    for stage in inside.stages:
        exit_ = inside.exits.get(stage)
        rows.append(
            [
                stage.replace("_", " "),
                f"{distances(inside, stage)[PAIRS].mean():.2f}",
                f"{ratio_at(inside, stage):.2f}",
                f"{100 * inside.nearest[stage]:.1f} %",
                "" if exit_ is None else f"{100 * exit_:.1f} %",
            ]
        )
    heads = ["stage", "mean distance", "between / within", "nearest average", "answer from here"]
    return table(heads, rows)


def table_of_shares() -> tuple[str, np.ndarray]:
    """How much each block changes what it is given: gate times mixer, over its input."""
    from ndmixer.depth import Sample, moment, sample_size

    data, rows, all_shares = load_dataset("mnist"), [], []
    for run in shipped_models():
        spec = run.model_spec
        sizes = sample_size(spec)
        part = slice(sizes)
        images = data.x_train[part], data.y_train[part], data.x_test[part], data.y_test[part]
        last = accounting(spec).stages[-1].name
        found = moment(spec, run.load_weights(), Sample(*images, 10), last)["ratios"]
        rows.append([f"`{run.id}`", *(f"{share:.2f}" for share in found)])
        all_shares.append(found)
    return table(["model", *(f"block {i}" for i in range(4))], rows), np.array(all_shares)


def largest_change_at_start() -> float:
    """Between the stage before the first block and the last block, of the untrained models."""
    from ndmixer.representations import representations

    images, changes = load_dataset("mnist").x_test[:100], []
    for run in shipped_models():
        names = ("embed", last_block(run.model_spec))
        values = representations(run.model_spec, run.load_weights(0), images, names)
        changes.append(np.abs(values[names[1]] - values[names[0]]).max())
    return float(max(changes))


def accuracy_on_training_images(name: str) -> float:
    from ndmixer.representations import in_batches

    run, data = open_run(name), load_dataset("mnist")
    parts = in_batches(run.model_spec, run.load_weights(), data.x_train, ("logits",))
    right = sum(np.count_nonzero(v.argmax(axis=1) == data.y_train[part]) for part, _, v in parts)
    return right / len(data.x_train)


def from_models(models: dict[str, Inside]) -> dict[str, str]:
    """What follows from the weights."""
    shares, numbers = table_of_shares()
    found = {
        "table_of_sigmas": table_of_sigmas(models),
        "table_of_shares": shares,
        "autoencoder_last_share": f"{numbers[list(EXPERIMENT).index('autoencoder'), -1]:.0f}",
        "large_training": f"{100 * accuracy_on_training_images('classifier-large'):.2f} %",
    }
    claim("untrained blocks are exactly the identity", largest_change_at_start() == 0)
    tables = {}
    for key, (name, inside) in zip(("small", "first"), models.items(), strict=True):
        last = last_of_blocks(inside)
        tables[key] = distances(inside, last)
        confused = inside.confusion + inside.confusion.T
        own, as_printed = sigmas(inside.classes[last])
        found |= {
            f"{key}_depth": table_of_depth(inside),
            f"{key}_closest": pairs(tables[key], 3, ".2f"),
            f"{key}_furthest": pairs(tables[key], -2, ".2f"),
            f"{key}_mean": f"{tables[key][PAIRS].mean():.2f}",
            f"{key}_confused": pairs(confused, -3, "d"),
            f"{key}_confused_agreement": f"{agreement(tables[key], confused):.2f}".replace(
                "-", "−"
            ),
            f"{key}_narrowest": DIGITS[int(own.argmin())],
            f"{key}_exit_first": f"{100 * inside.exits['embed']:.0f} %",
            f"{key}_exit_before_last": f"{100 * inside.exits[inside.stages[-4]]:.0f} %",
            f"{key}_exit_last": f"{100 * inside.exits[last]:.0f} %",
            f"{key}_nearest_input": f"{100 * inside.nearest['input']:.1f} %",
            f"{key}_nearest_embed": f"{100 * inside.nearest['embed']:.1f} %",
            f"{key}_nearest_last": f"{100 * inside.nearest[last]:.1f} %",
        }
        for part, stage in (("embed", "embed"), ("last", last), ("head", "head")):
            found[f"{key}_ratio_{part}"] = f"{ratio_at(inside, stage):.2f}"
        means = [distances(inside, stage)[PAIRS].mean() for stage in inside.stages[1:-2]]
        claim(f"distances of {name} grow from block to block", bool((np.diff(means) > 0).all()))
        claim(f"class 1 of {name} varies least", own.argmin() == as_printed.argmin() == 1)
        claim(f"0 is furthest from the others in {name}", tables[key].sum(axis=1).argmax() == 0)
        claim(f"the furthest pair of {name} is 0 and 1", np.argmax(tables[key][PAIRS]) == 0)
        inputs, ends = inside.nearest["input"], inside.nearest["embed"]
        claim(f"the embedding of {name} alone loses", ends < inputs < inside.nearest[last])
        claim(f"in {name} the answer forms late", inside.exits["embed"] < 0.3)
    inside, last = models[FIRST], last_of_blocks(models[FIRST])
    ratios = [ratio_at(inside, stage) for stage in ("embed", last, "head")]
    claim("in the first classifier the head separates, not the blocks", 1.2 * ratios[0] > ratios[1])
    claim("and does so by far", ratios[2] > 3 * ratios[1])
    found["agreement"] = f"{agreement(tables['small'], tables['first']):.2f}"
    near = tables["small"][4, 9], tables["first"][4, 9]
    for one, value in zip(tables.values(), near, strict=True):
        claim("4 and 9 are among the three closest pairs", value <= np.sort(one[PAIRS])[2])
    return found


# The pictures: figures of the package in a page, photographed in a browser.

STYLE = """
body { margin: 0; background: #fff; color: #1d2129; font: 13px sans-serif; width: max-content; }
main { display: grid; padding: 10px; gap: 4px; }
p { margin: 0 8px; } h2 { font: bold 13px sans-serif; margin: 2px 8px 0; }
"""


class Studio:
    """Takes the pictures."""

    def __init__(self, browser: Any) -> None:
        from plotly.offline import get_plotlyjs

        self._page = browser.new_page(
            viewport={"width": 1400, "height": 900}, device_scale_factor=1.6
        )
        self._plotly = get_plotlyjs()

    def take(self, name: str, widths: Sequence[int], figures: Sequence["Figure"], words="") -> None:
        """Figures in rows, each `(title, figure)`; as many a row as there are widths."""
        columns = " ".join(f"{width}px" for width in widths)
        head = f"<p style='grid-column: 1 / -1'>{words}</p>" if words else ""
        cells = "".join(
            f"<div><h2>{t}</h2><div id='f{i}'></div></div>" for i, (t, _) in _n(figures)
        )
        self._page.set_content(
            f"<style>{STYLE}</style><main style='grid-template-columns: {columns}'>"
            f"{head}{cells}</main><script>{self._plotly}</script>"
        )
        for i, (_, figure) in _n(figures):
            figure.update_layout(width=widths[i % len(widths)])
            self._page.evaluate(
                "([id, figure]) => Plotly.newPlot(id, {...figure, config: {staticPlot: true}})",
                [f"f{i}", json.loads(figure.to_json())],
            )
        self._page.locator("main").screenshot(path=IMAGES / f"{name}.png")


def _n(figures: Sequence[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(figures))


@contextmanager
def studio() -> Iterator[Studio]:
    from playwright.sync_api import sync_playwright

    from tests.browser.real_app import FLAGS, find_chrome

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chrome(), args=FLAGS)
        yield Studio(browser)
        browser.close()


def figures_of_training() -> list[tuple[str, "Figure"]]:
    figures = []
    for name, printed in EXPERIMENT.items():
        run, score = open_run(name), score_of(name)
        sizes = IMAGES_AN_EPOCH, run.train_spec.batch_size
        events = [
            {"step": STEPS * (epoch + 1), f"val_{score}": value}
            for epoch, value in enumerate(printed.test)
        ]
        both = {
            "here": (0, history(run.metrics(), score, *sizes)),
            "printed": (1, history(events, score, *sizes)),
        }
        figure = run_curves(both, "score", "step", percent=score == "accuracy")
        for trace in figure.data:
            trace.marker.size = 5
        figure.update_layout(height=210, showlegend=False, margin={"l": 48, "b": 40, "t": 6})
        figure.update_xaxes(tickvals=[0, 4_690, 9_380], tickformat=",")
        figure.update_yaxes(range=[0.78, 1.003] if score == "accuracy" else [0, 0.25])
        figures.append((name, figure))
    return figures


def figures_of_gates() -> list[tuple[str, "Figure"]]:
    figures = []
    for run in shipped_models():
        steps, gates = gates_of(run)
        figure = block_curves(steps, gates, unit="")
        figure.update_layout(height=210, showlegend=False, margin={"l": 48, "b": 40, "t": 6})
        figure.update_xaxes(tickvals=[0, 4_690, 9_380], range=[0, 9_900], tickformat=",")
        figures.append((run.id, figure))
    return figures


def figures_of_stages() -> list[tuple[str, "Figure"]]:
    """A row an image: the image, embedding and blocks in one colour scale, the head in its own."""
    from ndmixer.representations import early_exits, representations

    run, data = open_run(SMALL), load_dataset("mnist")
    spec, weights = run.model_spec, run.load_weights()
    values = representations(spec, weights, data.x_test[:SHOWN])
    answers = early_exits(spec, weights, values)
    top = max(float(np.abs(values[stage]).max()) for stage in answers)
    head = float(np.abs(values["head"]).max())
    figures = []
    for i in range(SHOWN):
        named = [f"{s.replace('_', ' ')} → {a[i].argmax()}" for s, a in answers.items()]
        row = [
            map_grid([data.x_test[i]], [f"input: {data.y_test[i]}"], top=1.0),
            map_grid([values[stage][i] for stage in answers], named, top=top),
            map_grid([values["head"][i]], ["head"], top=head),
        ]
        for figure in row:
            last = i == SHOWN - 1
            height, below = (204, 50) if last else (150, 2)
            figure.update_layout(height=height, margin={"t": 20, "b": below})
            figure.update_layout(coloraxis_showscale=last, coloraxis_colorbar_tickangle=0)
            figure.layout.coloraxis.colorbar.len = 0.5 if figure is row[1] else 0.85
            figures.append(("", figure))
    return figures


def figures_of_classes(inside: Inside) -> list[tuple[str, "Figure"]]:
    last = last_of_blocks(inside)
    known = inside.classes[last]
    maps = class_average_maps(known.averages(), known.deviations(), DIGITS)
    return [
        ("Class averages after the last block", maps),
        ("Distances between them (RMS)", matrix(distances(inside, last), DIGITS)),
    ]


def figures_of_depth(models: dict[str, Inside]) -> list[tuple[str, "Figure"]]:
    figures = []
    for name, inside in models.items():
        stages = inside.stages[:-2]
        curves = {
            "between class averages": [distances(inside, s)[PAIRS].mean() for s in stages],
            "within a class (σ)": [sigmas(inside.classes[s])[0].mean() for s in stages],
        }
        figures.append((name, layer_curves(stages, curves, unit="RMS")))
    return figures


def figure_of_reconstructions() -> "Figure":
    from ndmixer.reconstruction import image_errors
    from ndmixer.representations import representations

    images = load_dataset("mnist").x_test[:SHOWN]
    maps, titles = list(images), [f"input {i}" for i in range(SHOWN)]
    for name in AUTOENCODERS:
        run = open_run(name)
        last = accounting(run.model_spec).stages[-1].name
        made = representations(run.model_spec, run.load_weights(), images, (last,))[last]
        maps += list(made)
        size = " × ".join(map(str, run.model_spec.repr_shape))
        titles += [f"{size}: RMSE {error:.3f}" for error in image_errors(images, made)]
    return map_grid(maps, titles)


def take_pictures(models: dict[str, Inside]) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    blue, orange, *_ = LIGHT.palette
    training = (
        f"<b style='color: {blue}'>● here</b>, test images (thin: training images) &ensp; "
        f"<b style='color: {orange}'>■ printed by the experiment</b>, test images"
    )
    blocks = " &ensp; ".join(
        f"<b style='color: {colour}'>block {i}</b>" for i, colour in enumerate(LIGHT.palette[:4])
    )
    with studio() as photographer:
        photographer.take("training", [270] * 4, figures_of_training(), training)
        photographer.take("gates", [270] * 4, figures_of_gates(), blocks)
        photographer.take("stages", [150, 700, 150], figures_of_stages())
        for name, inside in models.items():
            photographer.take(f"classes-{name}", [620, 440], figures_of_classes(inside))
        photographer.take("depth", [500, 500], figures_of_depth(models))
        photographer.take("reconstructions", [760], [("", figure_of_reconstructions())])


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    check_words()
    values = from_metrics()
    models = {name: look_inside(name) for name in (SMALL, FIRST)}
    values |= from_models(models)
    take_pictures(models)
    DOCUMENT.write_text(TEMPLATE.read_text("utf-8").format_map(values), "utf-8")


if __name__ == "__main__":
    main()
