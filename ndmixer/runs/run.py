"""A run: one folder, and the life of its training."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from ndmixer.runs.files import read_json
from ndmixer.runs.metrics import Event
from ndmixer.runs.processes import lives, this_process
from ndmixer.runs.status import Standing, Status
from ndmixer.runs.weights import Weights
from ndmixer.spec import TrainSpec

MORE_EPOCHS = 10  # of a finished run that goes on, unless somebody says how many


class RunLocked(RuntimeError):
    """Somebody trains this run, or began to and is gone."""


class Run(Standing, Weights):
    """One training of one specification: a folder with all that it made.

    Args:
        folder: The folder; `open_run` finds it by id. A trained model that ships with
            the project has the same form.
    """

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
                    json.dump(this_process(), file)
                except OSError:
                    path.unlink()
                    raise
        except FileExistsError:
            owner = read_json(path)
            who = f"Received: run={self.id}, locked by {owner}"
            if lives(path, owner):
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
        self._write("continue", json.dumps(wish | {"creator": this_process()}).encode())

    def _longer(self, status: Status, epochs: int | None) -> TrainSpec:
        """The training with more epochs, if they are more than it has."""
        spec = self.train_spec
        progress = next((e for e in self._latest() if "total_steps" in e), None)
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
            if lives(aside, read_json(aside)):
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
                again = event.get("step") == step > evaluated and "val_loss" in event
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
        self._replace([*events, loading])
        (self.folder / "error.txt").unlink(missing_ok=True)
        self.drop_wish()
        return state, loading

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
