"""The words of the app for what a run is and does."""

import re
import string

from ndmixer.accounting import accounting
from ndmixer.presets import PRESETS
from ndmixer.runs import Run
from ndmixer.spec import ModelSpec, format_shape

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


def describe(run: Run | None, status: str | None) -> str:
    """One line of Markdown: status, architecture and size of a run."""
    if run is None or status is None:
        return "**No run yet**"
    if status == "unreadable":
        return f"{_ICONS[status]} **{status}** · {run.id}"
    model = run.model_spec
    return (
        f"{_ICONS[status]} **{status}** · {architecture(model)} · "
        f"{accounting(model).parameters:,} parameters"
    )


def architecture(model: ModelSpec) -> str:
    """A preset's title, or the shapes and the depth."""
    for preset in PRESETS.values():
        if preset.model == model:
            return preset.title
    blocks = f"{model.depth} block{'' if model.depth == 1 else 's'}"
    return f"{model.task.capitalize()}, {format_shape(model.repr_shape)} inside, {blocks}"


def plain(text: str) -> str:
    """Text from elsewhere as Markdown that shows it letter by letter."""
    return re.sub(f"([{re.escape(string.punctuation)}])", r"\\\1", text)
