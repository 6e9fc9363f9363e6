"""The engine: scheduler, nannies and workers, each a process of its own, by Dask.

    this process  --client-->  the engine's process: scheduler, nannies  -->  workers

The engine has a process of its own because a nanny starts workers by re-importing the
main module of its process, which in a web app would be the app itself, and because a
scheduler should not wait for a page that computes. Every process holds the reading end of
a pipe to the one before it and exits once that is gone, even if it was killed.
"""

import atexit
import hashlib
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndmixer.jobs.training_task import train_task
from ndmixer.runs import Run

if TYPE_CHECKING:
    from distributed import Client, Future

ATTEMPTS = 5  # how often a run is handed to workers that die before they begin it
RETRY_SECONDS = 0.5  # before it is handed to the next
POLL_SECONDS = 0.05  # between two looks at the control file of a paused run

# One worker process for each role. A task asks for one unit of its role. They never run out,
# since one thread runs one task anyway: a paused run gives the thread to the next, not the unit.
ROLES = ("train", "inspect")
ROLE_UNITS = 1_000_000
LARGEST_WORKER = 3 * 2**30  # bytes; a training worker beyond it begins anew when it is idle
ANSWERS = 16  # of the inspecting worker, kept for the next time

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


def start_engine() -> None:
    """Starts the engine in the background, unless it runs; `submit` does so itself."""
    engine.put(None)


def engine_state() -> str:
    """`"idle"`, `"starting"`, `"ready"`, or `"failed: "` and why; the next run tries again."""
    return engine.state


def close_engine() -> None:
    """Ends the engine and with it whatever is training; happens by itself at exit."""
    engine.close()


class Engine:
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
        """See `engine_state`."""
        if self._state == "ready" and self._client() is None:
            return "failed: the engine is gone; the next run starts it again"
        return self._state

    def put(self, run: Run | None, attempt: int = 1) -> None:
        """Starts the engine, if need be, and hands it a run, if there is one; at once."""
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
        """See `close_engine`."""
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
                    if not self._tasks and self._inbox.empty():
                        self._renew()

    def _send(self, run: Run | None, attempt: int) -> None:
        try:
            client = self._client() or self._start()
            self._state = "ready"
            if run is not None:
                future = client.submit(
                    train_task,
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

    def _renew(self) -> None:
        """Begins a training worker anew that has become too large; nothing trains now.

        XLA keeps all that it has compiled, some 80 MB an architecture, until its process ends.
        """
        client = self._client()
        if self._closed or client is None or _process(client) is None:
            return
        with suppress(OSError, TimeoutError):  # the engine went away meanwhile
            workers = client.scheduler_info(n_workers=-1)["workers"]
            large = [
                address
                for address, worker in workers.items()
                if "train" in worker["resources"] and worker["metrics"]["memory"] > LARGEST_WORKER
            ]
            if large:
                client.restart_workers(large, raise_for_error=False)

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
        [sys.executable, "-W", SUDDEN_END, "-c", "from ndmixer.jobs.engine import serve; serve()"],
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


def serve() -> None:
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


engine = Engine()
