import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pytest

from ndmixer import ModelSpec, TrainSpec, accounting, jobs, load_dataset, runs
from ndmixer.geometry import class_averages, distance_matrix
from ndmixer.runs import Run

TINY = ModelSpec(repr_shape=(4, 4), depth=1)
SHORT = TrainSpec(train_images=2_000, epochs=2)
LONG = TrainSpec(train_images=2_000, epochs=10_000)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory) -> Iterator[Path]:
    """One engine for all tests of this file: it starts once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NDMIXER_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.delenv("NDMIXER_SCHEDULER", raising=False)
        jobs.start_engine()
        yield runs.runs_folder()
        jobs.close_engine()


@pytest.fixture
def submit() -> Iterator[Callable[..., Run]]:
    submitted = []

    def call(train: TrainSpec = LONG, model: ModelSpec = TINY, name: str | None = None) -> Run:
        run = runs.open_run(jobs.submit(model, train, name))
        submitted.append(run)
        return run

    yield call
    for run in submitted:
        if run.folder.exists():
            run.ask("stop")
    wait(lambda: all(run.status() not in ("running", "paused") for run in submitted))


def wait(condition: Callable[[], object], seconds: float = 60) -> float:
    """Seconds until the condition holds."""
    start = time.perf_counter()
    while not condition():
        assert time.perf_counter() - start < seconds, "waited in vain"
        time.sleep(0.005)
    return time.perf_counter() - start


def wait_for(run: Run, *expected: str, seconds: float = 60) -> float:
    return wait(lambda: run.status() in expected, seconds)


def trains(run: Run, step: int = 100) -> bool:
    """Whether steps are being taken; the first hundred surely include compiled ones."""
    event = run.last_event() or {}
    assert run.error is None
    return event.get("phase") == "training" and event["step"] > step


def worker_of(run: Run) -> psutil.Process:
    wait(lambda: (run.folder / "lock").read_bytes())  # it is made first and filled then
    return psutil.Process(json.loads((run.folder / "lock").read_bytes())["pid"])


def test_run_trains_to_its_end_once(submit):
    run = submit(SHORT, name="short")
    wait_for(run, "finished")
    assert jobs.engine_state() == "ready"
    events = run.metrics()
    assert events[0] == {"phase": "loading", "step": 0}
    assert events[-1]["end"] == "finished"
    assert events[-1]["step"] == events[-2]["total_steps"] == 64
    assert [e["epoch"] for e in events if "val_accuracy" in e] == [1, 2]
    assert {0, 32, 64} <= set(run.snapshots())
    last = run.load_weights()
    assert {n: w.shape for n, w in last.items()} == accounting(TINY).weights
    averages, data = run.load_averages(), load_dataset("mnist")
    assert (averages.pop("step"), averages.pop("images")) == (64, 1_000)
    assert list(averages) == [stage.name for stage in accounting(TINY).stages]
    expected = class_averages(data.x_test[:1_000], data.y_test[:1_000])
    np.testing.assert_allclose(averages["input"], expected, atol=1e-5)
    np.testing.assert_allclose(
        averages["logits"],
        averages["head"].reshape(10, -1) @ last["logits/kernel"] + last["logits/bias"],
        atol=1e-3,
    )
    for name, array in run.load_weights(64).items():
        np.testing.assert_array_equal(last[name], array)
    assert any((last[name] != array).any() for name, array in run.load_weights(0).items())
    assert not (run.folder / "lock").exists()
    told = [{k: v for k, v in e.items() if k != "elapsed"} for e in events]
    assert all(before != after for before, after in itertools.pairwise(told))

    with pytest.raises(runs.RunLocked, match="trained before"):
        jobs.train_run(run)
    jobs.training_task.train_task(str(run.folder))  # a task that is told to do it again
    assert run.metrics() == events


def test_classes_are_looked_at_while_another_run_trains(submit):
    done, busy = submit(SHORT), submit()
    wait_for(done, "finished")
    wait(lambda: trains(busy, 0))

    def ask(run: Run, step: int | None, stage: str, *more) -> dict[str, np.ndarray]:
        answer = jobs.class_geometry(run, step, stage, *more)
        wait(lambda: answer() is not None)
        return answer()

    found = ask(done, None, "block_0")
    assert found["step"] == done.last_event()["step"]
    assert found["averages"].shape == found["deviations"].shape == (10, 4, 4)
    assert found["counts"].sum() == len(found["labels"]) == 10_000
    # The training measured its accuracy on the same images, by another program.
    measured = [e["val_accuracy"] for e in done.metrics() if "val_accuracy" in e][-1]
    assert np.mean(found["predictions"] == found["labels"]) == pytest.approx(measured, abs=1e-4)
    np.testing.assert_array_equal(
        found["distances"][list(found["stages"]).index("block_0")],
        distance_matrix(found["averages"]),
    )
    first = ask(done, 0, "block_0/axis_1", "train", 500, "mahalanobis", True)
    assert (first["step"], first["sample"], len(first["labels"])) == (0, 500, 500)
    assert "block_0/axis_1" in first["stages"]
    assert ask(busy, None, "embed")["step"] >= 0
    assert busy.status() == "running"

    wait(lambda: jobs.pictures("mnist", "test", [3, 1]) is not None)
    images = jobs.pictures("mnist", "test", [3, 1])
    np.testing.assert_array_equal(images, load_dataset("mnist").x_test[[3, 1]])
    wait(lambda: jobs.thumbnails("mnist", "test", 5) is not None)
    small = jobs.thumbnails("mnist", "test", 5)
    assert (small.shape, small.dtype) == ((5, 28, 28, 1), np.uint8)
    np.testing.assert_array_equal(small[3, ..., 0], np.rint(255 * images[0]))

    with pytest.raises(ValueError, match="choose one of the snapshots 0, "):
        jobs.class_geometry(done, 5, "embed")
    with pytest.raises(ValueError, match="the stages of this model are input, embed"):
        ask(done, None, "block_7")
    with pytest.raises(ValueError, match="the run has no weights"):
        jobs.class_geometry(runs.create(TINY, SHORT), None, "embed")


def test_stop_takes_effect_within_300_ms_and_at_once_in_the_queue(submit):
    first, second = submit(), submit()
    wait(lambda: trains(first))
    assert second.status() == "queued"
    jobs.stop(second.id)
    assert second.status() == "stopped"
    jobs.stop(first.id)
    assert wait_for(first, "stopped") < 0.3
    assert first.load_weights().keys() == accounting(TINY).weights.keys()
    wait(lambda: second.last_event() is not None)
    assert second.last_event() == {"step": 0, "end": "stopped"}


def test_paused_run_lets_others_train_and_goes_on_where_it_was(submit):
    first = submit()
    wait(lambda: trains(first))
    jobs.pause(first.id)
    assert wait_for(first, "paused") < 0.3
    step = first.last_event()["step"]
    assert step in first.snapshots()

    second = submit(SHORT)
    wait_for(second, "finished")
    assert jobs.status(first.id) == "paused"
    assert first.last_event()["step"] == step

    jobs.resume(first.id)
    wait(lambda: first.last_event()["step"] > step)
    assert jobs.status(first.id) == "running"
    elapsed = [event["elapsed"] for event in first.metrics() if "elapsed" in event]
    assert elapsed == sorted(elapsed)
    jobs.pause(first.id)
    wait_for(first, "paused")
    jobs.stop(first.id)
    assert wait_for(first, "stopped") < 0.3


@pytest.mark.parametrize(
    ("change", "expected", "reason"),
    [
        ({"dataset": "nowhere.npz"}, "failed", "there is no such file"),
        ({"train_images": 100_000}, "failed", "choose at most so many"),
        ({"dataset": "huge.npz", "train_images": None}, "diverged", "smaller learning rate"),
    ],
)
def test_failure_says_why(submit, tmp_path, change, expected, reason):
    x = np.full((64, 28, 28), 1e30, np.float32)  # its square is infinite
    y = np.arange(64) % 10
    np.savez(tmp_path / "huge.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    if "dataset" in change:
        change = change | {"dataset": str(tmp_path / change["dataset"])}
    autoencoder = ModelSpec(task="autoencoder", repr_shape=(4, 4), depth=1)
    run = submit(SHORT.model_copy(update=change), autoencoder)
    wait_for(run, "failed", "diverged", "finished")
    assert run.status() == expected
    assert reason in run.error
    assert run.last_event()["end"] == expected


def test_deleted_run_makes_room_for_the_next(submit):
    first, second = submit(), submit()
    wait(lambda: trains(first, 0))
    first.folder.rename(first.folder.with_name(".deleted"))
    wait(lambda: trains(second, 0))


def test_killed_worker_interrupts_its_run_alone(submit):
    first, second = submit(), submit(SHORT)
    wait(lambda: trains(first, 0))
    worker_of(first).kill()
    assert wait_for(first, "interrupted") < 5
    wait_for(second, "finished")
    assert first.status() == "interrupted"


def test_paused_run_takes_exact_steps_and_pauses_again(submit):
    run = submit()
    wait(lambda: trains(run))
    jobs.pause(run.id)
    wait_for(run, "paused")

    def paused_at(step: int) -> bool:
        return run.status() == "paused" and run.last_event()["step"] == step

    for steps in (64, 1, 7):
        start = run.last_event()["step"]
        jobs.step(run.id, steps)
        wait(lambda: paused_at(start + steps))  # noqa: B023
    time.sleep(0.2)
    assert paused_at(start + 7)
    jobs.step(run.id, 5)
    jobs.step(run.id, 5)  # presses add up
    wait(lambda: paused_at(start + 17))

    jobs.step(run.id)
    end = -(-(start + 17) // 32) * 32
    wait(lambda: paused_at(end))
    assert max(e["step"] for e in run.metrics() if "val_loss" in e) == end
    jobs.step(run.id)
    wait(lambda: paused_at(end + 32))
    assert max(e["step"] for e in run.metrics() if "val_loss" in e) == end + 32
    with pytest.raises(ValueError, match=r"at least one step\. Received: steps=0"):
        jobs.step(run.id, 0)
    jobs.resume(run.id)
    wait(lambda: run.status() == "running" and run.last_event()["step"] > end + 32)


def test_learning_rate_changes_while_it_trains_and_stays(submit):
    run = submit()
    wait(lambda: trains(run))
    assert run.last_event()["learning_rate"] == 1e-3
    jobs.set_learning_rate(run.id, 0.002)
    assert wait(lambda: run.last_event()["learning_rate"] == 0.002) < 1
    jobs.stop(run.id)
    wait_for(run, "stopped")
    step = run.last_event()["step"]
    continue_soon(run)
    wait(lambda: trains(run, step))
    assert run.last_event()["learning_rate"] == 0.002


def continue_soon(run: Run, epochs: int | None = None) -> None:
    jobs.continue_run(run.id, epochs)
    assert run.status() in ("queued", "running")


def begun_with(weights: dict[str, np.ndarray], train: TrainSpec) -> Run:
    """A run that was stopped before its first step."""
    run = runs.create(TINY, train)
    moments = {
        f"adam/{moment}/{name}": np.zeros_like(array)
        for moment in ("mean", "variance")
        for name, array in weights.items()
    }
    run.save_state({**weights, **moments, "step": np.array(0), "evaluated": np.array(0)})
    run.ask("stop")
    return run


def test_run_killed_or_stopped_goes_on_as_if_unbroken(submit):
    train = SHORT.model_copy(update={"epochs": 28, "seed": 4})
    run = submit(train.model_copy(update={"epochs": 24}))
    wait(lambda: trains(run))
    worker_of(run).kill()
    wait_for(run, "interrupted")
    killed_at = run.last_event()["step"]
    continue_soon(run)
    wait(lambda: trains(run, killed_at))
    with pytest.raises(runs.RunLocked, match="goes on by itself"):
        jobs.continue_run(run.id)
    jobs.stop(run.id)
    wait_for(run, "stopped")
    continue_soon(run)
    wait_for(run, "finished")
    assert run.last_event()["step"] == 768
    with pytest.raises(ValueError, match="choose more epochs"):
        jobs.continue_run(run.id, 24)
    continue_soon(run, 28)
    wait_for(run, "finished")

    unbroken = begun_with(run.load_weights(0), train)
    jobs.continue_run(unbroken.id)
    wait_for(unbroken, "finished")
    weights, expected = run.load_weights(), unbroken.load_weights()
    for name, array in expected.items():
        np.testing.assert_array_equal(weights[name], array)
    events = run.metrics()
    steps = [event["step"] for event in events]
    assert steps == sorted(steps)
    elapsed = [event["elapsed"] for event in events if "elapsed" in event]
    assert elapsed == sorted(elapsed)
    results = [
        [(e["step"], e["val_loss"], e["val_accuracy"]) for e in r if "val_loss" in e]
        for r in (events, unbroken.metrics())
    ]
    assert results[0] == results[1]
    assert [e["end"] for e in events if "end" in e] == ["finished"]
    jobs.training_task.train_task(str(run.folder))  # a task that is told to do it again
    assert run.metrics() == events


def test_run_killed_again_and_again_is_interrupted_and_goes_on(submit):
    run = submit()
    wait(lambda: trains(run, 0))
    for _ in range(3):
        worker_of(run).kill()
        wait_for(run, "interrupted")
        continue_soon(run)
        wait(lambda: run.status() == "running")  # at any moment of its beginning
    wait(lambda: trains(run))


def test_worker_that_became_too_large_begins_anew_when_nothing_trains(submit, monkeypatch):
    monkeypatch.setattr(jobs.engine, "LARGEST_WORKER", 0)
    run = submit()
    wait(lambda: trains(run))
    first = worker_of(run)
    jobs.stop(run.id)
    wait(lambda: not first.is_running())
    assert run.status() == "stopped"
    monkeypatch.undo()
    run = submit(SHORT)
    wait_for(run, "finished")


def test_stop_takes_back_a_wish_to_continue(submit):
    first, second = submit(SHORT), submit()
    wait_for(first, "finished")
    wait(lambda: trains(second))
    events = first.metrics()
    jobs.continue_run(first.id)
    assert first.status() == "queued"
    jobs.stop(first.id)
    assert first.status() == "finished"
    jobs.stop(second.id)
    wait(lambda: not (first.folder / "continue").exists())
    assert first.metrics() == events


def test_killed_engine_interrupts_its_run_alone(submit):
    first, second = submit(), submit()
    wait(lambda: trains(first, 0))
    engine = worker_of(first).parent()
    assert engine.parent().pid == os.getpid()
    engine.kill()
    assert wait_for(first, "interrupted") < 5
    wait(lambda: trains(second, 0))
    assert jobs.engine_state() == "ready"


@pytest.fixture
def small_disk(tmp_path, monkeypatch) -> Iterator[Path]:
    """A disk of one megabyte that holds the run folders."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    monkeypatch.setenv("NDMIXER_RUNS", str(disk))
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_full_disk_fails_the_run_with_the_reason_and_harms_no_other(small_disk, submit):
    early = submit(SHORT)
    wait_for(early, "finished")
    weights = early.load_weights()
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free - 32 * 1024))
    run = submit()
    wait_for(run, "failed")
    (small_disk / "ballast").unlink()
    assert "the disk is full; free some space" in (run.error or "")
    assert early.status() == "finished"
    np.testing.assert_equal(early.load_weights(), weights)
    jobs.continue_run(run.id)
    wait(lambda: run.error is None)  # it has begun anew
    wait(lambda: trains(run))


class App(NamedTuple):
    process: subprocess.Popen
    run: Run
    waiting: Run
    answer: dict


APP = """
import json, os, sys, time
from ndmixer import ModelSpec, TrainSpec, jobs, runs
spec = ModelSpec(repr_shape=(4, 4), depth=1), TrainSpec(train_images=2_000, epochs=10_000)
start = time.perf_counter()
ids = [jobs.submit(*spec), jobs.submit(*spec)]
taken = time.perf_counter() - start
while jobs.engine_state() == "starting":
    time.sleep(0.02)
while jobs.status(ids[0]) == "queued":
    time.sleep(0.02)
heavy = sorted({"tensorflow", "keras"} & set(sys.modules))
print(json.dumps({"ids": ids, "taken": taken, "heavy": heavy, "state": jobs.engine_state()}))
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture(scope="module")
def app(folder) -> Iterator[App]:
    """Another process that submitted two runs and now does nothing."""
    process = subprocess.Popen([sys.executable, "-c", APP], stdout=subprocess.PIPE, text=True)
    with process, process.stdout:
        answer = json.loads(process.stdout.readline())
        yield App(process, *map(runs.open_run, answer["ids"]), answer)
        process.kill()


def test_submitting_is_quick_and_loads_no_tensorflow(app):
    assert app.answer["heavy"] == []
    assert app.answer["state"] == "ready"
    assert app.answer["taken"] < 0.5
    assert app.waiting.status() == "queued"


def test_engine_listens_on_this_computer_only(app):
    processes = psutil.Process(app.process.pid).children(recursive=True)
    ports = [c.laddr for p in processes for c in p.net_connections("tcp") if c.status == "LISTEN"]
    assert ports
    assert {address.ip for address in ports} == {"127.0.0.1"}
    assert 8787 not in {address.port for address in ports}


def test_no_process_outlives_a_killed_parent(app):
    children = psutil.Process(app.process.pid).children(recursive=True)
    assert any(child.pid == worker_of(app.run).pid for child in children)
    app.process.send_signal(signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert (len(gone), alive) == (len(children), [])
    assert app.run.status() == "interrupted"
    assert app.waiting.status() == "interrupted"


@pytest.mark.parametrize(
    ("address", "expected", "reason"),
    [("existing", "finished", ""), ("tcp://127.0.0.1:9", "failed", "no scheduler answers")],
)
def test_scheduler_of_ones_own_is_used(submit, address, expected, reason):
    if address == "existing":
        wait_for(submit(SHORT), "finished")  # the engine runs
        from distributed import default_client

        address = default_client().scheduler.address
    code = """
import time
from ndmixer import ModelSpec, TrainSpec, jobs, runs
model = ModelSpec(repr_shape=(4, 4), depth=1)
run = runs.open_run(jobs.submit(model, TrainSpec(train_images=2_000, epochs=2)))
while run.status() in ("queued", "running"):
    time.sleep(0.02)
import psutil
assert not psutil.Process().children()
print(run.status(), run.error or "", jobs.engine_state(), sep="|")
"""
    environment = os.environ | {"NDMIXER_SCHEDULER": address}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    status, error, state = result.stdout.strip().split("|")
    assert (status, state.partition(":")[0]) == (expected, "failed" if reason else "ready")
    assert reason in error
