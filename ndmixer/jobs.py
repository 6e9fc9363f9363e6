"""The engine: where training runs, in processes of its own, by Dask.

    this process  --client-->  the engine's process: scheduler, nannies  -->  workers

The engine has a process of its own because a nanny starts workers by re-importing the
main module of its process, which in a web app would be the app itself, and because a
scheduler should not wait for a page that computes. Every process holds the reading end of
a pipe to the one before it and exits once that is gone, even if it was killed.

`NDMIXER_SCHEDULER=tcp://...` trains on a cluster that exists already, and so does a
`distributed.Client` that the caller made. Its workers need this package, the same runs
folder under the same path, and one thread each
(`dask worker --nthreads 1 --preload ndmixer.jobs`).

A run is trained once, and once more for each wish to continue it: a task that finds its
run begun, and no such wish, leaves it alone. So a task may be submitted again whenever its
fate is not known.
"""

import atexit
import errno
import hashlib
import os
import queue
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ndmixer import runs
from ndmixer.accounting import accounting
from ndmixer.geometry import ClassStatistics, Metric
from ndmixer.runs import Event, Run, Status
from ndmixer.spec import ModelSpec, TrainSpec

if TYPE_CHECKING:
    from distributed import Client, Future

    from ndmixer.datasets import Dataset
    from ndmixer.inspection import ClassPass
    from ndmixer.training import Trainer

Part = Literal["test", "train"]

ATTEMPTS = 5  # how often a run is handed to workers that die before they begin it
RETRY_SECONDS = 0.5  # before it is handed to the next
POLL_SECONDS = 0.05  # between two looks at the control file of a paused run
KEEP_SECONDS = 1.0  # between two touches of the lock and two savings of the last state
SAVING_SHARE = 20  # the time between two savings, at least so many times that of one
FIRST_SNAPSHOT = 50  # steps; doubled each time
EPOCH_SNAPSHOTS = 100  # at most so many at the ends of epochs
LIVE_SECONDS = 0.5  # between two pictures of the probes
GEOMETRY_IMAGES = 1_000  # test images whose class averages are shown while training runs

# One worker process for each role. A task asks for one unit of its role. They never run out,
# since one thread runs one task anyway: a paused run gives the thread to the next, not the unit.
ROLES = ("train", "inspect")
ROLE_UNITS = 1_000_000
ANSWERS = 16  # of the inspecting worker, kept for the next time
PASSES = 2  # of many images, whose statistics it keeps

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "DASK_LOGGING__DISTRIBUTED": "warning"}
SUDDEN_END = "ignore:resource_tracker:UserWarning"  # of multiprocessing, after os._exit
SETTINGS: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # a killed run does not begin again
    # A worker that begins again so long after it was killed would be given up instead.
    "distributed.deploy.lost-worker-timeout": "1000 days",
    "distributed.scheduler.worker-ttl": None,  # a step may hold the interpreter for long
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.comm.timeouts.tcp": "60s",
}


def submit(model_spec: ModelSpec, train_spec: TrainSpec, name: str | None = None) -> str:
    """Makes a run and hands it to the engine, which is started if need be.

    Returns at once; what becomes of the run is told by `status`.

    Args:
        model_spec: The architecture.
        train_spec: The training.
        name: What a person calls the run.

    Returns:
        The id of the run.
    """
    run = runs.create(model_spec, train_spec, name=name)
    _engine.put(run)
    return run.id


def stop(run_id: str) -> None:
    """Ends a run, which keeps what it has learned; there is no way back."""
    runs.open_run(run_id).ask("stop")


def pause(run_id: str) -> None:
    """Lets a run wait, and others train meanwhile."""
    runs.open_run(run_id).ask("pause")


def resume(run_id: str) -> None:
    """Lets a paused run go on, from the very step where it was."""
    runs.open_run(run_id).ask("resume")


def step(run_id: str, steps: int | None = None) -> None:
    """Lets a paused run take so many optimizer steps and pause again.

    Asked again before it has taken them, it takes so many more.

    Args:
        run_id: A paused run.
        steps: How many; None is to the end of the epoch, its evaluation included.

    Raises:
        ValueError: they are less than one.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"choose at least one step. Received: steps={steps}")
    run = runs.open_run(run_id)
    if steps is None:
        run.ask("step")
    else:
        now = (run.last_event() or {}).get("step", 0)
        run.ask("step", max(now, run.asked_until() or 0) + steps)


def set_learning_rate(run_id: str, value: float) -> None:
    """Changes the learning rate of a run from its next burst of steps, or when it goes on.

    Raises:
        ValueError: it is not above 0 and at most 10.
    """
    runs.open_run(run_id).set_learning_rate(value)


def continue_run(run_id: str, epochs: int | None = None) -> None:
    """Lets an ended run go on in its folder from its last state, as if it had never ended.

    Args:
        run_id: A run that was stopped or interrupted, is finished, or has failed.
        epochs: How many it is to have in the end; None is as many as its specification
            says, and 10 more if it is finished.

    Raises:
        RunLocked: it trains, or waits for its turn.
        ValueError: it has so many epochs already, or no state to go on from.
    """
    run = runs.open_run(run_id)
    run.ask_to_continue(epochs)
    _engine.put(run)


def status(run_id: str) -> Status:
    """What became of a run; see `Run.status`."""
    return runs.open_run(run_id).status()


def untrained(model_spec: ModelSpec, train_spec: TrainSpec) -> dict[str, np.ndarray] | None:
    """What the fresh model makes of the probes, as `Run.load_live` has it later.

    Computed by an inspecting worker, which never waits behind training; returns at once.

    Returns:
        For each stage an array of shape `(probes, *stage.shape)`, and `labels`; None as
        long as it is not ready, so ask again.

    Raises:
        ValueError: it cannot be computed: the data set is not there, say.
    """
    return _engine.call(_untrained, model_spec.model_dump_json(), train_spec.model_dump_json())


def keras_file(run: Run) -> bytes | None:
    """The last model of a run as a `.keras` file.

    Made by an inspecting worker, which never waits behind training; returns at once.

    Returns:
        The content of the file; None as long as it is not ready, so ask again.

    Raises:
        ValueError: the run has no weights.
    """
    written = run.weights_path().stat().st_mtime_ns
    return _engine.call(_keras_file, str(run.folder), str(written))


def class_geometry(
    run: Run,
    step: int | None,
    stage: str,
    part: Part = "test",
    count: int = 10_000,
    metric: Metric = "rms",
    pairs: bool = False,
) -> Callable[[], dict[str, np.ndarray] | None]:
    """Where the classes lie in a model: averages, deviations, predictions, distances.

    Computed by an inspecting worker, which never waits behind training; returns at once. The
    question is about the weights that are there now: a run that trains writes others every
    second, and who asked anew each time would never be answered.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: One of `ndmixer.stages(run.model_spec)`.
        part: Images of the test or of the training set, of which the run has seen some.
        count: How many, the first ones; all if there are not so many.
        metric: Of the distances, one of `ndmixer.geometry.METRICS`.
        pairs: Whether they are means over pairs of images, else between class averages.

    Returns:
        A function to be called until it returns something other than None: what
        `ndmixer.inspection.class_summary` returns, and `labels` `(images,)`, `distances`
        `(stages, classes, classes)`, `sample` (images of which single ones were compared),
        `step` (-1 if the file does not say). It raises a ValueError if there is no such
        stage or the data set is not there.

    Raises:
        ValueError: the run has no such weights.
    """
    written = run.weights_path(step).stat().st_mtime_ns
    question = str(run.folder), step, written, stage, part, count, metric, pairs
    return lambda: _engine.call(_class_geometry, *question)


def pictures(dataset: str, part: Part, indices: Iterable[int]) -> np.ndarray | None:
    """Some images of a data set, so that the caller need not load it; returns at once.

    Returns:
        Shape `(images, *sample_shape)`, float32; None as long as it is not ready.

    Raises:
        ValueError: there is no such data set.
    """
    return _engine.call(_pictures, dataset, part, *map(int, indices))


def start_engine() -> None:
    """Starts the engine in the background, unless it runs; `submit` does so itself."""
    _engine.put(None)


def engine_state() -> str:
    """`"idle"`, `"starting"`, `"ready"`, or `"failed: "` and why; the next run tries again."""
    return _engine.state


def close_engine() -> None:
    """Ends the engine and with it whatever is training; happens by itself at exit."""
    _engine.close()


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
        _import_tensorflow()
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
        arrays = _probes(self._run.model_spec, self._trainer.weights(), self._data)
        self._run.save_live({"step": np.array(self._trainer.step), **arrays})

    def _average(self) -> None:
        """Writes the class averages of the first test images at every stage."""
        images, labels = (a[:GEOMETRY_IMAGES] for a in (self._data.x_test, self._data.y_test))
        averages = _averages(self._run.model_spec, self._trainer.weights(), images, labels)
        if averages:
            about = {"step": np.array(self._trainer.step), "images": np.array(len(labels))}
            self._run.save_averages({**about, **averages})

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


def _train_run(run_folder: str) -> None:
    """The task of a worker: trains a run, unless another worker has begun it."""
    from distributed import secede

    left: list[bool] = []

    def give_way() -> None:
        if not left:  # one leaves the thread pool once
            left.append(True)
            secede()

    with suppress(runs.RunLocked):
        train_run(Run(Path(run_folder)), on_pause=give_way)


def _untrained(model_json: str, train_json: str) -> dict[str, np.ndarray]:
    """The task behind `untrained`."""
    _import_tensorflow()
    from ndmixer.datasets import load_dataset
    from ndmixer.models import build_model

    model_spec = ModelSpec.model_validate_json(model_json)
    train_spec = TrainSpec.model_validate_json(train_json)
    data = load_dataset(train_spec.dataset)
    model_spec.check_data(data.sample_shape, data.num_classes)
    model = build_model(model_spec, train_spec.seed)  # as the training does
    weights = {variable.path: variable.numpy() for variable in model.weights}
    return _probes(model_spec, weights, data)


def _keras_file(run_folder: str, _written: str) -> bytes:
    """The task behind `keras_file`; another time of writing makes it another task."""
    _import_tensorflow()
    from ndmixer.models import build_model

    run = Run(Path(run_folder))
    model, weights = build_model(run.model_spec), run.load_weights()
    for variable in model.weights:
        variable.assign(weights[variable.path])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _class_geometry(
    folder: str,
    step: int | None,
    written: int,
    stage: str,
    part: Part,
    count: int,
    metric: Metric,
    pairs: bool,
) -> dict[str, np.ndarray]:
    """The task behind `class_geometry`."""
    from ndmixer.accounting import stages
    from ndmixer.inspection import class_distances, class_summary, looked_at

    spec = Run(Path(folder)).model_spec
    if stage not in stages(spec):
        raise ValueError(
            f"the stages of this model are {', '.join(stages(spec))}. Received: stage={stage!r}"
        )
    # All main stages share one pass, so that going from one to the other costs nothing.
    inner = "" if looked_at(spec, "") == looked_at(spec, stage) else stage
    weights, found, passed = _class_pass(folder, step, written, inner, part, count)
    images, labels = _images(Run(Path(folder)).train_spec.dataset, part, count)
    distances, sample = class_distances(spec, weights, images, labels, passed, metric, pairs)
    return {
        **class_summary(passed, stage),
        "labels": labels,
        "distances": distances,
        "sample": np.array(sample),
        "step": np.array(-1 if found is None else found),
    }


@lru_cache(maxsize=PASSES)
def _class_pass(
    folder: str, step: int | None, _written: int, inner: str, part: Part, count: int
) -> tuple[dict[str, np.ndarray], int | None, "ClassPass"]:
    """Weights, their step and the pass: kept for another stage or metric of the same ones."""
    _import_tensorflow()
    from ndmixer.datasets import load_dataset
    from ndmixer.inspection import class_pass

    run = Run(Path(folder))
    spec, name = run.model_spec, run.train_spec.dataset
    if step is None:
        weights, found = run.load_last_weights()
    else:
        weights, found = run.load_weights(step), step
    images, labels = _images(name, part, count)
    classes = load_dataset(name).num_classes
    stage = inner or "input"
    return weights, found, class_pass(spec, weights, images, labels, classes, stage)


def _images(dataset: str, part: Part, count: int) -> tuple[np.ndarray, np.ndarray]:
    from ndmixer.datasets import load_dataset

    data = load_dataset(dataset)
    x, y = (data.x_test, data.y_test) if part == "test" else (data.x_train, data.y_train)
    return x[:count], y[:count]


def _pictures(dataset: str, part: Part, *indices: int) -> np.ndarray:
    """The task behind `pictures`."""
    from ndmixer.datasets import load_dataset

    data = load_dataset(dataset)
    return (data.x_test if part == "test" else data.x_train)[list(indices)]


def _probes(
    spec: ModelSpec, weights: dict[str, np.ndarray], data: "Dataset"
) -> dict[str, np.ndarray]:
    """The probes at every stage but the inner axes, and their labels."""
    from ndmixer.representations import probe_images, representations

    images, labels = probe_images(data)
    stages = tuple(stage.name for stage in accounting(spec).stages)
    values = representations(spec, weights, images, stages)
    return {"labels": labels, **{name: v.astype(np.float32) for name, v in values.items()}}


def _averages(
    spec: ModelSpec, weights: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """The class averages at every stage but the inner axes; none if a class has no image."""
    from ndmixer.representations import in_batches

    classes = int(labels.max()) + 1
    stages = tuple(stage.name for stage in accounting(spec).stages)
    statistics = {name: ClassStatistics(classes) for name in stages}
    for part, name, values in in_batches(spec, weights, images, stages):
        statistics[name].add(values, labels[part])
    if not statistics[stages[0]].counts.all():
        return {}
    means = {name: s.averages().astype(np.float32) for name, s in statistics.items()}
    return {name: mean for name, mean in means.items() if np.isfinite(mean).all()}


def dask_setup(worker: object) -> None:
    """Makes a worker import TensorFlow before it is asked; called by Dask's `--preload`."""
    threading.Thread(target=_import_tensorflow, daemon=True).start()


def _import_tensorflow() -> None:
    with _importing:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow as tf
        from dask.system import CPU_COUNT

        with suppress(RuntimeError):  # TensorFlow computes already
            # Dask gives its workers OMP_NUM_THREADS=1, which TensorFlow would obey.
            tf.config.threading.set_intra_op_parallelism_threads(CPU_COUNT)
            tf.config.threading.set_inter_op_parallelism_threads(CPU_COUNT)
        import ndmixer.training  # noqa: F401


def _reason(error: Exception) -> str:
    line = str(error).strip().partition("\n")[0]
    if isinstance(error, MemoryError):
        return f"there is not enough memory; choose a smaller model or batch. {line}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full; free some space, then continue the run. {line}"
    return line if line and isinstance(error, ValueError) else f"{type(error).__name__}: {line}"


class _Engine:
    """What this process knows of the engine.

    One thread starts it and hands it the runs in the order in which they came. The engine
    itself is found through `distributed.default_client()`, so that it outlives a reload of
    this module.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inbox: queue.SimpleQueue[tuple[Run | None, int]] = queue.SimpleQueue()
        self._tasks: list[tuple[Future, Run, int]] = []
        self._thread: threading.Thread | None = None
        self._closed = False
        self._state = "idle"
        self._answers: dict[str, Future] = {}

    @property
    def state(self) -> str:
        if self._state == "ready" and self._client() is None:
            return "failed: the engine is gone; the next run starts it again"
        return self._state

    def put(self, run: Run | None, attempt: int = 1) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._closed = False
            if self.state != "ready":
                self._state = "starting"
            self._inbox.put((run, attempt))

    def close(self) -> None:
        self._closed = True
        if self._state != "idle":
            self._discard()
            self._state = "idle"

    def _work(self) -> None:
        while True:
            with suppress(queue.Empty):
                self._send(*self._inbox.get(timeout=POLL_SECONDS * 4 if self._tasks else None))
            for task in self._tasks[:]:
                if task[0].status != "pending":
                    self._tasks.remove(task)
                    self._look_after(*task)

    def _send(self, run: Run | None, attempt: int) -> None:
        try:
            client = self._client() or self._start()
            self._state = "ready"
            if run is not None:
                future = client.submit(
                    _train_run,
                    str(run.folder),
                    key=f"{run.id}-{secrets.token_hex(4)}",  # one that failed would fail again
                    pure=False,
                    resources={"train": 1} if _process(client) else None,
                )
                self._tasks.append((future, run, attempt))  # a future that is dropped is undone
        except Exception as error:
            self._state = f"failed: {error}"
            if run is not None and not self._closed:
                _fail(run, f"the engine did not start: {error}", traceback.format_exc())

    def call(self, task: Callable[..., Any], *arguments: str | int | None) -> Any:
        """Result of a task of the inspecting worker, None while it is not ready."""
        client = self._client()
        if client is None:
            if self.state in ("idle", "ready"):
                self.put(None)
            return None
        key = f"{task.__name__}-{hashlib.sha256(repr(arguments).encode()).hexdigest()[:16]}"
        future = self._answers.get(key)
        if future is None or future.client is not client or future.status in ("cancelled", "lost"):
            resources = {"inspect": 1} if _process(client) else None
            future = client.submit(task, *arguments, key=key, pure=False, resources=resources)
            self._answers[key] = future
            while len(self._answers) > ANSWERS:
                self._answers.pop(next(iter(self._answers)), None)
        return future.result(timeout=1) if future.done() else None

    def _look_after(self, future: "Future", run: Run, attempt: int) -> None:
        """Tries again, or gives up, where a task ended without having begun its run."""
        from distributed import KilledWorker

        if self._closed or future.status == "finished" or run.status() != "queued":
            return
        if any(other.id == run.id for _, other, _ in self._tasks):
            return  # it was asked to continue, and has a later task
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker | None) and attempt < ATTEMPTS:
            # The scheduler may not know yet that the worker is dead, and give it the next one too.
            time.sleep(RETRY_SECONDS)
            self.put(run, attempt + 1)
        else:
            _fail(run, f"no worker could begin the run: {error or future.status}")

    def _client(self) -> "Client | None":
        """The client of an engine that lives."""
        if "distributed" not in sys.modules:
            return None
        from distributed import default_client

        try:
            client = default_client()
        except ValueError:
            return None
        process = _process(client)
        gone = client.status != "running" or (process and process.poll() is not None)
        return None if gone else client

    def _start(self) -> "Client":
        from distributed import Client

        self._discard()
        address, process = os.environ.get("NDMIXER_SCHEDULER"), None
        if not address:
            process = _start_process()
            assert process.stdout is not None
            with process.stdout:
                address = process.stdout.readline().decode().strip()
            if not address:
                raise RuntimeError(
                    f"its process ended with exit code {process.wait()}; its messages are on "
                    "the standard error of this one"
                )
        try:
            client = Client(address, timeout="5s", set_as_default=True)
        except OSError as error:
            if process is not None:
                _end_process(process)
            raise RuntimeError(
                f"no scheduler answers; mend or unset NDMIXER_SCHEDULER. Received: {address}"
            ) from error
        client.ndmixer_process = process  # lives as long as its client does
        return client

    def _discard(self) -> None:
        if "distributed" not in sys.modules:
            return
        from distributed import default_client

        with suppress(ValueError):
            client = default_client()
            if hasattr(client, "ndmixer_process"):
                with suppress(Exception):  # its scheduler may be gone
                    client.close(timeout=2)
                if client.ndmixer_process is not None:
                    _end_process(client.ndmixer_process)


def _process(client: "Client") -> subprocess.Popen[bytes] | None:
    """The engine's process; None for somebody else's cluster."""
    return getattr(client, "ndmixer_process", None)


def _start_process() -> subprocess.Popen[bytes]:
    package = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-W", SUDDEN_END, "-c", "from ndmixer.jobs import _serve; _serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**QUIET, **os.environ, "PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for the parent
    )


def _end_process(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _serve() -> None:
    """The engine's process: a scheduler and a nanny for each worker, until stdin ends."""
    parent = threading.Thread(target=_exit_with_parent, daemon=True)
    parent.start()
    answer = os.dup(1)
    os.dup2(2, 1)  # nobody reads what a worker prints to the pipe

    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    dask.config.set(SETTINGS)
    local = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard": False}
    worker = {
        **local,
        "nthreads": 1,
        "memory_limit": 0,
        "dashboard_address": None,
        "preload": ["ndmixer.jobs"],
    }
    cluster = SpecCluster(
        scheduler={"cls": Scheduler, "options": {**local, "dashboard_address": "127.0.0.1:0"}},
        workers={
            role: {"cls": Nanny, "options": {**worker, "resources": {role: ROLE_UNITS}}}
            for role in ROLES
        },
    )
    with os.fdopen(answer, "w") as file:
        print(cluster.scheduler_address, file=file)
    parent.join()


def _exit_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)  # each worker sees the end of its own pipe


def _fail(run: Run, reason: str, details: str = "") -> None:
    with suppress(OSError):
        run.end("failed", reason=reason, details=details)


_importing = threading.Lock()
_engine = _Engine()
