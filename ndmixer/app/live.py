"""The live view of a run: counter, curves and progress, kept in the browser between updates."""

import json
import math
import threading
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import streamlit as st

from ndmixer.app import source
from ndmixer.runs import MetricsReader, Run
from ndmixer.spec import Task

_component = st.components.v2.component(
    "ndmixer_live",
    html=source("live.html"),
    css=source("save.css", "live.css"),
    js=source("save.js", "live.js"),
)

MAX_POINTS = 2_000  # more than a chart has pixels; beyond it neighbours are averaged
NOTHING = "–"
SCORES: dict[Task, str] = {"classifier": "accuracy", "autoencoder": "rmse"}
COMPILED = 64  # steps; the first few run uncompiled and tell nothing of the time left


class Curves:
    """What was read of one run; reads only what is new. Several threads may use it.

    Attributes:
        last: The newest event, empty before the first.
        diverged: The step at which the loss was no longer finite, None if it always was.
        events: How many events were read; no others have come if it is the same.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._reader = MetricsReader(run)
        self.score = SCORES[run.model_spec.task]
        self._lock = threading.Lock()
        self.events = 0
        self._forget()

    def _forget(self) -> None:
        self.last: dict[str, Any] = {}
        self.diverged: int | None = None
        self._train: list[tuple[float, float, float]] = []  # step, loss, accuracy or RMSE
        self._test: list[tuple[float, float, float]] = []
        self._gates: list[tuple[float, ...]] = []  # step, the gate of each block

    def update(self) -> None:
        """Reads the events that were appended since the last call."""
        with self._lock:
            self._update()

    def _update(self) -> None:
        events = self._reader.read()
        if self._reader.restarted:
            self._forget()
        self.events += len(events)
        for event in events:
            if "step" not in event:
                continue
            if event.get("end") == "diverged":
                self.diverged = event["step"]
            if f"val_{self.score}" in event:
                self._test.append(_point(event, "val_loss", f"val_{self.score}"))
            elif event.get("phase") == "training":
                self._train.append(_point(event, "loss", self.score))
                if event.get("gates"):
                    self._gates.append((event["step"], *event["gates"]))
            self.last = {**self.last, **event}

    def arrays(self) -> dict[str, np.ndarray]:
        """Curves as float32 arrays: `step`, `loss`, `accuracy`, `val_step`, ..."""
        with self._lock:
            train = np.array(self._train, np.float64).reshape(-1, 3)
            test = np.array(self._test, np.float64).reshape(-1, 3)
            gates = np.array(self._gates or np.zeros((0, 1)), np.float64)
        train, gates = _thinned(train), _thinned(gates)
        named = {"step": train[:, 0], "loss": train[:, 1], self.score: train[:, 2]}
        named |= {"val_step": test[:, 0], "val_loss": test[:, 1], f"val_{self.score}": test[:, 2]}
        named["gate_step"] = gates[:, 0]
        named |= {f"gate_{i}": values for i, values in enumerate(gates.T[1:])}
        return {name: values.astype(np.float32) for name, values in named.items()}


def show(content: bytes) -> None:
    """Draws the counter, the progress bar and the curves.

    Args:
        content: What `packed` returned. Where the browser finds that the state is another one,
            the fragment that this stands in runs again.
    """
    _component(key="live", data=content, on_changed_change=lambda: None)


def packed(
    curves: Curves | None,
    hint: str,
    *,
    task: Task,
    ended: bool = True,
    ghost: Curves | None = None,
    asks: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """What the component is fed with.

    Args:
        curves: What was read of the run, None where no run was chosen.
        hint: What stands in the place of curves that have no point yet.
        task: Of the run, or of the one that may come.
        ended: Whether the run will not go on by itself.
        ghost: Another run of the same task that is laid under the curves, in a paler line.
        asks: What the browser needs to ask for more: the address `feed`, what it will `have`, and
            the `state` of all that the page shows besides, to know when that is another one.
    """
    score = SCORES[task]
    arrays = curves.arrays() if curves else _no_points(score)
    header = _header(curves, score, hint) | {"ended": ended, "ghost": "", **asks}
    if curves and ghost:
        header["ghost"] = ghost.run.name
        names = ("step", "loss", score, "val_step", "val_loss", f"val_{score}")
        found = ghost.arrays()
        arrays |= {f"ghost_{name}": found[name] for name in names}
    return _packed(header, arrays)


def _no_points(score: str) -> dict[str, np.ndarray]:
    names = ("step", "loss", score, "val_step", "val_loss", f"val_{score}", "gate_step")
    return dict.fromkeys(names, np.zeros(0, np.float32))


def _header(curves: Curves | None, score: str, hint: str) -> dict[str, Any]:
    run, last = (curves.run, curves.last) if curves else (None, {})
    total = last.get("total_steps") or 0
    step = last.get("step") or 0
    epochs = run.train_spec.epochs if run else 0
    title = "accuracy" if score == "accuracy" else "RMSE"
    return {
        "run": run.id if run else "",
        "score": score,
        "loss_name": "Loss (cross-entropy)" if score == "accuracy" else "Loss (mean squared error)",
        "gates": _gates_note(run),
        "diverged": curves.diverged if curves else None,
        "total": total,
        "progress": step / total if total else 0.0,
        "hint": hint,
        "readouts": {
            "counter": f"epoch {last.get('epoch', 0):03d}/{epochs:03d} · step {_grouped(step)}",
            "score_name": f"Training {title}",
            "score": score_text(last.get(score), score),
            "val_score_name": f"Test {title}",
            "val_score": score_text(last.get(f"val_{score}"), score),
            "rate": f"{last['images_per_s']:,.0f}" if last.get("images_per_s") else NOTHING,
            "elapsed": duration(last.get("elapsed")),
            "left": duration(_seconds_left(run, last)),
        },
    }


def _gates_note(run: Run | None) -> str:
    """What stands in place of the gates' lines before there are any."""
    if run is None:
        return ""
    if not run.model_spec.depth:
        return "no blocks, so no gates"
    return "" if run.model_spec.gate else "the blocks have no gates"


def _seconds_left(run: Run | None, last: dict[str, Any]) -> float | None:
    if run is None or not last.get("images_per_s") or last["step"] < COMPILED:
        return None
    train = run.train_spec
    steps = last["total_steps"] - last["step"]
    seconds = steps * train.batch_size / last["images_per_s"]
    if train.max_seconds is None:
        return seconds
    return min(seconds, max(0.0, train.max_seconds - last["elapsed"]))


def _grouped(step: int) -> str:
    """Six digits that do not dance: 002,814."""
    digits = f"{step:06d}"
    return f"{digits[:-3]},{digits[-3:]}"


def score_text(value: float | None, score: str) -> str:
    """An accuracy as `95.31 %`, an RMSE as `0.0712`; a dash for None."""
    if value is None:
        return NOTHING
    return f"{100 * value:.2f} %" if score == "accuracy" else f"{value:.4f}"


def duration(seconds: float | None) -> str:
    """Seconds as `0:07` or `1:02:33`; a dash for None."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def ago(created: float) -> str:
    """How long ago a POSIX time was, in words."""
    seconds = max(0.0, time.time() - created)
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _point(event: dict[str, Any], loss: str, score: str) -> tuple[float, float, float]:
    values = (event.get(name) for name in ("step", loss, score))
    step, loss_value, score_value = (math.nan if value is None else value for value in values)
    return step, loss_value, score_value


def _thinned(points: np.ndarray) -> np.ndarray:
    """At most `MAX_POINTS` rows: equal runs of neighbours averaged, at their last step."""
    size = -(-len(points) // MAX_POINTS)
    if size <= 1:
        return points
    starts = np.arange(0, len(points), size)
    ends = np.append(starts[1:], len(points))
    finite = np.isfinite(points)  # where the loss is not, its neighbours still count
    counts = np.add.reduceat(finite.astype(np.float64), starts)
    sums = np.add.reduceat(np.where(finite, points, 0.0), starts)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    means[:, 0] = points[ends - 1, 0]
    return means


def _packed(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """Header length, JSON header, arrays: one piece of bytes, as the browser gets it."""
    sizes: Iterable[tuple[str, int]] = [(name, len(values)) for name, values in arrays.items()]
    text = json.dumps({**header, "arrays": sizes}).encode()
    return b"".join(
        [len(text).to_bytes(4, "little"), text, *(v.tobytes() for v in arrays.values())]
    )
