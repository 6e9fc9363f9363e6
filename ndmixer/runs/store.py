"""Makes runs, finds them and lists them."""

import json
import re
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata

import ndmixer
from ndmixer.presets import PRESETS
from ndmixer.runs import files
from ndmixer.runs.files import runs_folder
from ndmixer.runs.processes import this_process
from ndmixer.runs.run import Run
from ndmixer.spec import ModelSpec, TrainSpec

LIBRARIES = ("tensorflow", "keras", "numpy", "safetensors")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OWN_ID = re.compile(r"\d{8}-\d{6}-.*")


class UnknownRun(KeyError):
    """There is no run of this id."""

    def __str__(self) -> str:
        return str(self.args[0])


def create(
    model_spec: ModelSpec,
    train_spec: TrainSpec,
    *,
    name: str | None = None,
    fill: Callable[[Run], None] = lambda run: None,
) -> Run:
    """Makes the folder of a new run, complete at once or not at all.

    Args:
        model_spec: The architecture.
        train_spec: The training.
        name: What a person calls it.
        fill: Adds what it is to hold from the start, before anyone sees it.
    """
    now = datetime.now(UTC)
    info = {
        "model": model_spec.model_dump(mode="json"),
        "train": train_spec.model_dump(mode="json"),
        "name": name,
        "created": now.isoformat(),
        "creator": this_process(),
        "versions": {"ndmixer": ndmixer.__version__} | _versions(),
    }
    slug = re.sub(r"[^a-z0-9]+", "-", (name or model_spec.task).lower())[:40].strip("-")
    run_id = f"{now:%Y%m%d-%H%M%S}-{slug or model_spec.task}-{secrets.token_hex(2)}"
    folder = runs_folder() / run_id
    draft = Run(folder.with_name(f".{run_id}"))
    draft.folder.mkdir(parents=True)
    try:
        draft._write("spec.json", json.dumps(info, indent=2).encode() + b"\n")
        fill(draft)
        draft.folder.rename(folder)
    except BaseException:
        shutil.rmtree(draft.folder, ignore_errors=True)
        raise
    return Run(folder)


def open_run(run_id: str) -> Run:
    """Finds a run, or a shipped model, by its id, which may come from an address bar.

    Raises:
        ValueError: this cannot be an id.
        UnknownRun: there is no such run.
    """
    if not _ID.fullmatch(run_id):
        raise ValueError(
            "a run id is made of letters, digits and . _ -, as in "
            f"20261123-131502-classifier-a3f9. Received: run_id={run_id[:200]!r}"
        )
    run = Run(runs_folder() / run_id)
    if not run.folder.is_dir() and (files.MODELS / run_id).is_dir():
        return Run(files.MODELS / run_id)
    if not run.folder.is_dir():
        raise UnknownRun(
            "there is no such run; `list_runs()` knows those there are, and NDMIXER_RUNS says "
            f"where they lie. Received: run_id={run_id!r}, folder={runs_folder()}"
        )
    return run


def shipped_models() -> list[Run]:
    """The trained models that come with the project, in the order of the presets."""
    models = [Run(files.MODELS / name) for name in PRESETS]
    return [model for model in models if (model.folder / "spec.json").exists()]


def folder_changed() -> int:
    """When a run was last added to the folder or deleted, in ns; 0 as long as there is none."""
    try:
        return runs_folder().stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def list_runs() -> list[Run]:
    """All runs, newest first; folders that no run made come last and are unreadable."""

    def age(run: Run) -> tuple[bool, str, float]:
        own = _OWN_ID.fullmatch(run.id) is not None
        try:
            written = (run.folder / "spec.json").stat().st_mtime
        except OSError:
            written = 0.0
        return own, run.id[:15], written

    try:
        folders = [path for path in runs_folder().iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []
    return sorted((Run(f) for f in folders if not f.name.startswith(".")), key=age, reverse=True)


def queue() -> list[Run]:
    """The runs that wait for their turn, the next one first."""

    def since(run: Run) -> int:
        for name in ("continue", "spec.json"):
            with suppress(OSError):
                return (run.folder / name).stat().st_mtime_ns
        return 0

    def begun(run: Run) -> bool:
        return (run.folder / "metrics.jsonl").exists() and not (run.folder / "continue").exists()

    waiting = [run for run in list_runs() if not begun(run) and run.status() == "queued"]
    return sorted(waiting, key=since)


def _versions() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found
