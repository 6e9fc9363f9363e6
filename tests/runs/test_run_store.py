import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ndmixer import TrainSpec, runs
from ndmixer.runs import Run, files
from tests.runs.made import TINY, dead_process, trained


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
    monkeypatch.setattr(files, "MODELS", tmp_path / "models")
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
