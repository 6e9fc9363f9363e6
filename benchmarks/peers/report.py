"""What was measured: kept as JSON, shown as a table and a plot."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

from ndmixer import PRESETS
from peers import CONTENDERS, OURS

RESULTS = Path(__file__).parents[1] / "results"
KEY = ("preset", "contender", "batch_size", "target")
LIBRARIES = ("tensorflow", "keras", "torch", "jax")


def read() -> list[dict]:
    path = RESULTS / "training.json"
    return json.loads(path.read_text()) if path.exists() else []


def store(row: dict) -> None:
    """Adds a row, in place of the one of the same preset and contender, if there is one."""
    machine = f"{os.cpu_count()} cores, {_processor()}"
    row = {**row, "machine": machine, **{name: version(name) for name in LIBRARIES}}
    rows = {_key(old): old for old in read()} | {_key(row): row}
    presets, contenders = list(PRESETS), list(CONTENDERS)
    ordered = sorted(
        rows.values(),
        key=lambda r: ("target" in r, presets.index(r["preset"]), contenders.index(r["contender"])),
    )
    lines = ",\n".join(json.dumps(each) for each in ordered)
    (RESULTS / "training.json").write_text(f"[\n{lines}\n]\n")


def table(rows: list[dict]) -> str:
    """Three tables in Markdown: ratios, all figures, time to an accuracy."""
    speeds = [row for row in rows if "ratio" in row and row["batch_size"] == 64]
    peers = [name for name in CONTENDERS if name != OURS]
    ratios = {(row["preset"], row["contender"]): f"{row['ratio']:.2f}" for row in speeds}
    first = [["preset", *peers]] + [
        [preset, *(ratios.get((preset, peer), "") for peer in peers)]
        for preset in PRESETS
        if any(row["preset"] == preset for row in speeds)
    ]
    names = {
        "preset": "preset",
        "contender": "contender",
        "images_per_s": "images/s",
        "ratio": "train / it",
        "part_of_floor": "of the floor",
        "first_step_s": "first step, s",
        "first_64_steps_s": "64 steps, s",
        "peak_mb": "peak, MB",
    }
    second = [list(names.values())] + [[_text(row[key]) for key in names] for row in speeds]
    keys = ["preset", "contender", "target", "seconds", "steps", "accuracy"]
    third = [keys] + [[_text(row[key]) for key in keys] for row in rows if "target" in row]
    return "\n\n".join(_markdown(part) for part in (first, second, third))


def plot() -> None:
    """Images a second of each contender, a panel a preset, into `results/training.svg`."""
    from matplotlib.figure import Figure

    rows = [row for row in read() if "ratio" in row and row["batch_size"] == 64]
    presets = list(dict.fromkeys(row["preset"] for row in rows))
    columns = min(3, len(presets))
    lines = -(-len(presets) // columns)
    figure = Figure(figsize=(4 * columns, 2.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[len(presets) :]:
        panel.remove()
    for preset, panel in zip(presets, panels, strict=False):
        mine = [row for row in rows if row["preset"] == preset][::-1]
        bars = panel.barh(
            [row["contender"] for row in mine],
            [row["images_per_s"] for row in mine],
            color=["#1f6feb" if row["contender"] == OURS else "#8c959f" for row in mine],
        )
        panel.bar_label(bars, [f"{row['images_per_s']:,}" for row in mine], padding=3, fontsize=8)
        panel.margins(x=0.2)
        panel.set_title(f"{preset}, images/s", fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
        panel.set_xticks([])
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(RESULTS / "training.svg", metadata={"Date": None})


def _key(row: dict) -> tuple:
    return tuple(row.get(name) for name in KEY)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value < 1 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _markdown(rows: list[list[str]]) -> str:
    head, *body = rows
    rule = ["---", *["---:" for _ in head[1:]]]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def _processor() -> str:
    """The processor's name where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
