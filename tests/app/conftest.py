"""Every test has a runs folder of its own, and answers in place of an inspecting worker."""

from collections import defaultdict

import numpy as np
import pytest

from ndmixer import jobs
from ndmixer.runs import files


@pytest.fixture(autouse=True)
def own_runs(tmp_path, tmp_path_factory, monkeypatch):
    """What the pages say does not depend on the models that happen to ship."""
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(files, "MODELS", tmp_path_factory.mktemp("models"))


@pytest.fixture
def answers(monkeypatch):
    """Takes answers to questions of `jobs`, or what makes them; `asked` has the questions."""

    def take(**made):
        for name, answer in made.items():

            def ask(run, *question, name=name, answer=answer):
                take.asked[name].append(question)
                return lambda: answer(run, *question) if callable(answer) else answer

            monkeypatch.setattr(jobs, name, ask)

    take.asked = defaultdict(list)
    monkeypatch.setattr(jobs, "pictures", lambda *_: np.zeros((1, 28, 28), np.float32))
    monkeypatch.setattr(jobs, "thumbnails", lambda _, __, n: np.zeros((n, 28, 28, 1), np.uint8))
    return take
