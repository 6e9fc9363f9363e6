import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from ndmixer import TrainSpec, runs
from ndmixer.runs import MetricsReader, Run
from tests.runs.made import HERE, TINY, TRAINED, dead_process, trained


def test_one_of_many_gets_the_lock(run):
    start, go_on, entered, refused = threading.Barrier(9), threading.Event(), [], []

    def try_it(number: int) -> None:
        start.wait()
        try:
            with run.lock():
                entered.append(number)
                go_on.wait(10)
        except runs.RunLocked as error:
            refused.append(str(error))
            if len(refused) == 7:
                go_on.set()

    threads = [threading.Thread(target=try_it, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join()
    assert (len(entered), len(refused)) == (1, 7)
    assert all("the run is being trained" in text for text in refused)
    assert not (run.folder / "lock").exists()


def test_lock_of_a_dead_process_is_not_taken_over(run):
    (run.folder / "lock").write_text(json.dumps(dead_process()))
    with pytest.raises(runs.RunLocked, match="was interrupted"), run.lock():
        pass
    assert run.status() == "interrupted"


def test_only_a_dead_lock_is_removed(run):
    (run.folder / "lock").write_text(json.dumps(HERE))
    run._remove_dead_lock()
    assert json.loads((run.folder / "lock").read_bytes()) == HERE
    (run.folder / "lock").write_text(json.dumps(dead_process()))
    run._remove_dead_lock()
    assert {path.name for path in run.folder.iterdir()} == {"spec.json"}


@pytest.mark.parametrize("end", ["interrupted", "stopped", "failed", "diverged"])
@pytest.mark.parametrize(
    ("step", "evaluated", "kept"), [(10, 8, 4), (8, 8, 4), (8, 0, 3), (16, 16, 7), (16, 8, 6)]
)
def test_continued_run_forgets_what_came_after_its_state(run, end, step, evaluated, kept):
    trained(run, step, evaluated, end=end)
    run.ask("stop")
    reader = MetricsReader(run)
    before = reader.read()
    assert not reader.restarted
    assert run.status() == end
    run.ask_to_continue(5)
    assert run.status() == "queued"
    assert run.asked() is None
    assert run.metrics() == before  # nothing is lost as long as nobody has begun
    with pytest.raises(runs.RunLocked, match="the run goes on by itself"):
        run.ask_to_continue()
    with run.lock():
        assert run.status() == "running"
        state, event = run.begin()
        assert run.status() == "running"
        assert int(state["step"]) == step
        assert (event["phase"], event["step"], event["loss"]) == ("loading", step, 1.0)
        assert run.metrics() == [*TRAINED[:kept], event]
        assert reader.read() == run.metrics()
        assert reader.restarted
        assert run.snapshots() == [s for s in (0, 8, 16) if s <= step]
        assert run.error is None
        assert run.train_spec == TrainSpec(epochs=5)
        with pytest.raises(runs.RunLocked, match="trained before"):
            run.begin()
    assert run.status() == "interrupted"
    assert {path.name for path in run.folder.iterdir()} == {
        *("spec.json", "metrics.jsonl", "snapshots", "state.safetensors")
    }


def test_wish_to_continue_that_nobody_can_fulfil_leaves_the_run_as_it_was(run):
    trained(run, 16, 16, end="failed")
    run.ask_to_continue()
    wish = run.folder / "continue"
    content = json.loads(wish.read_bytes())
    wish.write_text(json.dumps(content | {"creator": dead_process()}))
    assert run.status() == "failed"
    run.ask_to_continue()
    assert run.status() == "queued"
    run.ask("stop")
    assert run.status() == "failed"
    run.ask_to_continue()
    assert run.status() == "queued"
    run.end("failed", reason="no worker")
    assert (run.status(), run.error, wish.exists()) == ("failed", "no worker", False)


def test_reason_without_room_for_its_file_is_told_and_ends_no_stop_condition(monkeypatch):
    run = runs.create(TINY, TrainSpec(epochs=3, max_seconds=30))

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_write", full)
        run.end("failed", reason="the disk is full")
    assert (run.status(), run.error) == ("failed", "the disk is full")
    run.ask_to_continue()
    with run.lock():
        run.begin()
    assert run.train_spec.max_seconds == 30


@pytest.mark.parametrize("cut_off", ["spec.json", "metrics.jsonl", "error.txt", "continue"])
def test_worker_killed_while_it_begins_leaves_an_interrupted_run(run, monkeypatch, cut_off):
    trained(run, 10, 8, end="failed")
    run.ask_to_continue()
    (run.folder / "lock").write_text(json.dumps(HERE))
    write, unlink = Run._write, Path.unlink

    def killed(target: Path) -> None:
        if target.name == cut_off:
            raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_write", lambda r, n, c: (killed(r.folder / n), write(r, n, c)))
        patch.setattr(Path, "unlink", lambda p, **kw: (killed(p), unlink(p, **kw)))
        with pytest.raises(InterruptedError):
            run.begin()
    assert run.status() == "running"
    (run.folder / "lock").write_text(json.dumps(dead_process()))
    assert run.status() == "interrupted"
    run.ask_to_continue()
    assert run.status() == "queued"
    with run.lock():
        _, event = run.begin()
        told = [event] * (2 if cut_off in ("error.txt", "continue") else 1)
        assert run.metrics() == [*TRAINED[:4], *told]


def test_run_without_a_state_begins_anew_or_is_refused(run):
    run.append({"phase": "loading", "step": 0})
    run.ask_to_continue()
    with run.lock():
        assert run.begin() == (None, {"phase": "loading", "step": 0})
    assert len(run.metrics()) == 1
    for save in (run.save_snapshot, run.save_weights):  # an uploaded run has its weights alone
        save({"w": np.zeros(2)}, 0)
        with pytest.raises(ValueError, match="has kept no state of its optimizer"):
            run.ask_to_continue()
        shutil.rmtree(run.folder / "snapshots", ignore_errors=True)


@pytest.mark.parametrize(
    ("end", "epochs", "expected"),
    [
        ("finished", None, 13),
        ("finished", 4, 4),
        ("finished", 3, "come to the end of epoch 3; choose more epochs. Received: epochs=3"),
        ("finished", 10_001, "less than or equal to 10000"),
        ("stopped", None, 3),
        ("stopped", 2, "end of epoch 2; choose more epochs"),
        ("interrupted", 4, 4),
    ],
)
def test_epochs_of_a_continued_run(run, end, epochs, expected):
    trained(run, 16, 16)
    run.append({"step": 24, "epoch": 3, "total_steps": 24, "loss": 1.0, "val_loss": 2.0})
    if end != "interrupted":
        run.end(end)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            run.ask_to_continue(epochs)
        assert run.status() == end
        return
    run.ask_to_continue(epochs)
    with run.lock():
        run.begin()
    assert run.train_spec == TrainSpec(epochs=expected)


def test_run_finished_by_a_condition_goes_on_without_it(folder):
    run = runs.create(TINY, TrainSpec(epochs=3, target_accuracy=0.9, max_seconds=60))
    trained(run, 16, 16)
    run.end("finished", reason="reached 90.00 % test accuracy", step=16)
    assert (run.status(), run.error) == ("finished", None)
    assert run.last_event()["reason"] == "reached 90.00 % test accuracy"
    run.ask_to_continue()
    with run.lock():
        run.begin()
    assert run.train_spec == TrainSpec(epochs=3)


def test_damaged_state_is_named(run):
    trained(run, 16, 16, end="stopped")
    (run.folder / "state.safetensors").write_bytes(b"torn")
    run.ask_to_continue()
    with run.lock(), pytest.raises(ValueError, match="the state of the run is damaged"):
        run.begin()


def ended(run: Run) -> None:
    run.end("finished", step=1)


def damaged(run: Run) -> None:
    (run.folder / "spec.json").write_text("{")


@pytest.mark.parametrize("make", [ended, damaged])
def test_deleted_run_is_gone_with_all_its_files(folder, run, make):
    other = runs.create(TINY, TrainSpec())
    run.save_snapshot({"w": np.zeros(3)}, 50)
    make(run)
    run.delete()
    assert runs.list_runs() == [other]
    assert list(folder.iterdir()) == [other.folder]
    with pytest.raises(runs.UnknownRun):
        runs.open_run(run.id)


def test_run_that_lives_is_not_deleted(run):
    with pytest.raises(runs.RunLocked, match=r"stop the run first.*status=queued"):
        run.delete()
    with run.lock():
        with pytest.raises(runs.RunLocked, match="status=running"):
            run.delete()
        run.append({"phase": "paused", "step": 1})
        with pytest.raises(runs.RunLocked, match="status=paused"):
            run.delete()
    assert run.status() == "interrupted"
    run.delete()


def test_folder_that_no_run_made_and_one_that_lies_elsewhere_are_not_emptied(folder, run, tmp_path):
    (folder / "photos").mkdir()
    with pytest.raises(ValueError, match=r"only a run can be deleted.*Received: .*photos"):
        Run(folder / "photos").delete()
    ended(run)
    run.folder.rename(tmp_path / "elsewhere")
    run.folder.symlink_to(tmp_path / "elsewhere")
    run.delete()
    assert (tmp_path / "elsewhere" / "spec.json").exists()
    assert runs.list_runs() == [Run(folder / "photos")]


def test_reader_never_sees_half_of_a_deleted_run(folder, run, monkeypatch):
    ended(run)
    monkeypatch.setattr(shutil, "rmtree", lambda path: seen.append(runs.list_runs()))
    seen = []
    run.delete()
    assert seen == [[]]
