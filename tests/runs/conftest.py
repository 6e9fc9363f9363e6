from pathlib import Path

import pytest

from ndmixer import TrainSpec, runs
from ndmixer.runs import Run
from tests.runs.made import TINY


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def run() -> Run:
    return runs.create(TINY, TrainSpec(epochs=3))
