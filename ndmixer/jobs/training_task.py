"""Training a run: from events to files, from the control file to pauses; needs no engine."""

import errno
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ndmixer import runs
from ndmixer.jobs.worker import import_tensorflow
from ndmixer.runs import Event, Run

if TYPE_CHECKING:
    from ndmixer.training import Trainer

POLL_SECONDS = 0.05  # between two looks at the control file of a paused run
KEEP_SECONDS = 1.0  # between two touches of the lock and two savings of the last state
SAVING_SHARE = 20  # the time between two savings, at least so many times that of one
FIRST_SNAPSHOT = 50  # steps; doubled each time
EPOCH_SNAPSHOTS = 100  # at most so many at the ends of epochs
LIVE_SECONDS = 0.5  # between two pictures of the probes


def train_run(
    run: Run,
    on_event: Callable[[Event], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_pause: Callable[[], None] = lambda: None,
) -> None:
    """Trains a run in this process, from where it is to its end, and heeds its control.

    A failure ends the run, not the caller: it is in the run's status and its `error`.

    Args:
        run: A run that nobody has begun, or that somebody asked to continue.
        on_event: Called with every event of `ndmixer.training.train`.
        should_stop: Asked several times a second.
        on_pause: Called when the run begins to wait.

    Raises:
        RunLocked: somebody trains it, or began to.
    """
    with run.lock():
        try:
            if run.asked() != "stop":
                _Training(run, on_event, should_stop, on_pause).run()
            elif run.last_event() is None:
                run.end("stopped", step=0)
            else:
                run.drop_wish()
        except runs.RunLocked:
            raise
        except FloatingPointError as error:  # TrainingDiverged, without importing TensorFlow
            run.end("diverged", reason=str(error), step=getattr(error, "step", None))
        except Exception as error:
            with suppress(OSError):  # the reason may be that nothing can be written
                run.end("failed", reason=_reason(error), details=traceback.format_exc())


class _Training:
    """One run while it is trained: from events to files, from the control file to pauses."""

    def __init__(
        self,
        run: Run,
        on_event: Callable[[Event], None],
        should_stop: Callable[[], bool],
        on_pause: Callable[[], None],
    ) -> None:
        self._run, self._on_event = run, on_event
        self._should_stop, self._on_pause = should_stop, on_pause
        self._seen: dict[str, tuple[int, int]] = {}
        self._asked: runs.Action | None = None
        self._evaluated = 0  # the last evaluation before the run was asked to step
        self._stopped = False
        self._keep_seconds = KEEP_SECONDS
        self._kept = self._shown = 0.0
        self._next_snapshot = FIRST_SNAPSHOT
        self._last: Event = {}
        self._trainer: Trainer

    def run(self) -> None:
        run = self._run
        state, self._last = run.begin()
        spec = run.train_spec
        import_tensorflow()
        from ndmixer.datasets import load_dataset
        from ndmixer.training import Trainer

        self._data = load_dataset(spec.dataset)
        self._trainer = Trainer(run.model_spec, spec, self._data)
        self._epochs_a_snapshot = -(-spec.epochs // EPOCH_SNAPSHOTS)
        self._trainer.learning_rate = run.learning_rate()
        if state is not None:
            self._trainer.restore(state, self._last)
            self._plan_snapshot()
        self._save()
        self._snapshot()
        self._trainer.run(self._record, self._stop)
        self._snapshot()
        self._show()
        self._save()
        end = {"step": self._trainer.step, "elapsed": self._last.get("elapsed", 0.0)}
        if self._stopped:
            run.end("stopped", **end)
        else:
            run.end("finished", reason=self._trainer.reason, **end)

    def _record(self, event: Event) -> None:
        news = {k: v for k, v in event.items() if k != "elapsed" and not k.startswith("val_")}
        measured = len(news) + 1 < len(event)  # there are val_...
        if measured or news != {k: v for k, v in self._last.items() if k != "elapsed"}:
            self._run.append(event)
        self._last = news | {"elapsed": event["elapsed"]}

        step = event["step"]
        if measured:
            self._average()
            if event["epoch"] % self._epochs_a_snapshot == 0:
                self._snapshot()
        elif step >= self._next_snapshot:
            self._snapshot()
            self._plan_snapshot()
        # Nothing is new in another phase, and nothing may be computed beside the compiler.
        if event["phase"] == "training" and time.monotonic() - self._shown > LIVE_SECONDS:
            self._show()
        self._keep()
        self._on_event(event)

    def _show(self) -> None:
        """Writes what the probes look like now."""
        self._shown = time.monotonic()
        from ndmixer.inspection import probes

        arrays = probes(self._run.model_spec, self._trainer.weights(), self._data)
        self._run.save_live({"step": np.array(self._trainer.step), **arrays})

    def _average(self) -> None:
        """Writes the class averages of the first test images at every stage."""
        from ndmixer.inspection import averages_of

        averages = averages_of(self._run.model_spec, self._trainer.weights(), self._data)
        if averages:
            self._run.save_averages({"step": np.array(self._trainer.step), **averages})

    def _stop(self) -> bool:
        # A pause waits in here, so that the trainer does not notice it, even in the middle
        # of an evaluation.
        if self._wish() == "pause" and not self._should_stop():
            self._run.append({**self._last, "phase": "paused"})
            self._snapshot()
            self._save()
            self._on_pause()
            while self._wish() == "pause" and not self._should_stop():
                time.sleep(POLL_SECONDS)
                self._keep(save=False)
            if self._wish() != "stop":
                self._run.append(self._last)
        if self._is_new("learning_rate"):
            self._trainer.learning_rate = self._run.learning_rate()
        self._stopped = self._stopped or self._wish() == "stop" or self._should_stop()
        return self._stopped

    def _wish(self) -> runs.Action | None:
        trainer = self._trainer
        if self._is_new("control"):
            self._asked, until = self._run.asked(), self._run.asked_until()
            if until is not None and trainer.step == trainer.total_steps:
                until = None  # no step is left but the evaluation
            trainer.limit = None if until is None else min(until, trainer.total_steps)
            self._evaluated = trainer.evaluated
        if self._asked == "step":
            if trainer.limit is None:
                return "pause" if trainer.evaluated != self._evaluated else "step"
            return "pause" if trainer.step >= trainer.limit else "step"
        return self._asked

    def _is_new(self, name: str) -> bool:
        """Whether a file was written since the last call."""
        with suppress(OSError):
            found = (self._run.folder / name).stat()
            before, now = self._seen.get(name), (found.st_mtime_ns, found.st_ino)
            self._seen[name] = now
            return before != now
        return False

    def _keep(self, save: bool = True) -> None:
        if time.monotonic() - self._kept > self._keep_seconds:
            self._run.keep_lock()
            if save:
                self._save()
            self._kept = time.monotonic()

    def _save(self) -> None:
        """Writes the state and the last weights; of a large model less often."""
        start = time.monotonic()
        self._run.save_state(self._trainer.state())
        self._run.save_weights(self._trainer.weights(), self._trainer.step)
        taken = time.monotonic() - start
        self._keep_seconds = min(max(KEEP_SECONDS, SAVING_SHARE * taken), runs.FRESH_SECONDS / 2)

    def _plan_snapshot(self) -> None:
        while self._next_snapshot <= self._trainer.step:
            self._next_snapshot *= 2

    def _snapshot(self) -> None:
        self._run.save_snapshot(self._trainer.weights(), self._trainer.step)


def train_task(run_folder: str) -> None:
    """The task of a worker: trains a run, unless another worker has begun it."""
    from distributed import secede

    left: list[bool] = []

    def give_way() -> None:
        if not left:  # one leaves the thread pool once
            left.append(True)
            secede()

    with suppress(runs.RunLocked):
        train_run(Run(Path(run_folder)), on_pause=give_way)


def _reason(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0]
    if isinstance(error, MemoryError):
        return f"there is not enough memory; choose a smaller model or batch. {line}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full; free some space, then continue the run. {line}"
    return line if line and isinstance(error, ValueError) else f"{type(error).__name__}: {line}"
