"""The events of a run: a line of `metrics.jsonl` each, added and never changed."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ndmixer.runs.files import Folder

Event = dict[str, Any]

TAIL_BYTES = 65_536  # holds the last line of metrics.jsonl many times


class Metrics(Folder):
    """The part of a run in `metrics.jsonl`."""

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

    def metrics(self) -> list[Event]:
        """All events so far; a line that was torn by a crash is passed over."""
        return MetricsReader(self).read()

    def last_event(self) -> Event | None:
        """The last complete event, read from the end of the file."""
        return next(self._latest(), None)

    def _latest(self) -> Iterator[Event]:
        """The complete events in the end of the file, newest first."""
        try:
            with (self.folder / "metrics.jsonl").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = file.readlines()
        except OSError:
            return
        for line in reversed(lines):  # one at a time: mostly the last will do
            yield from _events(line)

    def _replace(self, events: Iterable[Event]) -> None:
        """Puts other events in the place of all."""
        self._write("metrics.jsonl", b"".join(map(_line, events)))


class MetricsReader:
    """Reads the events that were added since the last call, for a page that polls.

    Args:
        run: The run.

    Attributes:
        restarted: Whether the last call began again with the first event, since the run was
            continued and the file replaced: forget what was read before.
    """

    def __init__(self, run: Folder) -> None:
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
