"""The run folders: create, append, read, list, derive the status.

A run is a folder and nothing else. Every file but `metrics.jsonl` is written under a
temporary name and renamed, so that a reader never sees half of one. A status is never
stored: `Run.status` derives it from what is there and from which processes live.
"""

import io
import json
import math
import os
import re
import secrets
import shutil
import socket
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import psutil
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

import ndmixer
from ndmixer.presets import PRESETS
from ndmixer.spec import ModelSpec, TrainSpec

End = Literal["finished", "stopped", "diverged", "failed"]
Status = Literal["queued", "running", "paused", End, "interrupted", "unreadable"]
Action = Literal["pause", "resume", "step", "stop"]
Event = dict[str, Any]

LIBRARIES = ("tensorflow", "keras", "numpy", "safetensors")
MORE_EPOCHS = 10  # of a finished run that goes on, unless somebody says how many
FRESH_SECONDS = 60  # so long after its last touch is a process on another computer trusted
TAIL_BYTES = 65_536  # holds the last line of metrics.jsonl many times
NAME_LENGTH, NOTE_LENGTH = 80, 4_000  # characters

MODELS = Path(ndmixer.__file__).parents[1] / "models"  # trained ones, beside the package

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OWN_ID = re.compile(r"\d{8}-\d{6}-.*")


class UnknownRun(KeyError):
    """There is no run of this id."""

    def __str__(self) -> str:
        return str(self.args[0])


class RunLocked(RuntimeError):
    """Somebody trains this run, or began to and is gone."""


@dataclass(frozen=True)
class Run:
    """One training of one specification: a folder with all that it made.

    Args:
        folder: The folder; `open_run` finds it by id. A trained model that ships with
            the project has the same form.
    """

    folder: Path

    @property
    def id(self) -> str:
        """Name of the folder, such as `20261123-131502-classifier-a3f9`."""
        return self.folder.name

    @property
    def info(self) -> dict[str, Any]:
        """All of `spec.json`: `model`, `train`, `name`, `created`, `creator`, `versions`.

        Raises:
            ValueError: the folder holds no readable specification.
        """
        path = self.folder / "spec.json"
        try:
            info = json.loads(path.read_bytes())
            return {
                **info,
                "model": ModelSpec.model_validate(info["model"]),
                "train": TrainSpec.model_validate(info["train"]),
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"the run has no readable specification; delete its folder or mend spec.json. "
                f"Received: {path}: {error}"
            ) from error

    @property
    def model_spec(self) -> ModelSpec:
        """The architecture."""
        return cast(ModelSpec, self.info["model"])

    @property
    def train_spec(self) -> TrainSpec:
        """The training."""
        return cast(TrainSpec, self.info["train"])

    @property
    def name(self) -> str:
        """The name that a person gave it last, else its id."""
        about = self._about()
        return about["name"] if "name" in about else self._first_name() or self.id

    @property
    def note(self) -> str:
        """What a person wrote about it; plain text of any length up to `NOTE_LENGTH`."""
        return self._about().get("note", "")

    @property
    def shipped(self) -> bool:
        """Whether it is one of the trained models of the project, which stay as they are."""
        return self.folder.parent == MODELS

    @property
    def card(self) -> str:
        """How a shipped model was made and what it is good for, in Markdown; else empty."""
        try:
            return (self.folder / "README.md").read_text("utf-8") if self.shipped else ""
        except OSError:
            return ""

    def describe(self, *, name: str | None = None, note: str | None = None) -> None:
        """Renames the run or notes something on it, in `about.json`; its id stays.

        Args:
            name: One line; an empty one gives back the id as name. None leaves the name.
            note: Any text; None leaves the note.

        Raises:
            ValueError: the text is too long, or the model ships with the project.
        """
        self._check_own()
        changes = {}
        if name is not None:
            changes["name"] = _text("name", " ".join(name.split()), NAME_LENGTH) or self.id
        if note is not None:
            changes["note"] = _text("note", note.strip(), NOTE_LENGTH)
        self._write("about.json", json.dumps(self._about() | changes).encode() + b"\n")

    def delete(self) -> None:
        """Removes the run and all that it made; for a reader it is gone at once.

        Raises:
            RunLocked: it trains, or waits for its turn.
            ValueError: the folder was not made by a run, or ships with the project.
        """
        self._check_own()
        status = self.status()
        if status in ("queued", "running", "paused"):
            raise RunLocked(
                f"stop the run first, then delete it. Received: run={self.id}, status={status}"
            )
        if not (self.folder / "spec.json").exists():
            raise ValueError(
                "only a run can be deleted, and this folder has no spec.json; remove it by hand "
                f"if it is of no use. Received: {self.folder}"
            )
        hidden = self.folder.with_name(f".deleted-{secrets.token_hex(4)}-{self.id}")
        self.folder.rename(hidden)
        if hidden.is_symlink():  # a run that lies elsewhere: only the way to it goes
            hidden.unlink()
        else:
            shutil.rmtree(hidden)

    def status(self) -> Status:
        """What became of the run, as far as its folder and the living processes tell.

        | found | status |
        |---|---|
        | no readable `spec.json` | unreadable |
        | `continue`, `lock`, its owner lives | running |
        | `continue`, `lock`, its owner is gone | interrupted |
        | `continue`, its creator lives, no stop was asked | queued |
        | an `end` in the last line of `metrics.jsonl` | finished, stopped, diverged or failed |
        | `error.txt` | failed |
        | `lock`, its owner lives, the last phase is `paused` | paused |
        | `lock`, its owner lives | running |
        | `lock`, its owner is gone | interrupted |
        | no `lock`, nothing in `metrics.jsonl`, a stop was asked | stopped |
        | no `lock`, nothing in `metrics.jsonl`, its creator lives | queued |
        | anything else | interrupted |

        So a crash of anyone at any moment leaves a true status behind: a process that is
        gone can say nothing false.
        """
        try:
            info = self.info
        except ValueError:
            return "unreadable"
        # In this order: whoever is seen dead, or without a lock, has written all it will.
        wish = self.folder / "continue"
        wanted = wish.exists()
        locked = (self.folder / "lock").exists()
        alive = locked and _lives(self.folder / "lock", _read_json(self.folder / "lock"))
        last = self.last_event()
        if wanted and locked:
            return "running" if alive else "interrupted"
        if wanted and self.asked() != "stop" and _lives(wish, self._wanted().get("creator")):
            return "queued"
        if last and last.get("end") in get_args(End):
            return cast(End, last["end"])
        if (self.folder / "error.txt").exists():
            return "failed"
        if alive:
            return "paused" if last and last.get("phase") == "paused" else "running"
        if locked or last:
            return "interrupted"
        if self.asked() == "stop":
            return "stopped"
        alive = _lives(self.folder / "spec.json", info.get("creator"))
        return "queued" if alive else "interrupted"

    @property
    def error(self) -> str | None:
        """Why it failed or diverged, in a sentence; the rest of `error.txt` is for experts."""
        try:
            lines = (self.folder / "error.txt").read_text("utf-8").splitlines()
        except OSError:
            last = self.last_event() or {}
            return last.get("reason") if last.get("end") in ("failed", "diverged") else None
        return lines[0] if lines else "for a reason that could not be written down"

    def append(self, event: Mapping[str, Any]) -> None:
        """Adds one line to `metrics.jsonl`; a number that is not finite becomes null.

        Raises:
            OSError: the disk is full, say; the file is then as it was.
        """
        line = _line(event)
        with (self.folder / "metrics.jsonl").open("ab", buffering=0) as file:
            start = file.seek(0, os.SEEK_END)
            try:
                if file.write(line) != len(line):
                    raise OSError(f"the disk is full. Received: {file.name}")
            except OSError:
                file.truncate(start)
                raise

    def end(self, end: End, *, reason: str | None = None, details: str = "", **event: Any) -> None:
        """Marks the end of the run, and of a wish to continue it.

        Args:
            end: How it ended.
            reason: A sentence for people: the first line of `error.txt` after a failure,
                else, or where the disk has no room for that file, `reason` in the last line
                of `metrics.jsonl`.
            details: What follows there, such as a traceback.
            event: More for the last line of `metrics.jsonl`.
        """
        line = " ".join((reason or "").split())
        if reason is not None and end in ("failed", "diverged"):
            try:
                self._write("error.txt", f"{line}\n\n{details}".rstrip().encode() + b"\n")
            except OSError:  # a line more may fit where a file does not
                event["reason"] = line
        elif reason is not None:
            event["reason"] = line
        self.append({**event, "end": end})
        self.drop_wish()

    def metrics(self) -> list[Event]:
        """All events so far; a line that was torn by a crash is passed over."""
        return MetricsReader(self).read()

    def last_event(self) -> Event | None:
        """The last complete event, read from the end of the file."""
        # One line at a time: a page asks several times a second, and the last line will do.
        lines = reversed(self._tail().splitlines(keepends=True))
        return next((event for line in lines for event in _events(line)), None)

    def _tail(self) -> bytes:
        try:
            with (self.folder / "metrics.jsonl").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                return file.read()
        except OSError:
            return b""

    def save_weights(self, weights: Mapping[str, np.ndarray], step: int) -> None:
        """Replaces `weights.safetensors`, the last weights."""
        self._write("weights.safetensors", _safetensors(weights, step))

    def save_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Replaces `state.safetensors`, from which the training can go on."""
        self._write("state.safetensors", _safetensors(state, int(state["step"])))

    def save_snapshot(self, weights: Mapping[str, np.ndarray], step: int) -> None:
        """Writes the weights after so many optimizer steps to `snapshots/`."""
        (self.folder / "snapshots").mkdir(exist_ok=True)
        self._write(f"snapshots/{step:08d}.safetensors", _safetensors(weights, step))

    def _snapshot_path(self, step: int) -> Path:
        return self.folder / "snapshots" / f"{step:08d}.safetensors"

    def snapshots(self) -> list[int]:
        """The steps of all snapshots, ascending."""
        names = (path.stem for path in (self.folder / "snapshots").glob("*.safetensors"))
        return sorted(int(name) for name in names if name.isdecimal())

    def weights_path(self, step: int | None = None) -> Path:
        """The file of the last weights, in a run that was interrupted its last snapshot.

        Args:
            step: One of `snapshots()`, for the file of that one.

        Raises:
            ValueError: there are none, or not yet.
        """
        path, steps = self.folder / "weights.safetensors", self.snapshots()
        if step in steps:
            return self._snapshot_path(step)
        if step is not None:
            raise ValueError(
                f"choose one of the snapshots {', '.join(map(str, steps)) or '(none)'}. "
                f"Received: step={step}, run={self.id}"
            )
        if path.exists():
            return path
        if not steps:
            raise ValueError(f"the run has no weights; it learned nothing. Received: {self.id}")
        return self.folder / "snapshots" / f"{steps[-1]:08d}.safetensors"

    def load_weights(self, step: int | None = None) -> dict[str, np.ndarray]:
        """The weights by name, those of a snapshot or the last.

        Args:
            step: One of `snapshots()`; None is the last weights, in a run that was
                interrupted those of its last snapshot.

        Raises:
            ValueError: there are no such weights, or the file is damaged.
        """
        path = self.folder / "weights.safetensors"
        steps = self.snapshots()
        if step is None and not path.exists() and steps:
            step = steps[-1]
        if step is not None:
            path = self._snapshot_path(step)
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise ValueError(
                "these weights are missing or damaged; choose one of the snapshots "
                f"{', '.join(map(str, steps)) or '(none)'}. Received: {path}: {error}"
            ) from error

    def load_last_weights(self) -> tuple[dict[str, np.ndarray], int | None]:
        """The last weights by name, and after how many optimizer steps they were taken.

        Both from one file, which may be replaced meanwhile; None if it does not say.

        Raises:
            ValueError: there are none yet, or the file is damaged.
        """
        path = self.weights_path()
        try:
            with safe_open(path, framework="numpy") as file:
                step = (file.metadata() or {}).get("step", "")
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ValueError(
                "these weights are missing or damaged; choose a snapshot. "
                f"Received: {path}: {error}"
            ) from error
        return weights, int(step) if step.isdecimal() else None

    def save_live(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replaces `live.npz`, the probes' latest representations."""
        self._save_arrays("live.npz", arrays)

    def load_live(self) -> dict[str, np.ndarray] | None:
        """What `save_live` wrote last; None before the first time or if it is damaged."""
        return self._load_arrays("live.npz")

    def save_averages(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replaces `averages.npz`, the class averages at every stage after an epoch."""
        self._save_arrays("averages.npz", arrays)

    def load_averages(self) -> dict[str, np.ndarray] | None:
        """What `save_averages` wrote last; None before the first time or if it is damaged."""
        return self._load_arrays("averages.npz")

    def _save_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        self._write(name, content.getvalue())

    def _load_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        try:
            with np.load(self.folder / name, allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, zipfile.BadZipFile):
            return None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Says with a file that this process trains the run, as long as the context lasts.

        A lock whose owner died stays until somebody asks to continue the run.

        Raises:
            RunLocked: it is locked.
        """
        path = self.folder / "lock"
        try:
            with path.open("x", encoding="utf-8") as file:
                try:
                    json.dump(_this_process(), file)
                except OSError:
                    path.unlink()
                    raise
        except FileExistsError:
            owner = _read_json(path)
            who = f"Received: run={self.id}, locked by {owner}"
            if _lives(path, owner):
                raise RunLocked(f"the run is being trained; wait for its end. {who}") from None
            raise RunLocked(
                f"the run was interrupted; continue it, then it can be trained. {who}"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def keep_lock(self) -> None:
        """Tells other computers that the owner lives; at least once in `FRESH_SECONDS`."""
        with suppress(OSError):
            os.utime(self.folder / "lock")

    def ask_to_continue(self, epochs: int | None = None) -> None:
        """Leaves the wish that an ended run goes on from its last state.

        Nothing that the run has made changes before somebody takes it up by `begin`.

        Args:
            epochs: How many it is to have in the end; None is as many as its specification
                says, and 10 more if it has them. A stop condition that finished it counts
                no more.

        Raises:
            RunLocked: it trains, or waits for its turn.
            ValueError: it has so many epochs already, or no state to go on from, or the model
                ships with the project.
        """
        self._check_own()
        status = self.status()
        if status in ("queued", "running", "paused"):
            raise RunLocked(
                "the run goes on by itself; wait for its end or stop it. "
                f"Received: run={self.id}, status={status}"
            )
        wish = {"train": self._longer(status, epochs).model_dump(mode="json")}
        learned = self.snapshots() or (self.folder / "weights.safetensors").exists()
        if learned and not (self.folder / "state.safetensors").exists():
            raise ValueError(
                "the run has kept no state of its optimizer; start its specification as a new "
                f"run. Received: run={self.id}"
            )
        (self.folder / "control").unlink(missing_ok=True)
        self._remove_dead_lock()
        self._write("continue", json.dumps(wish | {"creator": _this_process()}).encode())

    def _longer(self, status: Status, epochs: int | None) -> TrainSpec:
        """The training with more epochs, if they are more than it has."""
        spec = self.train_spec
        progress = next((e for e in reversed(_events(self._tail())) if "total_steps" in e), None)
        least = 1
        if progress is not None:
            least = progress["epoch"]
            whole = progress["step"] * spec.epochs == least * progress["total_steps"]
            if whole and status == "finished":
                least += 1
        if epochs is None:
            epochs = spec.epochs if spec.epochs >= least else spec.epochs + MORE_EPOCHS
        if epochs < least:
            raise ValueError(
                f"the run has come to the end of epoch {least - 1}; choose more epochs. "
                f"Received: epochs={epochs}"
            )
        changes: dict[str, Any] = {"epochs": epochs}
        if status == "finished" and "reason" in (self.last_event() or {}):  # a condition holds
            changes |= {"target_accuracy": None, "max_seconds": None}
        return TrainSpec.model_validate(spec.model_dump() | changes)

    def _remove_dead_lock(self) -> None:
        """Removes a lock whose owner is gone, and no other."""
        path = self.folder / "lock"
        aside = self.folder / f".lock.{secrets.token_hex(4)}"
        with suppress(FileNotFoundError):
            path.rename(aside)
            if _lives(aside, _read_json(aside)):
                aside.rename(path)
            else:
                aside.unlink()

    def begin(self) -> tuple[dict[str, np.ndarray] | None, Event]:
        """Takes up the training: of a new run, or of one that somebody asked to continue.

        All that came after the last state is removed, so that what is made from now on is
        what an unbroken run would make. Call it under the `lock`.

        Returns:
            The state to go on from, None at the very start; and the event to go on from.

        Raises:
            RunLocked: the run was trained before, and nobody asked to continue it.
            ValueError: its state is damaged.
        """
        loading: Event = {"phase": "loading", "step": 0}
        if not (self.folder / "continue").exists():
            if self.last_event() is not None:
                raise RunLocked(f"the run has been trained before. Received: run={self.id}")
            self.append(loading)
            return None, loading
        state, events = self._load_state(), []
        if state is not None:
            step, evaluated = int(state["step"]), int(state["evaluated"])
            for event in self.metrics():
                late = "step" not in event or event["step"] > step
                again = event.get("step") == step > evaluated and _has_validation(event)
                if not (late or again or "end" in event):
                    events.append(event)
            loading = {k: v for k, v in (events or [{}])[-1].items() if not k.startswith("val_")}
            loading |= {"phase": "loading", "step": step}
        # In this order: as long as `continue` is there, no end and no error counts.
        info = json.loads((self.folder / "spec.json").read_bytes()) | self._wanted()
        self._write("spec.json", json.dumps(info, indent=2).encode() + b"\n")
        for step in self.snapshots():
            if step > loading["step"]:
                self._snapshot_path(step).unlink(missing_ok=True)
        self._write("metrics.jsonl", b"".join(map(_line, [*events, loading])))
        (self.folder / "error.txt").unlink(missing_ok=True)
        self.drop_wish()
        return state, loading

    def drop_wish(self) -> None:
        """Takes back the wish to continue the run, if there is one."""
        (self.folder / "continue").unlink(missing_ok=True)

    def _wanted(self) -> dict[str, Any]:
        wish = _read_json(self.folder / "continue")
        return wish if isinstance(wish, dict) else {}

    def _load_state(self) -> dict[str, np.ndarray] | None:
        path = self.folder / "state.safetensors"
        try:
            return load_file(path)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError) as error:
            raise ValueError(
                "the state of the run is damaged; start its specification as a new run. "
                f"Received: {path}: {error}"
            ) from error

    def ask(self, action: Action, until: int | None = None) -> None:
        """Leaves a wish for whoever trains the run; a stop cannot be taken back.

        Args:
            action: What is wished.
            until: The step after which a run that is to `step` waits again; None is the end
                of an epoch, its evaluation included.
        """
        if action not in get_args(Action):
            raise ValueError(f"ask for one of {', '.join(get_args(Action))}. Received: {action!r}")
        if self.asked() != "stop":
            text = action if until is None else f"{action} {until}"
            self._write("control", text.encode())

    def asked(self) -> Action | None:
        """What was asked last."""
        action = self._control()[0]
        return cast(Action, action) if action in get_args(Action) else None

    def asked_until(self) -> int | None:
        """The step that was asked for with it."""
        until = self._control()[1]
        return int(until) if until.isdecimal() else None

    def awaited(self, status: Status) -> Action | None:
        """What was asked and has not happened yet, in a run of this status."""
        asked = self.asked()
        if status == "running" and asked in ("pause", "stop"):
            return asked
        if status == "paused" and asked in ("resume", "stop"):
            return asked
        if status == "paused" and asked == "step":  # or paused again after these steps
            with suppress(OSError):
                files = [self.folder / name for name in ("control", "metrics.jsonl")]
                control, metrics = (file.stat().st_mtime_ns for file in files)
                return asked if control > metrics else None
        return None

    def _control(self) -> tuple[str, str]:
        try:
            action, _, until = (self.folder / "control").read_text("utf-8").partition(" ")
        except (OSError, ValueError):
            return "", ""
        return action, until

    def set_learning_rate(self, value: float) -> None:
        """Leaves a learning rate for whoever trains the run, now or later.

        Raises:
            ValueError: it is not above 0 and at most 10.
        """
        if not 0 < value <= 10:
            raise ValueError(f"choose a learning rate above 0, at most 10. Received: {value!r}")
        self._write("learning_rate", repr(float(value)).encode())

    def learning_rate(self) -> float:
        """The learning rate that was set last, else that of the specification."""
        try:
            return float((self.folder / "learning_rate").read_text("utf-8"))
        except (OSError, ValueError):
            return self.train_spec.learning_rate

    def _about(self) -> dict[str, str]:
        about = _read_json(self.folder / "about.json")
        items = about.items() if isinstance(about, dict) else ()
        return {key: text for key, text in items if isinstance(text, str)}

    def _first_name(self) -> str | None:
        try:
            return cast(str | None, self.info.get("name"))
        except ValueError:  # a run that cannot be read has an id still
            return None

    def _check_own(self) -> None:
        if self.shipped:
            raise ValueError(
                "a model that ships with the project stays as it is; start its specification as "
                f"a new run. Received: {self.id}"
            )

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


class MetricsReader:
    """Reads the events that were added since the last call, for a page that polls.

    Args:
        run: The run.

    Attributes:
        restarted: Whether the last call began again with the first event, since the run was
            continued and the file replaced: forget what was read before.
    """

    def __init__(self, run: Run) -> None:
        self._path, self._offset = run.folder / "metrics.jsonl", 0
        self._file: int | None = None
        self.restarted = False

    def read(self) -> list[Event]:
        """The new events; a line still being written waits for the next call."""
        self.restarted = False
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if self._file not in (None, found.st_ino) or found.st_size < self._offset:
                    self._offset, self.restarted = 0, True
                self._file = found.st_ino
                file.seek(self._offset)
                content = file.read()
        except OSError:
            return []
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        return _events(complete)


def runs_folder() -> Path:
    """Where the runs are: `NDMIXER_RUNS`, else `runs` below the working folder."""
    return Path(os.environ.get("NDMIXER_RUNS") or "runs").expanduser().absolute()


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
        "creator": _this_process(),
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
    if not run.folder.is_dir() and (MODELS / run_id).is_dir():
        return Run(MODELS / run_id)
    if not run.folder.is_dir():
        raise UnknownRun(
            "there is no such run; `list_runs()` knows those there are, and NDMIXER_RUNS says "
            f"where they lie. Received: run_id={run_id!r}, folder={runs_folder()}"
        )
    return run


def shipped_models() -> list[Run]:
    """The trained models that come with the project, in the order of the presets."""
    return [Run(MODELS / name) for name in PRESETS if (MODELS / name / "spec.json").exists()]


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


def _this_process() -> dict[str, Any]:
    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": process.pid, "created": process.create_time()}


def _lives(path: Path, owner: Any) -> bool:
    """Whether the process lives that wrote its name in a file.

    A pid alone proves nothing, as it may belong to another process by now. Processes of
    another computer, and one that is writing its name at this moment, count as living as
    long as the file is fresh.
    """
    try:
        if owner["host"] == socket.gethostname():
            process = psutil.Process(owner["pid"])
            # The clock that a create time is told by may have been set meanwhile.
            same = abs(process.create_time() - owner["created"]) < 5
            return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    try:
        return time.time() - path.stat().st_mtime < FRESH_SECONDS
    except OSError:
        return False


def _text(what: str, text: str, limit: int) -> str:
    """The text, if it is not too long; half a character pair, which no page can show, as `?`."""
    if len(text) > limit:
        raise ValueError(f"write a {what} of at most {limit:,} characters. Received: {len(text):,}")
    return text.encode("utf-8", "replace").decode("utf-8")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _events(lines: bytes) -> list[Event]:
    events = []
    for line in lines.splitlines(keepends=True):
        if line.endswith(b"\n"):
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    events.append(event)
    return events


def _line(event: Mapping[str, Any]) -> bytes:
    return json.dumps(_plain(event), allow_nan=False).encode() + b"\n"


def _has_validation(event: Event) -> bool:
    return any(name.startswith("val_") for name in event)


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case np.ndarray() | np.generic():
            return _plain(value.tolist())
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def _safetensors(weights: Mapping[str, np.ndarray], step: int) -> bytes:
    # safetensors writes the memory as it lies, so a transposed view must be copied.
    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    return save(arrays, metadata={"step": str(step)})
