import json
import os
import time

import pytest

from tests.runs.made import ELSEWHERE, HERE, RECYCLED, dead_process

EVENT, PAUSED = {"phase": "training", "step": 8}, {"phase": "paused", "step": 8}


@pytest.mark.parametrize(
    ("creator", "lock", "events", "control", "error", "expected"),
    [
        (HERE, None, [], None, False, "queued"),
        (HERE, None, [], "pause", False, "queued"),
        (HERE, None, [], "stop", False, "stopped"),
        ("dead", None, [], None, False, "interrupted"),
        (RECYCLED, None, [], None, False, "interrupted"),
        (None, None, [], None, False, "queued"),  # no creator: as long as the file is fresh
        (HERE, HERE, [], None, False, "running"),
        ("dead", HERE, [EVENT], None, False, "running"),
        (HERE, HERE, [EVENT], "pause", False, "running"),  # asked, not yet done
        (HERE, HERE, [EVENT, PAUSED], "pause", False, "paused"),
        (HERE, HERE, [PAUSED, EVENT], "resume", False, "running"),
        (HERE, "dead", [EVENT], None, False, "interrupted"),
        (HERE, "dead", [EVENT, PAUSED], "pause", False, "interrupted"),
        (HERE, RECYCLED, [EVENT], None, False, "interrupted"),
        (HERE, ELSEWHERE, [EVENT], None, False, "running"),
        (HERE, HERE, [EVENT], None, True, "running"),  # its end is being written
        (HERE, "dead", [EVENT], None, True, "failed"),
        (HERE, "torn", [EVENT], None, False, "running"),  # being written at this moment
        (HERE, None, [EVENT], None, False, "interrupted"),
        (HERE, None, [EVENT], "stop", False, "interrupted"),
        (HERE, None, [EVENT], None, True, "failed"),
        (HERE, None, [], None, True, "failed"),
        (HERE, None, [EVENT, {"end": "finished"}], None, False, "finished"),
        (HERE, HERE, [EVENT, {"end": "stopped"}], "stop", False, "stopped"),
        (HERE, "dead", [EVENT, {"end": "finished"}], None, False, "finished"),
        (HERE, None, [EVENT, {"end": "diverged"}], None, True, "diverged"),
        (HERE, None, [EVENT, {"end": "failed"}], None, True, "failed"),
        (HERE, HERE, [EVENT, {"end": "nonsense"}], None, False, "running"),
    ],
)
def test_status_is_derived(run, creator, lock, events, control, error, expected):
    dead = dead_process() if "dead" in (creator, lock) else None
    info = json.loads((run.folder / "spec.json").read_bytes())
    info["creator"] = dead if creator == "dead" else creator
    (run.folder / "spec.json").write_text(json.dumps(info))
    if lock is not None:
        text = '{"host": "' if lock == "torn" else json.dumps(dead if lock == "dead" else lock)
        (run.folder / "lock").write_text(text)
    for event in events:
        run.append(event)
    if control:
        run.ask(control)
    if error:
        (run.folder / "error.txt").write_text("it broke\n")
    assert run.status() == expected


@pytest.mark.parametrize("owner", [ELSEWHERE, "torn"])
def test_owner_that_cannot_be_asked_must_touch_its_lock(run, owner):
    with run.lock():
        (run.folder / "lock").write_text(json.dumps(owner))
        os.utime(run.folder / "lock", (time.time() - 300,) * 2)
        assert run.status() == "interrupted"
        run.keep_lock()
        assert run.status() == "running"


@pytest.mark.parametrize(
    ("phase", "asked", "until", "taken_up", "awaited"),
    [
        ("training", "pause", None, False, "pause"),
        ("training", "stop", None, False, "stop"),
        ("training", "resume", None, False, None),
        ("training", "step", 64, False, None),
        ("paused", "pause", None, False, None),
        ("paused", "resume", None, False, "resume"),
        ("paused", "stop", None, False, "stop"),
        ("paused", "step", 64, False, "step"),
        ("paused", "step", None, True, None),
    ],
)
def test_what_was_asked_is_awaited_until_it_happened(run, phase, asked, until, taken_up, awaited):
    run.append({"phase": phase, "step": 8})
    run.ask(asked, until)
    late = (run.folder / "metrics.jsonl").stat().st_mtime_ns + (-1 if taken_up else 1) * 10**9
    os.utime(run.folder / "control", ns=(late, late))
    with run.lock():
        assert run.status() == ("paused" if phase == "paused" else "running")
        assert run.awaited(run.status()) == awaited
    run.end("stopped")
    assert run.awaited(run.status()) is None


def test_reason_of_a_failure_is_its_first_line(run):
    run.end("failed", reason="it broke\nbadly", details="Traceback ...\n  line 1")
    assert run.error == "it broke badly"
    assert "line 1" in (run.folder / "error.txt").read_text()
