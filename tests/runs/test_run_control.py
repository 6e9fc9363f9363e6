import os

import pytest


def test_write_that_fails_leaves_the_old_file_and_no_other(run, monkeypatch):
    run.ask("pause")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        run.ask("resume")
    assert run.asked() == "pause"
    assert {path.name for path in run.folder.iterdir()} == {"spec.json", "control"}


@pytest.mark.parametrize("until", [None, 64])
def test_step_is_asked_with_its_end(run, until):
    run.ask("step", until)
    assert (run.asked(), run.asked_until()) == ("step", until)
    run.ask("pause")
    assert (run.asked(), run.asked_until()) == ("pause", None)


def test_stop_cannot_be_taken_back(run):
    assert run.asked() is None
    for action, expected in [("pause", "pause"), ("resume", "resume"), ("stop", "stop")]:
        run.ask(action)
        assert run.asked() == expected
    run.ask("resume")
    run.ask("step", 64)
    assert run.asked() == "stop"
    with pytest.raises(ValueError, match="ask for one of pause, resume, step, stop"):
        run.ask("explode")


@pytest.mark.parametrize("value", [0, -1e-3, 10.5, float("nan"), float("inf")])
def test_learning_rate_is_set_if_it_is_one(run, value):
    assert run.learning_rate() == 1e-3
    with pytest.raises(ValueError, match=r"above 0, at most 10\. Received: "):
        run.set_learning_rate(value)
    run.set_learning_rate(0.1 + 0.2)
    assert run.learning_rate() == 0.1 + 0.2
    (run.folder / "learning_rate").write_text("?")
    assert run.learning_rate() == 1e-3
