"""The run folders: create, append, read, list, derive the status.

A run is a folder and nothing else. Every file but `metrics.jsonl` is written under a
temporary name and renamed, so that a reader never sees half of one. A status is never
stored: `Run.status` derives it from what is there and from which processes live.
"""

from ndmixer.runs.about import NAME_LENGTH, NOTE_LENGTH
from ndmixer.runs.control import Action
from ndmixer.runs.files import runs_folder
from ndmixer.runs.metrics import Event, MetricsReader
from ndmixer.runs.processes import FRESH_SECONDS
from ndmixer.runs.run import MORE_EPOCHS, Run, RunLocked
from ndmixer.runs.status import Status
from ndmixer.runs.store import (
    UnknownRun,
    create,
    folder_changed,
    list_runs,
    open_run,
    queue,
    shipped_models,
)

__all__ = [
    "FRESH_SECONDS",
    "MORE_EPOCHS",
    "NAME_LENGTH",
    "NOTE_LENGTH",
    "Action",
    "Event",
    "MetricsReader",
    "Run",
    "RunLocked",
    "Status",
    "UnknownRun",
    "create",
    "folder_changed",
    "list_runs",
    "open_run",
    "queue",
    "runs_folder",
    "shipped_models",
]
