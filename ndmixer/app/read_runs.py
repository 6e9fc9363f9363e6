"""What was read of the runs, shared by all sessions: each file is read once, however many look."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np

from ndmixer import jobs
from ndmixer.app.live import Curves
from ndmixer.runs import Run

KEPT = 16  # runs that somebody looks at
Arrays = dict[str, np.ndarray]


def curves_of(run: Run) -> Curves:
    """The curves of a run, brought up to date."""
    curves = _curves(run)
    curves.update()
    return curves


def arrays_of(run: Run, ended: bool) -> tuple[Arrays | None, Arrays | None]:
    """The probes and the class averages of a run.

    Args:
        run: The run.
        ended: Whether it will not go on by itself. If it kept none, as one that was uploaded
            or ships with the project, they are then computed, and None until they are.
    """
    live = _arrays(run, "live.npz", run.load_live)
    if live is None and ended:
        with suppress(ValueError):  # it has learned nothing
            found = jobs.probes_of(run)
            return found or (None, None)
    return live, _arrays(run, "averages.npz", run.load_averages)


@lru_cache(maxsize=KEPT)
def _curves(run: Run) -> Curves:
    return Curves(run)


def _arrays(run: Run, name: str, load: Callable[[], Arrays | None]) -> Arrays | None:
    try:
        found = (run.folder / name).stat()
    except OSError:
        return None
    return _file(run, name).read((found.st_mtime_ns, found.st_ino), load)


@lru_cache(maxsize=2 * KEPT)
def _file(run: Run, name: str) -> "_File":
    return _File()


class _File:
    """The newest version of a file that was asked for."""

    def __init__(self) -> None:
        self._lock, self._version, self._content = threading.Lock(), None, None

    def read(self, version: Any, load: Callable[[], Any]) -> Any:
        with self._lock:
            if version != self._version:
                self._version, self._content = version, load()
            return self._content
