"""Runs in a state of their own."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import psutil

from ndmixer import PRESETS
from ndmixer.runs import Run

TINY = PRESETS["classifier-tiny"].model
HERE = {"host": socket.gethostname(), "pid": os.getpid(), "created": psutil.Process().create_time()}
RECYCLED = HERE | {"created": HERE["created"] - 100}  # this pid belonged to another process
ELSEWHERE = HERE | {"host": "another-computer"}


def dead_process() -> dict:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = HERE | {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
    process.communicate()
    return owner


TRAINED = [
    {"phase": "loading", "step": 0},
    *({"step": s, "epoch": 1 + (s > 8), "total_steps": 24, "loss": 1.0} for s in (4, 8)),
    {"step": 8, "epoch": 1, "total_steps": 24, "loss": 1.0, "val_loss": 2.0},
    *({"step": s, "epoch": 2, "total_steps": 24, "loss": 1.0} for s in (12, 16)),
    {"step": 16, "epoch": 2, "total_steps": 24, "loss": 1.0, "val_loss": 2.0},
]


def trained(run: Run, step: int, evaluated: int, *, end: str | None = None) -> Run:
    """A run of 3 epochs of 8 steps that has come to step 16 and kept an earlier state."""
    for event in TRAINED:
        run.append(event)
    run.save_state({"w": np.zeros(2), "step": np.array(step), "evaluated": np.array(evaluated)})
    for snapshot in (0, 8, 16):
        run.save_snapshot({"w": np.zeros(2)}, snapshot)
    if end == "interrupted":
        (run.folder / "lock").write_text(json.dumps(dead_process()))
    elif end:
        run.end(end, reason="it broke" if end in ("failed", "diverged") else None, step=16)
    return run
