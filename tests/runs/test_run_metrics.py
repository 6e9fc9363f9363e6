import json
import subprocess
import sys

import numpy as np
import pytest

from ndmixer.runs import MetricsReader


def test_metrics_are_lines_of_valid_json(run):
    bad = {"loss": float("nan"), "a": [np.float32("inf"), np.int64(3)], "b": np.arange(2)}
    run.append({"step": 1, **bad})
    run.append({"step": 2})
    lines = (run.folder / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert [line[-1:] for line in lines] == [b"\n", b"\n"]
    json.loads(lines[0], parse_constant=pytest.fail)
    first = {"step": 1, "loss": None, "a": [None, 3], "b": [0, 1]}
    assert run.metrics() == [first, {"step": 2}]
    assert run.last_event() == {"step": 2}


@pytest.mark.parametrize("torn", [b'{"step": 2', b'{"step": 2}', b"\xff\x00", b"[1]\n", b"{\n\n"])
def test_torn_last_line_is_passed_over(run, torn):
    run.append({"step": 1})
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(torn)
    assert run.metrics() == [{"step": 1}]
    assert run.last_event() == {"step": 1}


def test_reader_returns_each_event_once_and_whole(run):
    reader = MetricsReader(run)
    assert reader.read() == []
    content = b"".join(b'{"step": %d, "loss": 0.5}\n' % step for step in range(50))
    seen = []
    with (run.folder / "metrics.jsonl").open("ab", buffering=0) as file:
        for start in range(0, len(content), 7):
            file.write(content[start : start + 7])
            seen += reader.read()
    assert [event["step"] for event in seen] == list(range(50))
    assert reader.read() == []


def test_last_event_of_a_long_run_is_found(run):
    lines = b"".join(b'{"step": %d}\n' % step for step in range(20_000))
    (run.folder / "metrics.jsonl").write_bytes(lines)
    assert run.last_event() == {"step": 19_999}


def test_disk_that_is_full_tears_no_line(run):
    script = """
import resource, sys
from pathlib import Path
from ndmixer.runs import Run
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
run = Run(Path(sys.argv[1]))
try:
    for step in range(100):
        run.append({"step": step, "text": "x" * 50})
except OSError:
    run.end("failed", reason="full")
"""
    subprocess.run([sys.executable, "-c", script, run.folder], check=True)
    content = (run.folder / "metrics.jsonl").read_bytes()
    steps = [event["step"] for event in run.metrics()[:-1]]
    assert content.endswith(b"\n")
    assert steps == list(range(len(steps)))
    assert len(steps) > 5
    assert (run.status(), run.error) == ("failed", "full")
