import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from ndmixer import PRESETS, TrainSpec, runs
from ndmixer.runs import MetricsReader, Run

TINY = PRESETS["classifier-tiny"].model
HERE = {"host": socket.gethostname(), "pid": os.getpid(), "created": psutil.Process().create_time()}
RECYCLED = HERE | {"created": HERE["created"] - 100}  # this pid belonged to another process
ELSEWHERE = HERE | {"host": "another-computer"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def run() -> Run:
    return runs.create(TINY, TrainSpec(epochs=3))


def dead_process() -> dict:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = HERE | {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
    process.communicate()
    return owner


def test_run_says_what_it_was_made_of(folder):
    run = runs.create(TINY, TrainSpec(epochs=3), name="My first: run/1")
    assert run.folder.parent == folder
    assert run.id[15:-5] == "-my-first-run-1"
    again = runs.open_run(run.id)
    assert again == run
    assert (again.model_spec, again.train_spec) == (TINY, TrainSpec(epochs=3))
    assert again.name == "My first: run/1"
    assert {"ndmixer", "tensorflow", "keras", "numpy"} <= set(again.info["versions"])
    assert again.info["created"].endswith("+00:00")


def test_create_leaves_nothing_behind_when_it_is_cut_off(folder, monkeypatch):
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("cut off")))
    with pytest.raises(OSError, match="cut off"):
        runs.create(TINY, TrainSpec())
    assert runs.list_runs() == []


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "../etc", "a/b", "a\\b", "/etc", ".hidden", "a\n", "a" * 200, "é"]
)
def test_id_that_could_leave_the_folder_is_refused(run_id):
    with pytest.raises(ValueError, match="a run id is made of"):
        runs.open_run(run_id)


def test_unknown_run_is_named(folder):
    with pytest.raises(KeyError, match="there is no such run") as caught:
        runs.open_run("20200101-000000-classifier-0000")
    assert str(folder) in str(caught.value)


def test_newest_run_comes_first_and_garbage_last(folder):
    made = [runs.create(TINY, TrainSpec(), name=name) for name in "zya"]
    (folder / "zzz").mkdir()
    (folder / "zzz" / "spec.json").write_text("{")
    (folder / ".draft").mkdir()
    (folder / "notes.txt").write_text("not a run")
    assert runs.list_runs() == [*made[::-1], Run(folder / "zzz")]
    assert runs.list_runs()[-1].status() == "unreadable"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"model": 1, "train": {}}'],
    ids=repr,
)
def test_garbage_for_a_specification_is_unreadable(run, content):
    (run.folder / "spec.json").write_bytes(content)
    assert run.status() == "unreadable"
    with pytest.raises(ValueError, match=r"spec\.json"):
        _ = run.info


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


@pytest.mark.parametrize("step", [None, 0, 123])
def test_weights_come_back_as_they_were(run, step):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = {"a/kernel": kernel.T, "a/bias": kernel[:, 1], "gate": np.array(0.5, np.float32)}
    if step is None:
        run.save_weights(weights, 7)
    else:
        run.save_snapshot(weights, step)
    loaded = run.load_weights(step)
    assert loaded.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert not list(run.folder.rglob(".*"))


def test_interrupted_run_has_the_weights_of_its_last_snapshot(run):
    for step in (0, 50, 1_000):
        run.save_snapshot({"w": np.full(3, step)}, step)
    (run.folder / "snapshots" / "notes.txt").touch()
    assert run.snapshots() == [0, 50, 1_000]
    assert run.load_weights()["w"][0] == 1_000
    run.save_weights({"w": np.full(3, 1_017)}, 1_017)
    assert run.load_weights()["w"][0] == 1_017


def test_weights_that_are_missing_or_damaged_are_named(run):
    with pytest.raises(ValueError, match=r"choose one of the snapshots \(none\)"):
        run.load_weights()
    run.save_snapshot({"w": np.zeros(3)}, 50)
    with pytest.raises(ValueError, match="snapshots 50"):
        run.load_weights(51)
    path = run.folder / "snapshots" / "00000050.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="missing or damaged"):
        run.load_weights(50)


def test_reader_never_sees_half_of_the_weights(run):
    run.save_weights({"w": np.zeros(100_000)}, 0)
    done = threading.Event()

    def write() -> None:
        for step in range(100):
            run.save_weights({"w": np.full(100_000, step)}, step)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert len(set(run.load_weights()["w"])) == 1
    thread.join()


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


def test_queue_is_in_the_order_of_asking(run):
    first, second, begun, stopped, orphan = (runs.create(TINY, TrainSpec()) for _ in range(5))
    trained(run, 16, 16, end="finished")
    begun.append({"phase": "loading", "step": 0})
    stopped.ask("stop")
    spec = json.loads((orphan.folder / "spec.json").read_bytes())
    (orphan.folder / "spec.json").write_text(json.dumps(spec | {"creator": dead_process()}))
    for seconds, waiting in enumerate((second, first)):
        os.utime(waiting.folder / "spec.json", (seconds, seconds))
    with begun.lock():
        assert runs.queue() == [second, first]
        run.ask_to_continue()
        assert runs.queue() == [second, first, run]


def test_damaged_state_is_named(run):
    trained(run, 16, 16, end="stopped")
    (run.folder / "state.safetensors").write_bytes(b"torn")
    run.ask_to_continue()
    with run.lock(), pytest.raises(ValueError, match="the state of the run is damaged"):
        run.begin()


def test_only_a_dead_lock_is_removed(run):
    (run.folder / "lock").write_text(json.dumps(HERE))
    run._remove_dead_lock()
    assert json.loads((run.folder / "lock").read_bytes()) == HERE
    (run.folder / "lock").write_text(json.dumps(dead_process()))
    run._remove_dead_lock()
    assert {path.name for path in run.folder.iterdir()} == {"spec.json"}


def test_reason_of_a_failure_is_its_first_line(run):
    run.end("failed", reason="it broke\nbadly", details="Traceback ...\n  line 1")
    assert run.error == "it broke badly"
    assert "line 1" in (run.folder / "error.txt").read_text()


def test_run_is_renamed_and_noted_on_beside_its_specification(run):
    before = (run.folder / "spec.json").read_bytes()
    assert (run.name, run.note) == (run.id, "")
    run.describe(name="  Ünïcode \n <b>名前</b> 🎉 ")
    run.describe(note="a\nb  <script>alert(1)</script> \ud800\n")
    assert run.name == "Ünïcode <b>名前</b> 🎉"
    assert run.note == "a\nb  <script>alert(1)</script> ?"
    run.describe(name="")
    assert (run.name, run.note[:1]) == (run.id, "a")
    assert (run.folder / "spec.json").read_bytes() == before
    assert not list(run.folder.glob(".*"))


def test_name_given_at_the_start_can_be_taken_back(folder):
    run = runs.create(TINY, TrainSpec(), name="first")
    run.describe(note="x")
    assert run.name == "first"
    run.describe(name="")
    assert run.name == run.id


@pytest.mark.parametrize("text", [{"name": "x" * 81}, {"note": "é" * 4_001}], ids=["name", "note"])
def test_description_that_is_too_long_changes_nothing(run, text):
    run.describe(name="n" * 80, note="y" * 4_000)
    with pytest.raises(ValueError, match=r"of at most .* characters\. Received: "):
        run.describe(**text)
    assert (run.name, run.note) == ("n" * 80, "y" * 4_000)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": 3, "note": null}', b"\xff"])
def test_damaged_description_is_passed_over(run, content):
    (run.folder / "about.json").write_bytes(content)
    assert (run.name, run.note) == (run.id, "")
    run.describe(name="new")
    assert run.name == "new"


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


def test_importing_runs_loads_no_tensorflow():
    code = (
        "import sys, ndmixer.runs; print({'tensorflow', 'keras', 'distributed'} & {*sys.modules})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.fixture
def shipped(run, tmp_path, monkeypatch) -> Run:
    """A model that ships with the project, made of a run."""
    monkeypatch.setattr(runs, "MODELS", tmp_path / "models")
    run.save_weights({"w": np.zeros(2, np.float32)}, 7)
    run.end("finished", step=7)
    target = tmp_path / "models" / "classifier-tiny"
    shutil.copytree(run.folder, target)
    (target / "README.md").write_text("# A card")
    return Run(target)


def test_shipped_models_are_found_beside_the_runs(shipped, run):
    assert runs.shipped_models() == [shipped]
    assert runs.list_runs() == [run]
    assert runs.open_run("classifier-tiny") == shipped
    assert (shipped.shipped, run.shipped) == (True, False)
    assert (shipped.status(), shipped.card, run.card) == ("finished", "# A card", "")


def test_run_of_the_same_id_goes_before_a_shipped_model(shipped, folder):
    shutil.copytree(shipped.folder, folder / "classifier-tiny")
    assert not runs.open_run("classifier-tiny").shipped


@pytest.mark.parametrize(
    "change", [lambda r: r.describe(name="x"), lambda r: r.delete(), lambda r: r.ask_to_continue()]
)
def test_shipped_model_stays_as_it_is(shipped, change):
    before = sorted(path.name for path in shipped.folder.iterdir())
    with pytest.raises(ValueError, match="ships with the project stays as it is"):
        change(shipped)
    assert sorted(path.name for path in shipped.folder.iterdir()) == before
