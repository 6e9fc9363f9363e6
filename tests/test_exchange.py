import io
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, save

from ndmixer import ModelSpec, TrainSpec, accounting, exchange, jobs, runs
from ndmixer.exchange import METRICS, SPEC, WEIGHTS, UploadRefused, pack, unpack
from ndmixer.runs import Run

MODEL = ModelSpec(in_shape=(7, 4, 28), repr_shape=(3, 2, 5), out_shape=(2, 1, 2), depth=2)
TRAIN = TrainSpec(train_images=2_000, epochs=2, seed=3)
KERNEL = "embed/axis_1/kernel"
COLUMNS = (
    "step epoch total_steps phase loss accuracy images_per_s elapsed gate_0 gate_1 "
    "val_loss val_accuracy"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def made(model: ModelSpec = MODEL) -> Run:
    """A finished run whose weights are random."""
    generator = np.random.default_rng(0)
    run = runs.create(model, TRAIN, name="mine")
    run.append({"phase": "loading", "step": 0})
    base = {"step": 64, "total_steps": 64, "epoch": 2}
    run.append({**base, "phase": "training", "loss": 0.25, "accuracy": 0.5, "gates": [-0.5, 1.5]})
    run.append({**base, "phase": "evaluating", "val_loss": 0.125, "val_accuracy": 0.75})
    weights = {
        name: generator.normal(size=shape).astype(np.float32)
        for name, shape in accounting(model).weights.items()
    }
    run.save_weights(weights, 64)
    run.end("finished", step=64)
    return run


def files_of(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def zipped(files: dict[str, bytes], **settings) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", **settings) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def test_archive_holds_the_run_and_nothing_of_the_computer_it_ran_on():
    run = made()
    run.describe(name="Ünïcode 🎉", note="<b>notes</b>")
    files = files_of(pack(run, b"keras"))
    assert set(files) == {SPEC, WEIGHTS, METRICS, "model.keras", "evaluate.py"}
    spec = json.loads(files[SPEC])
    assert (spec["name"], spec["note"]) == ("Ünïcode 🎉", "<b>notes</b>")
    assert "creator" not in spec
    assert socket.gethostname().encode() not in files[SPEC]
    table = pd.read_csv(io.BytesIO(files[METRICS]))
    assert " ".join(table.columns) == COLUMNS
    assert table["val_accuracy"].dropna().tolist() == [0.75]
    assert table["gate_1"].dropna().tolist() == [1.5]
    assert table["step"].tolist() == [0, 64, 64, 64]


def test_run_without_weights_cannot_be_packed():
    with pytest.raises(ValueError, match=r"no weights.*Received: "):
        pack(runs.create(MODEL, TRAIN))


def test_interrupted_run_is_packed_with_its_last_snapshot():
    run = runs.create(MODEL, TRAIN)
    run.save_snapshot({"w": np.zeros(3)}, 50)
    run.save_snapshot({"w": np.ones(3)}, 100)
    assert load(files_of(pack(run))[WEIGHTS])["w"][0] == 1


@pytest.mark.parametrize("form", ["archive", "files", "two files"])
def test_what_was_downloaded_comes_back_as_a_finished_run(folder, form):
    run = made()
    run.describe(note="two\nlines")
    archive = pack(run, b"keras")
    files = [(f"{Path(n).stem} (1){Path(n).suffix}", c) for n, c in files_of(archive).items()]
    files = [(n, c) for n, c in files if n.endswith((".json", ".safetensors", ".csv"))]
    if form == "two files":
        files = [(n, c) for n, c in files if not n.endswith(".csv")]
    again = unpack([("run.ZIP", archive)] if form == "archive" else files).save()
    assert again.id != run.id
    assert again.status() == "finished"
    assert (again.model_spec, again.train_spec) == (MODEL, TRAIN)
    assert (again.name, again.note) == ("mine", "two\nlines")
    for name, array in run.load_weights().items():
        np.testing.assert_array_equal(again.load_weights()[name], array, strict=True)
    if form == "two files":
        assert again.metrics() == [{"step": 64, "end": "finished"}]
    else:
        for before, after in zip(run.metrics()[:3], again.metrics(), strict=False):
            assert {"total_steps": 64} | before == after
    assert not list(folder.rglob(".*"))
    assert not list(folder.rglob("*.keras"))
    assert set(files_of(pack(again))) == set(files_of(archive)) - {"model.keras"}


def test_upload_that_cannot_be_written_leaves_nothing(folder, monkeypatch):
    upload = unpack([("a.zip", pack(made()))])
    before = list(folder.iterdir())
    monkeypatch.setattr(Run, "end", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        upload.save()
    assert list(folder.iterdir()) == before


class Evil:
    def __reduce__(self):
        return os._exit, (13,)


@cache
def good_archive() -> bytes:
    return pack(made())


def good() -> dict[str, bytes]:
    return files_of(good_archive())


def with_weights(change) -> bytes:
    weights = load(good()[WEIGHTS])
    change(weights)
    return zipped(good() | {WEIGHTS: save(weights)})


def with_spec(**changes) -> bytes:
    return zipped(good() | {SPEC: json.dumps(json.loads(good()[SPEC]) | changes).encode()})


def with_header(**changes: int) -> bytes:
    """An archive whose list of members says something else than is true."""
    content = bytearray(zipped(good(), compression=zipfile.ZIP_DEFLATED))
    at = content.index(b"PK\x01\x02")
    for offset, form, value in changes.values():
        struct.pack_into(form, content, at + offset, value)
    return bytes(content)


def spec_fields(**changes) -> dict:
    return MODEL.model_dump(mode="json") | changes


def cut(name: str, size: int) -> bytes:
    return zipped(good() | {name: good()[name][:size]})


HOSTILE = {
    "not a zip": (lambda: b"hello", "cannot be read"),
    "empty file": (lambda: b"", "cannot be read"),
    "truncated zip": (lambda: zipped(good())[:-30], "cannot be read"),
    "zip without its middle": (lambda: zipped(good())[:200] + zipped(good())[400:], "."),
    "flipped bytes": (lambda: zipped(good()).replace(b"total_steps", b"total_stepz", 1), "."),
    "empty zip": (lambda: zipped({}), "belong together"),
    "bomb": (lambda: zipped(good() | {METRICS: bytes(2**26)}, compression=8), "at most 64 MiB"),
    "bomb of a method without a bound": (
        lambda: zipped(good() | {METRICS: bytes(2**20)}, compression=12),
        "as an ordinary zip",
    ),
    "bomb with a false size": (lambda: with_header(size=(24, "<I", 9)), "cannot be read|not valid"),
    "huge size in the header": (lambda: with_header(size=(24, "<I", 2**32 - 2)), "at most 64 MiB"),
    "password": (lambda: with_header(flags=(8, "<H", 1)), "without a password"),
    "many members": (lambda: zipped({f"{i}": b"" for i in range(30)}), "at most 20 files"),
    "thousands of members": (lambda: zipped({f"{i}": b"" for i in range(5_000)}), "at most 20"),
    "path out of the folder": (lambda: zipped(good() | {"../spec.json": b"{}"}), "no more than"),
    "absolute path": (lambda: zipped(good() | {"/etc/passwd": b""}), "no more than"),
    "pickle": (lambda: zipped(good() | {"model.pkl": pickle.dumps(Evil())}), "no more than"),
    "pickle for weights": (lambda: zipped(good() | {WEIGHTS: pickle.dumps(Evil())}), "safetensors"),
    "no weights": (lambda: zipped({SPEC: good()[SPEC]}), "add weights.safetensors"),
    "no specification": (lambda: zipped({WEIGHTS: good()[WEIGHTS]}), r"add spec\.json"),
    "specification cut": (lambda: cut(SPEC, 40), r"spec\.json is not valid"),
    "specification of another kind": (lambda: zipped(good() | {SPEC: b"[1]"}), "no JSON object"),
    "specification too deep": (
        lambda: zipped(good() | {SPEC: b'{"model":' + b"[" * 30_000}),
        r"spec\.json is not valid",
    ),
    "specification a little deep": (
        lambda: with_spec(model=json.loads("[" * 300 + "]" * 300)),
        r"spec\.json is not valid",
    ),
    "specification too long": (lambda: with_spec(note="x" * 70_000), "more than 65,536"),
    "specification with long numbers": (
        lambda: zipped(good() | {SPEC: b'{"train":{},"model":{"depth":' + b"9" * 6_000 + b"}}"}),
        r"spec\.json is not valid",
    ),
    "wrong model": (lambda: with_spec(model=spec_fields(depth=-1)), "depth"),
    "unknown field": (lambda: with_spec(model=spec_fields(code="import os")), "code"),
    "wrong rank": (lambda: with_spec(model=spec_fields(repr_shape=[2, 2])), "needs 3 axes"),
    "path for a data set": (
        lambda: with_spec(train=TRAIN.model_dump() | {"dataset": "/etc/x.npz"}),
        "is none of mnist",
    ),
    "data of another size": (
        lambda: with_spec(train=TRAIN.model_dump() | {"dataset": "cifar10"}),
        "choose any reshape of 32x32x3",
    ),
    "model of other shapes": (lambda: with_spec(model=spec_fields(repr_shape=[3, 2, 6])), "fit"),
    "model of another depth": (lambda: with_spec(model=spec_fields(depth=3)), "no such array"),
    "weight too many": (
        lambda: with_weights(lambda w: w.update(more=np.zeros(3, np.float32))),
        "more: no such array",
    ),
    "weight missing": (lambda: with_weights(lambda w: w.pop(KERNEL)), "no such array"),
    "wrong shape": (
        lambda: with_weights(lambda w: w.update({KERNEL: w[KERNEL].T.copy()})),
        r"F32 of shape",
    ),
    "wrong type": (
        lambda: with_weights(lambda w: w.update({KERNEL: w[KERNEL].astype(np.float64)})),
        "Received: F64 of shape",
    ),
    "integers": (
        lambda: with_weights(lambda w: w.update({KERNEL: w[KERNEL].astype(np.int32)})),
        "Received: I32 of shape",
    ),
    "NaN": (lambda: with_weights(lambda w: w[KERNEL].fill(np.nan)), "finite numbers"),
    "infinity": (lambda: with_weights(lambda w: w[KERNEL].fill(np.inf)), "finite numbers"),
    "weights cut": (lambda: cut(WEIGHTS, -4), "damaged"),
    "header of weights too long": (
        lambda: zipped(good() | {WEIGHTS: struct.pack("<Q", 2**60) + good()[WEIGHTS][8:]}),
        "damaged",
    ),
    "header of weights too deep": (
        lambda: zipped(good() | {WEIGHTS: struct.pack("<Q", 9_000) + b"[" * 9_000}),
        "damaged",
    ),
    "metrics with unknown columns": (lambda: zipped(good() | {METRICS: b"step,evil\n1,2"}), "evil"),
    "metrics without steps": (lambda: zipped(good() | {METRICS: b"loss\n1"}), "columns 'loss'"),
    "metrics with words": (lambda: zipped(good() | {METRICS: b"step,loss\n1,=A1"}), "=A1"),
    "metrics with NaN": (lambda: zipped(good() | {METRICS: b"step,loss\n1,nan"}), "loss nan"),
    "metrics with huge numbers": (lambda: zipped(good() | {METRICS: b"step\n1e300"}), "1e300"),
    "metrics with half a step": (lambda: zipped(good() | {METRICS: b"step\n1.5"}), r"1\.5"),
    "metrics with another phase": (
        lambda: zipped(good() | {METRICS: b"step,phase\n1,<script>"}),
        "phase",
    ),
    "ragged metrics": (lambda: zipped(good() | {METRICS: b"step,loss\n1,2,3"}), "another length"),
    "metrics that are no text": (lambda: zipped(good() | {METRICS: b"\xff\xfe\0"}), "utf-8"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archive_is_refused_with_a_reason(folder, case):
    make, reason = HOSTILE[case]
    content = make()
    before = sorted(folder.iterdir()) if folder.exists() else []
    with pytest.raises(UploadRefused, match=reason) as caught:
        unpack([("a.zip", content)])
    assert "Received: " in str(caught.value)
    assert len(str(caught.value)) < 1_000
    str(caught.value).encode()
    assert (sorted(folder.iterdir()) if folder.exists() else []) == before


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "add spec.json and weights.safetensors"),
        (["spec.json"], "add weights.safetensors"),
        (["weights.safetensors"], r"add spec\.json"),
        (["a.zip", "spec.json"], "one archive alone"),
        (["model.keras"], "upload a .zip"),
        (["evaluate.py"], "upload a .zip"),
        (["spec.json", "spec (1).json", "weights.safetensors"], "one spec.json"),
        (["x" * 500 + "\ud800\n"], "upload a .zip"),
    ],
)
def test_other_files_are_refused_with_a_reason(names, reason):
    with pytest.raises(UploadRefused, match=reason) as caught:
        unpack([(name, b"{}") for name in names])
    assert len(str(caught.value).encode()) < 500


def test_upload_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(exchange, "MAX_BYTES", 1_000)
    with pytest.raises(UploadRefused, match="at most"):
        unpack([("a.zip", zipped(good()))])


def test_words_of_an_upload_are_cut_and_made_showable():
    upload = unpack([("a.zip", with_spec(name="a\n" * 100 + "\ud800", note="é\ud800" * 5_000))])
    assert upload.name == " ".join("a" * 40)
    assert upload.note == "é?" * 2_000
    run = upload.save()
    assert (run.name, run.note) == (upload.name, upload.note)
    assert unpack([("a.zip", with_spec(name=3, note=["x"]))]).save().note == ""


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
@pytest.mark.parametrize(
    "model", [MODEL, ModelSpec(task="autoencoder", repr_shape=(4, 4), depth=1, gate=False)]
)
def test_script_of_a_download_measures_what_was_recorded(tmp_path, model):
    run = runs.create(model, TRAIN)
    jobs.train_run(run)
    assert run.status() == "finished"
    keras_file = jobs.inspecting._keras_file(str(run.folder), "")
    with zipfile.ZipFile(io.BytesIO(pack(run, keras_file))) as archive:
        archive.extractall(tmp_path / "download")
    code = (tmp_path / "download" / "evaluate.py").read_text()
    compile(code, "evaluate.py", "exec")

    def evaluate() -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, tmp_path / "download" / "evaluate.py"],
            env=os.environ | {"PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    score = "val_accuracy" if model.task == "classifier" else "val_rmse"
    recorded = next(e[score] for e in reversed(run.metrics()) if score in e)
    ended = evaluate()
    assert ended.returncode == 0, ended.stderr
    name, measured, told = (ended.stdout.strip().replace(",", "").split()[i] for i in (0, 5, 7))
    assert name == score
    assert float(measured) == pytest.approx(recorded, abs=2e-4)
    assert float(told) == pytest.approx(recorded, abs=6e-5)

    import keras

    model_of_keras = keras.models.load_model(tmp_path / "download" / "model.keras")
    weights = run.load_weights()
    for variable in model_of_keras.weights:
        np.testing.assert_array_equal(variable.numpy(), weights[variable.path])

    table = pd.read_csv(tmp_path / "download" / METRICS)
    table[score] += 0.01
    table.to_csv(tmp_path / "download" / METRICS, index=False)
    ended = evaluate()
    assert ended.returncode == 1
    assert "They differ" in ended.stderr
