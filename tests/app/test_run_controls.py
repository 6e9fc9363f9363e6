"""The Train page without a browser and without an engine: what its controls say and ask for."""

import os
import shutil
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ndmixer import PRESETS, ModelSpec, TrainSpec, jobs, runs
from ndmixer.runs import Run, files
from tests.app.pages import open_page, said, shown

opened = partial(open_page, "train")
PRESET = PRESETS["classifier"]
OTHER = (
    ModelSpec(repr_shape=(4, 6), depth=2, hidden_size=8),
    TrainSpec(train_images=2_000, epochs=3, target_accuracy=0.97, max_seconds=90),
)
TOTAL = {"step": 96, "total_steps": 96, "epoch": 3, "learning_rate": 1e-3}


LOCKS = ExitStack()


@pytest.fixture(autouse=True)
def no_engine(monkeypatch):
    monkeypatch.setattr(jobs.engine.engine, "put", lambda run: None)
    monkeypatch.setattr(jobs.engine.engine, "call", lambda *arguments: None)
    with LOCKS:
        yield


def chosen(at: AppTest) -> tuple[ModelSpec, TrainSpec]:
    """What the address bar says."""
    query = {name: address(at, name) for name in at.query_params}
    return ModelSpec.from_query(query), TrainSpec.from_query(query)


def address(at: AppTest, name: str) -> str:
    found = at.query_params[name]
    return found if isinstance(found, str) else found[0]


def press(at: AppTest, label: str) -> AppTest:
    button(at, label).click()
    return shown(at)


def button(at: AppTest, label: str):
    (found,) = (b for b in at.button if b.label == label)
    return found


def made(status: str, specs=OTHER) -> Run:
    """A run of this status, as it lies on the disk."""
    run = runs.create(*specs)
    if status == "queued":
        return run
    run.append(TOTAL | {"phase": "training", "loss": 0.5, "accuracy": 0.9})
    run.save_state({"step": np.array(96), "evaluated": np.array(96)})
    if status in ("running", "paused"):
        LOCKS.enter_context(run.lock())
        if status == "paused":
            run.append(TOTAL | {"phase": "paused"})
    elif status != "interrupted":
        run.end(status, step=96)
    assert run.status() == status
    return run


def test_address_is_taken_up_whole_and_given_back():
    query = {**OTHER[0].to_query(), **OTHER[1].to_query()}
    at = opened(**query)
    assert chosen(at) == OTHER
    assert address(at, "target_accuracy") == "0.97"
    assert address(at, "max_seconds") == "90"
    assert not at.toast
    at.select_slider(key="max_seconds").set_value("none")
    shown(at)
    assert chosen(at)[1] == OTHER[1].model_copy(update={"max_seconds": None})


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"depth": "999999"}, "depth: Input should be less than"),
        ({"depth": "64"}, "depth: the app takes at most 32 blocks. Received: 64"),
        ({"depth": "9" * 5_000}, "depth: "),
        ({"repr_shape": "banana"}, "write a shape as whole numbers"),
        ({"repr_shape": "65536x65536"}, "parameters and the app trains at most 5,000,000"),
        ({"in_shape": "x".join(["1"] * 26)}, "at most 25 axes"),
        (
            {"in_shape": "784" + "x1" * 24, "repr_shape": "x".join(["65536"] * 25)},
            "parameters and the app trains at most",
        ),
        ({"repr_shape": "128x128", "batch_size": "65536"}, "GFLOP and the app allows 200"),
        (
            {"epochs": "10000"},
            "would see 600,000,000 images (60,000 in each of 10,000 epochs), about 1,",
        ),
        ({"epochs": "1e9"}, "epochs: "),
        ({"train_images": "60001"}, "MNIST has 60,000; choose at most so many. Received: 60,001"),
        ({"train_images": "0"}, "train_images: "),
        ({"learning_rate": "nan"}, "learning_rate: "),
        ({"target_accuracy": "97"}, "target_accuracy: "),
        ({"max_seconds": "inf"}, "max_seconds: "),
        ({"seed": "-1"}, "seed: "),
        ({"dataset": "/etc/passwd"}, "dataset: choose one of mnist"),
        ({"task": "![x](http://localhost/y)"}, "task: "),
        ({"gate": "perhaps"}, "gate: "),
    ],
)
def test_hostile_address_is_said_and_left_out(query, reason):
    at = opened(**query)
    assert reason in at.toast[0].value.replace("\\", "")
    assert chosen(at) == (PRESET.model, PRESET.train)
    assert not button(at, "Train").disabled
    assert runs.list_runs() == []


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "a" * 500, "no-such-run"])
def test_address_of_no_run_shows_none(name):
    at = opened(name, unknown="x")
    assert "untrained" in said(at)
    assert set(at.query_params) == {*ModelSpec.model_fields, *TrainSpec.model_fields}


def test_link_to_a_run_alone_opens_its_settings_and_wrong_ones_do_not():
    run = made("finished")
    assert chosen(opened(run)) == OTHER
    foreign = made("finished", (OTHER[0], TrainSpec(dataset="/tmp/own.npz")))
    at = opened(foreign)
    assert chosen(at) == (PRESET.model, PRESET.train)
    assert "Take the run's settings" not in {b.label for b in at.button}


def test_shipped_model_is_shown_before_there_is_a_folder_of_runs():
    folder = runs.runs_folder()
    made("finished").folder.rename(files.MODELS / "classifier")
    shutil.rmtree(folder)
    assert "finished" in said(opened("classifier"))


BUTTONS = ("Pause", "Resume", "64 steps", "1 epoch", "Stop", "Reset")


@pytest.mark.parametrize(
    ("status", "asked", "says", "on"),
    [
        (None, None, "untrained", {"64 steps", "1 epoch"}),
        ("queued", None, "queued, 1st in the queue", {"64 steps", "1 epoch", "Stop", "Reset"}),
        ("running", None, "running", {"Pause", "Stop", "Reset"}),
        ("running", "pause", "pausing …", {"Stop", "Reset"}),
        ("running", "stop", "stopping …", {"Reset"}),
        ("running", "step", "to the end of", {"Pause", "64 steps", "1 epoch", "Stop", "Reset"}),
        ("paused", None, "paused", {"Resume", "64 steps", "1 epoch", "Stop", "Reset"}),
        ("paused", "resume", "resuming …", {"64 steps", "1 epoch", "Stop", "Reset"}),
        ("paused", "step", "stepping …", {"64 steps", "1 epoch", "Stop", "Reset"}),
        ("stopped", None, "stopped", {"64 steps", "1 epoch", "Reset"}),
        ("interrupted", None, "interrupted", {"64 steps", "1 epoch", "Reset"}),
    ],
)
def test_buttons_keep_their_place_and_say_what_is_on_its_way(status, asked, says, on):
    run = made(status) if status else None
    if run and asked:
        run.ask(asked)
        later = (run.folder / "metrics.jsonl").stat().st_mtime_ns + 10**9
        os.utime(run.folder / "control", ns=(later, later))
    at = opened(run)
    found = [b for b in at.button if b.label in BUTTONS]
    first = "Resume" if status == "paused" else "Pause"
    assert [b.label for b in found] == [first, "64 steps", "1 epoch", "Stop", "Reset"]
    assert {b.label for b in found if not b.disabled} == on
    assert says in said(at)


@pytest.mark.parametrize(
    ("status", "label", "control"),
    [
        ("running", "Pause", "pause"),
        ("running", "Stop", "stop"),
        ("paused", "Resume", "resume"),
        ("paused", "64 steps", "step 160"),
        ("paused", "1 epoch", "step"),
        ("queued", "64 steps", "step 64"),
        ("queued", "Stop", "stop"),
        ("running", "Reset", "stop"),
    ],
)
def test_button_leaves_its_wish_for_the_worker(status, label, control):
    run = made(status)
    at = opened(run)
    press(at, label)
    assert (run.folder / "control").read_text() == control
    if label == "Reset":
        assert "run" not in at.query_params
        assert "untrained" in said(at)
        assert "kept in Runs" in said(at)
        made("running")
        assert "untrained" in said(shown(at))  # and no run of others takes its place


@pytest.mark.parametrize(("label", "control"), [("64 steps", "step 64"), ("1 epoch", "step")])
def test_step_without_a_run_starts_one_that_pauses(label, control):
    at = opened()
    press(at, label)
    (run,) = runs.list_runs()
    assert (run.model_spec, run.train_spec) == (PRESET.model, PRESET.train)
    assert (run.folder / "control").read_text() == control
    assert address(at, "run") == run.id


def test_what_train_leaves_behind_is_said_before_and_can_be_taken_back():
    run = made("paused")
    at = opened(run)
    assert "The settings are those of the run" in said(at)
    at.slider(key="depth").set_value(5)
    at.slider(key="epochs").set_value(7)
    shown(at)
    assert "has other settings: blocks 2, epochs 3. Train starts a new run" in said(at)
    press(at, "Take the run's settings")
    assert chosen(at) == OTHER
    assert "The settings are those of the run" in said(at)
    at.slider(key="depth").set_value(5)
    shown(at)
    press(at, "Train")
    new = runs.open_run(address(at, "run"))
    assert (new.id != run.id, new.model_spec.depth) == (True, 5)
    assert (run.status(), run.asked()) == ("paused", None)
    assert "The settings are those of the run" in said(at)


def test_waiting_runs_tell_their_place_in_the_queue():
    made("running")
    first, second = made("queued"), made("queued")
    os.utime(first.folder / "spec.json", (1, 1))
    assert "queued, 2nd in the queue" in said(opened(second))
    first.ask("stop")
    assert "queued, 1st in the queue" in said(opened(second))


@pytest.mark.parametrize(
    ("status", "more", "epochs"), [("finished", 10, 13), ("stopped", 4, 7), ("interrupted", 1, 4)]
)
def test_ended_run_is_continued_for_more_epochs(status, more, epochs):
    run = made(status)
    at = opened(run)
    epochs_box = next(box for box in at.number_input if box.label == "More epochs")
    assert epochs_box.value == 10
    epochs_box.set_value(more)
    shown(at)
    press(at, f"Continue to epoch {epochs}")
    assert run.status() == "queued"
    assert "queued, 1st in the queue" in said(at)
    with run.lock():
        run.begin()
    assert run.train_spec.epochs == epochs


def test_run_that_cannot_be_continued_says_why():
    run = runs.create(*OTHER)  # as it is after an upload without metrics
    run.save_weights({}, 96)
    run.end("finished", step=96)
    at = opened(run)
    press(at, "Continue to epoch 3")
    assert "has kept no state of its optimizer" in said(at)
    assert run.status() == "finished"


def test_learning_rate_of_a_run_is_its_own():
    run = made("running")
    at, other = opened(run), opened(run)
    slider = next(s for s in at.select_slider if s.label == "Learning rate of this run")
    slider.set_value(0.01)
    shown(at)
    assert run.learning_rate() == 0.01
    assert "In force: 0.001." in said(at)
    run.append(TOTAL | {"phase": "training", "loss": 0.4, "accuracy": 0.9, "learning_rate": 0.01})
    assert "In force: 0.01." in said(shown(at))
    shown(other)
    assert [s.value for s in other.select_slider if s.label == slider.label] == [0.01]
    assert run.learning_rate() == 0.01
    assert chosen(at)[1].learning_rate == 1e-3
