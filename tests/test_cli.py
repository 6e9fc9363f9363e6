import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ndmixer
from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, runs
from ndmixer.__main__ import app

SMALL = ("--train-images", "2000", "--set", "repr_shape=4x4", "--set", "depth=1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path / "runs"


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def start(*arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "ndmixer", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_version_is_told():
    result = call("--version")
    assert (result.exit_code, result.stdout) == (0, f"ndmixer {ndmixer.__version__}\n")


def test_every_preset_is_listed_with_its_parameters():
    result = call("presets")
    assert result.exit_code == 0
    for name, preset in PRESETS.items():
        assert re.search(rf"^\W*{name}\W+{preset.parameters:,}\W", result.stdout, re.MULTILINE)
    assert "1x28x28 → 8x8x8 → 28x1x1" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "spec"),
    [
        ((), PRESETS["classifier"].model),
        (("--preset", "classifier-3d"), PRESETS["classifier-3d"].model),
        (
            ("--set", "repr_shape=4x7", "--set", "out_shape=auto", "--set", "gate=off"),
            ModelSpec(repr_shape=(4, 7), gate=False),
        ),
        (("--preset", "autoencoder", "--set", "depth=0"), ModelSpec(task="autoencoder", depth=0)),
    ],
)
def test_every_stage_is_described(arguments, spec):
    result = call("describe", *arguments)
    assert result.exit_code == 0
    account = accounting(spec)
    for stage in account.stages:
        row = rf"{stage.name} .* {stage.parameters:,} .* {stage.multiply_adds:,} "
        assert re.search(row, result.stdout)
        assert all(equation in result.stdout for equation in stage.equations)
    assert re.search(
        rf"total .* {account.parameters:,} .* {account.multiply_adds:,} ", result.stdout
    )


def test_model_that_cannot_learn_is_pointed_out():
    assert "no gradient comes back" in call("describe", "--set", "residual=off").stderr


@pytest.mark.parametrize("command", ["--version", "presets", "describe"])
def test_commands_that_do_not_train_load_no_tensorflow(command):
    code = f"""
import sys
from ndmixer.__main__ import app
app([{command!r}], standalone_mode=False)
print({{"tensorflow", "keras", "distributed"}} & {{*sys.modules}}, file=sys.stderr)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stderr == "set()\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("describe", "--set", "depth=-1"), "depth: Input should be greater than or equal to 0"),
        (("describe", "--set", "repr_shape=4x4x4"), "repr_shape: needs 2 axes"),
        (("describe", "--set", "depths=2"), "write KEY=VALUE with one of the keys task, in_shape"),
        (("describe", "--set", "depth"), "Received: --set depth"),
        (("describe", "--preset", "nope"), "there is no such preset; use one of classifier,"),
        (("train", "--epochs", "0"), "epochs: Input should be greater than or equal to 1"),
        (("train", "--learning-rate", "nan"), "learning_rate: "),
        (("train", "--target-accuracy", "97"), "target_accuracy: Input should be less than or"),
        (("train", "--max-seconds", "0"), "max_seconds: Input should be greater than 0"),
        (("train", "--dataset", "mnits"), "Did you mean 'mnist'?"),
        (("train", "--set", "in_shape=27x28"), "choose any reshape of 28x28"),
    ],
)
def test_mistake_is_told_in_plain_words(folder, arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not folder.exists()


def test_train_trains_and_reports():
    ends = ("--target-accuracy", "0.01", "--max-seconds", "600")
    process = start("train", *SMALL, *ends, "--epochs", "2", "--name", "by hand", "--seed", "3")
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    (run,) = runs.list_runs()
    assert (run.status(), run.name) == ("finished", "by hand")
    assert run.train_spec == TrainSpec(
        train_images=2_000, epochs=2, seed=3, target_accuracy=0.01, max_seconds=600
    )
    assert run.model_spec == ModelSpec(repr_shape=(4, 4), out_shape=(1, 28), depth=1)
    accuracy = [e["val_accuracy"] for e in run.metrics() if "val_accuracy" in e][-1]
    assert re.search(rf"test accuracy .* {accuracy:.4f}", stdout)
    assert re.search(rf"finished: reached {100 * accuracy:.2f} % test accuracy", stdout)
    assert stdout.splitlines()[-1] == str(run.folder)


def test_ctrl_c_stops_and_keeps_the_run():
    process = start("train", *SMALL, "--epochs", "10000")
    while not runs.list_runs() or (runs.list_runs()[0].last_event() or {}).get("step", 0) == 0:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == 0, stderr
    (run,) = runs.list_runs()
    assert run.status() == "stopped"
    assert run.load_weights().keys() == accounting(run.model_spec).weights.keys()
    assert "stopped" in stdout


def test_failure_is_told_with_exit_code_1(tmp_path):
    process = start("train", *SMALL, "--train-images", "70000")
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert "failed: the data set has 60,000 training images" in stderr
    assert "Traceback" not in stderr
