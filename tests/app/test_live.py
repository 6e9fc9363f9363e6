"""What the browser is sent of a run."""

import json

import numpy as np
import pytest

from ndmixer import ModelSpec, TrainSpec, runs
from ndmixer.app.live import MAX_POINTS, Curves, _packed


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path))
    return runs.create(ModelSpec(depth=1), TrainSpec())


def told(run, step, **event):
    run.append({"phase": "training", "step": step, "gates": [0.5], **event})


def test_curves_of_a_diverged_run_keep_its_true_points(run):
    steps = 2 * MAX_POINTS + 1
    for step in range(1, steps):
        told(run, step, loss=float(step), accuracy=0.5)
    told(run, steps, loss=np.inf, accuracy=0.1)
    run.end("diverged", step=steps)
    curves = Curves(run)
    curves.update()
    assert curves.diverged == steps
    arrays = curves.arrays()
    assert len(arrays["step"]) <= MAX_POINTS
    finite = np.isfinite(arrays["loss"])
    ends = arrays["step"][finite]
    starts = np.append(0, ends[:-1])
    true = [np.arange(a + 1, min(b, steps - 1) + 1).mean() for a, b in zip(starts, ends)]  # noqa: B905
    np.testing.assert_allclose(arrays["loss"][finite], true)


def test_curves_of_a_run_that_goes_on_forget_its_end(run):
    told(run, 1, loss=1.0, accuracy=0.5)
    run.end("diverged", step=2)
    curves = Curves(run)
    curves.update()
    assert curves.diverged == 2
    content = (run.folder / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    run._write("metrics.jsonl", content[0])
    curves.update()
    assert curves.diverged is None
    assert curves.arrays()["step"].tolist() == [1]


def test_packed_bytes_read_back_as_written():
    arrays = {"a": np.arange(3, dtype=np.float32), "b": np.zeros(0, np.float32)}
    content = _packed({"run": "x"}, arrays)
    length = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + length])
    assert header == {"run": "x", "arrays": [["a", 3], ["b", 0]]}
    assert np.frombuffer(content[4 + length :], np.float32).tolist() == [0, 1, 2]
