"""The words of the app for what a run is and does."""

import re
import string

from ndmixer.accounting import accounting
from ndmixer.presets import PRESETS
from ndmixer.runs import Run, Status, queue
from ndmixer.spec import ModelSpec

ENDED = ("finished", "stopped", "diverged", "failed", "interrupted", "unreadable")

_ICONS = {
    "queued": ":material/hourglass_empty:",
    "running": ":material/play_circle:",
    "paused": ":material/pause_circle:",
    "finished": ":material/check_circle:",
    "stopped": ":material/stop_circle:",
    "diverged": ":material/error:",
    "failed": ":material/error:",
    "interrupted": ":material/link_off:",
    "unreadable": ":material/help:",
}


_AWAITED = {
    "pause": "pausing …",
    "resume": "resuming …",
    "step": "stepping …",
    "stop": "stopping …",
}


def describe(run: Run | None, status: Status | None) -> str:
    """One line of Markdown: status, architecture and size of a run."""
    if run is None or status is None:
        return "**No run yet**"
    if status == "unreadable":
        return f"{_ICONS[status]} **{status}** · {run.id}"
    reason = (run.last_event() or {}).get("reason") if status == "finished" else None
    return (
        f"{_ICONS[status]} **{standing(run, status)}**{f', {plain(reason)}' if reason else ''} · "
        f"{size(run.model_spec)}"
    )


def size(model: ModelSpec) -> str:
    """Architecture and number of parameters."""
    return f"{architecture(model)} · {accounting(model).parameters:,} parameters"


def standing(run: Run, status: Status) -> str:
    """The status, and what is on its way: the place in the queue, what was asked of the run."""
    awaited = run.awaited(status)
    if awaited:
        return _AWAITED[awaited]
    if status == "queued":
        waiting = queue()
        return (
            f"queued, {ordinal(waiting.index(run) + 1)} in the queue" if run in waiting else status
        )
    if status == "running" and run.asked() == "step":
        until = run.asked_until()
        return f"{status} to {f'step {until:,}' if until else 'the end of the epoch'}"
    return status


def ordinal(number: int) -> str:
    """1 as `1st`, 12 as `12th`."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def architecture(model: ModelSpec) -> str:
    """A preset's title, or the shapes and the depth."""
    for preset in PRESETS.values():
        if preset.model == model:
            return preset.title
    blocks = f"{model.depth} block{'' if model.depth == 1 else 's'}"
    inside = " × ".join(map(str, model.repr_shape))
    return f"{model.task.capitalize()}, {inside} inside, {blocks}"


def plain(text: str) -> str:
    """Text from elsewhere as Markdown that shows it letter by letter."""
    return re.sub(f"([{re.escape(string.punctuation)}])", r"\\\1", text)
