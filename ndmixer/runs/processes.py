"""Whether the process still lives that wrote its name in a file."""

import socket
import time
from pathlib import Path
from typing import Any

import psutil

FRESH_SECONDS = 60  # so long after its last touch is a process on another computer trusted


def this_process() -> dict[str, Any]:
    """The name of this process, as it is written in a file."""
    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": process.pid, "created": process.create_time()}


def lives(path: Path, owner: Any) -> bool:
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
