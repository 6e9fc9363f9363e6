"""Runs as archives: what a download holds, and what an upload may be.

What comes from elsewhere is data and stays data. Of an upload only the specification, the
named arrays and a table of numbers are read, each held against what it must be; nothing in
it is unpickled, imported or run.
"""

import csv
import io
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError
from safetensors import SafetensorError, deserialize

from ndmixer import runs
from ndmixer.accounting import accounting
from ndmixer.datasets import DATASETS
from ndmixer.runs import NAME_LENGTH, NOTE_LENGTH, Event, Run
from ndmixer.spec import ModelSpec, TrainSpec, problems

SPEC, WEIGHTS, METRICS = "spec.json", "weights.safetensors", "metrics.csv"
KERAS, SCRIPT = "model.keras", "evaluate.py"
NEVER_OPENED = (KERAS, SCRIPT)  # they could hold code

MAX_BYTES = 64 * 2**20  # of all files of an upload, unpacked
MAX_MEMBERS = 20
MAX_SPEC_BYTES = 64 * 2**10
MAX_NUMBER = 1e12  # in a table of metrics

_SUFFIXES = {".json": SPEC, ".safetensors": WEIGHTS, ".csv": METRICS}
_COUNTS = ("step", "epoch", "total_steps")
_MEASURES = ("loss", "accuracy", "rmse", "images_per_s", "elapsed")
_VALUES = (*_MEASURES, "val_loss", "val_accuracy", "val_rmse")
_GATE = re.compile(r"gate_\d{1,3}")
_PHASES = ("", "loading", "compiling", "training", "evaluating", "paused")

EVALUATE = '''\
"""Rebuilds this model with ndmixer and Keras and measures it on the test images.

python evaluate.py
"""

import json
from pathlib import Path

import pandas as pd
from safetensors import safe_open

from ndmixer import ModelSpec, build_model, load_dataset

here = Path(__file__).parent
info = json.loads((here / "spec.json").read_text("utf-8"))
spec = ModelSpec.model_validate(info["model"])
model = build_model(spec)
with safe_open(here / "weights.safetensors", "numpy") as file:
    step = int(file.metadata()["step"])
    for variable in model.weights:
        variable.assign(file.get_tensor(variable.path))

data = load_dataset(info["train"]["dataset"])
images = data.x_test.reshape(-1, *spec.in_shape)
output = model.predict(images, batch_size=500, verbose=0)
if spec.task == "classifier":
    name, measured = "val_accuracy", (output.argmax(axis=1) == data.y_test).mean()
else:
    name, measured = "val_rmse", ((output - images) ** 2).mean() ** 0.5

metrics = pd.read_csv(here / "metrics.csv")
recorded = metrics.loc[metrics["step"] == step, name].dropna()
told = f"{recorded.iloc[-1]:.4f}" if len(recorded) else "nothing, as it was stopped between tests"
print(f"{name} at step {step}: measured {measured:.4f}, recorded {told}")
if len(recorded) and abs(recorded.iloc[-1] - measured) > 0.001:
    raise SystemExit("They differ: these weights are not those that were measured.")
'''


class UploadRefused(ValueError):
    """An upload is not what it must be."""


def pack(run: Run, keras_model: bytes | None = None) -> bytes:
    """A run as a zip archive, which `unpack` reads again.

    It holds `spec.json` (with name and note, without who ran it where), the last weights,
    `metrics.csv`, and `evaluate.py`, which rebuilds and measures the model.

    Args:
        run: A run that has weights.
        keras_model: The file `model.keras`, as `jobs.keras_file` makes it.

    Raises:
        ValueError: the run cannot be read or has no weights.
    """
    info = run.info
    spec = {
        "model": info["model"].model_dump(mode="json"),
        "train": info["train"].model_dump(mode="json"),
        "name": None if run.name == run.id else run.name,
        "note": run.note,
        "created": info.get("created"),
        "versions": info.get("versions"),
    }
    files = {
        SPEC: json.dumps(spec, indent=2).encode() + b"\n",
        WEIGHTS: run.weights_path().read_bytes(),
        METRICS: metrics_table(run).to_csv(index=False).encode(),
        SCRIPT: EVALUATE.encode(),
    }
    if keras_model is not None:
        files[KERAS] = keras_model
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def metrics_table(run: Run) -> pd.DataFrame:
    """All events of a run, one a row; the gate of each block has a column of its own."""
    events = []
    for event in run.metrics():
        if event.get("step") is not None:
            gates = {f"gate_{i}": gate for i, gate in enumerate(event.get("gates") or ())}
            events.append({**event, **gates})
    score = "accuracy" if run.model_spec.task == "classifier" else "rmse"
    measures = [*_COUNTS, "phase", "loss", score, "images_per_s", "elapsed"]
    blocks = range(run.model_spec.depth if run.model_spec.gate else 0)
    columns = [*measures, *(f"gate_{i}" for i in blocks), "val_loss", f"val_{score}"]
    table = pd.DataFrame(events, columns=columns)
    return table.astype(dict.fromkeys(_COUNTS, "Int64"))


@dataclass(frozen=True)
class Upload:
    """A run from elsewhere that was found to be in order.

    Attributes:
        model_spec: The architecture.
        train_spec: The training.
        weights: The last weights by name, float32.
        step: How many optimizer steps made them.
        events: Its metrics, empty if there were none in the upload.
        name: What it was called; empty for its id.
        note: What was noted on it.
    """

    model_spec: ModelSpec
    train_spec: TrainSpec
    weights: dict[str, np.ndarray]
    step: int
    events: list[Event]
    name: str
    note: str

    def save(self) -> Run:
        """Makes a new run of it, finished, complete at once or not at all."""
        return runs.create(
            self.model_spec, self.train_spec, name=self.name or None, fill=self._fill
        )

    def _fill(self, run: Run) -> None:
        run.save_weights(self.weights, self.step)
        if self.note:
            run.describe(note=self.note)
        for event in self.events:
            run.append(event)
        run.end("finished", step=self.step)


def unpack(uploads: Sequence[tuple[str, bytes]]) -> Upload:
    """Reads what a person uploads: an archive of `pack`, or the files in it one by one.

    Args:
        uploads: Name and content of each file: one `.zip`, or `spec.json` and
            `weights.safetensors` and, if there is one, `metrics.csv`.

    Raises:
        UploadRefused: anything in it is not as it must be.
    """
    files = _files(uploads)
    missing = [name for name in (SPEC, WEIGHTS) if name not in files]
    if missing:
        raise UploadRefused(
            f"{SPEC} and {WEIGHTS} belong together; add {' and '.join(missing)}. "
            f"Received: {_names([name for name, _ in uploads])}"
        )
    info, model_spec, train_spec = _specs(files[SPEC])
    events = _events(files[METRICS]) if METRICS in files else []
    return Upload(
        model_spec,
        train_spec,
        _weights(files[WEIGHTS], model_spec),
        _step(files[WEIGHTS], events),
        events,
        " ".join(_words(info.get("name"), NAME_LENGTH).split()),
        _words(info.get("note"), NOTE_LENGTH),
    )


def _files(uploads: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    archives = [content for name, content in uploads if name.lower().endswith(".zip")]
    names = [name for name, _ in uploads]
    if archives and len(uploads) > 1:
        raise UploadRefused(f"upload one archive alone. Received: {_names(names)}")
    if sum(len(content) for _, content in uploads) > MAX_BYTES:
        raise UploadRefused(f"upload at most {MAX_BYTES >> 20} MiB. Received: {_names(names)}")
    if archives:
        return _unzipped(archives[0])
    files: dict[str, bytes] = {}
    for name, content in uploads:
        known = _SUFFIXES.get("." + name.lower().rpartition(".")[2])
        if known is None or known in files:
            raise UploadRefused(
                f"upload a .zip that was downloaded here, or one {SPEC} and one {WEIGHTS}. "
                f"Received: {_names(names)}"
            )
        files[known] = content
    return files


def _unzipped(content: bytes) -> dict[str, bytes]:
    """The members of an archive that are read, all of them checked by the list at its end."""
    # Each member has such a mark; a list of millions would be slow to read.
    if content.count(b"PK\x01\x02") > 4 * MAX_MEMBERS:
        raise UploadRefused(f"an archive holds at most {MAX_MEMBERS} files. Received: more")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_members(members)
            return {m.filename: archive.read(m) for m in members if m.filename not in NEVER_OPENED}
    except UploadRefused:
        raise
    except Exception as error:  # whatever a broken archive makes of the reader
        raise UploadRefused(
            "this archive cannot be read; download it anew. "
            f"Received: {len(content):,} bytes, {type(error).__name__}: {error}"
        ) from error


def _check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    known = (SPEC, WEIGHTS, METRICS, *NEVER_OPENED)
    names = [member.filename for member in members]
    if len(members) > MAX_MEMBERS:
        raise UploadRefused(
            f"an archive holds at most {MAX_MEMBERS} files. Received: {len(members):,}"
        )
    if set(names) - set(known) or len(set(names)) < len(names):
        wrong = [name for name, count in Counter(names).items() if name not in known or count > 1]
        raise UploadRefused(
            f"an archive holds no more than {', '.join(known)}, each once. "
            f"Received: {_names(wrong)}"
        )
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES:
        raise UploadRefused(
            f"an archive holds at most {MAX_BYTES >> 20} MiB, unpacked. Received: {size:,} bytes"
        )
    # The other methods unpack without a bound.
    plain = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    odd = [m.filename for m in members if m.compress_type not in plain or m.flag_bits & 1]
    if odd:
        raise UploadRefused(
            f"pack the files without a password, as an ordinary zip. Received: {_names(odd)}"
        )


def _specs(content: bytes) -> tuple[dict[str, Any], ModelSpec, TrainSpec]:
    try:
        if len(content) > MAX_SPEC_BYTES:
            raise ValueError(f"{len(content):,} bytes, more than {MAX_SPEC_BYTES:,}")
        info = json.loads(content)
        if not isinstance(info, dict) or not {"model", "train"} <= info.keys():
            raise ValueError("no JSON object with model and train")
        model = ModelSpec.model_validate(info["model"])
        train = TrainSpec.model_validate(info["train"])
        if train.dataset not in DATASETS:
            raise ValueError(f"dataset {train.dataset[:80]!r} is none of {', '.join(DATASETS)}")
        data = DATASETS[train.dataset]
        model.check_data(data.sample_shape, data.num_classes)
    except ValidationError as error:
        found = "; ".join(f"{field}: {message}" for field, message in problems(error).items())
        raise UploadRefused(f"{SPEC} is not valid. Received: {found[:500]}") from error
    except (ValueError, RecursionError) as error:
        raise UploadRefused(f"{SPEC} is not valid. Received: {str(error)[:500]}") from error
    return info, model, train


def _weights(content: bytes, spec: ModelSpec) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, exactly those of the specification."""
    try:
        tensors = dict(deserialize(content))
    except SafetensorError as error:
        raise UploadRefused(
            f"{WEIGHTS} is no safetensors file, or a damaged one. Received: {str(error)[:200]}"
        ) from error
    expected = {name: ("F32", shape) for name, shape in accounting(spec).weights.items()}
    found = {name: (tensor["dtype"], tuple(tensor["shape"])) for name, tensor in tensors.items()}
    if found != expected:
        name = next(name for name in (*expected, *found) if expected.get(name) != found.get(name))
        raise UploadRefused(
            f"{WEIGHTS} does not fit {SPEC}, which says {name[:80]}: "
            f"{_array(expected.get(name))}. Received: {_array(found.get(name))}"
        )
    weights = {
        name: np.frombuffer(tensors[name]["data"], "<f4").reshape(shape).astype(np.float32)
        for name, (_, shape) in expected.items()
    }
    bad = [name for name, values in weights.items() if not np.isfinite(values).all()]
    if bad:
        raise UploadRefused(f"weights are finite numbers. Received: NaN or infinity in {bad[0]}")
    return weights


def _array(what: tuple[str, tuple[int, ...]] | None) -> str:
    return "no such array" if what is None else f"{what[0]} of shape {what[1]}"


def _step(content: bytes, events: list[Event]) -> int:
    """How many steps made the weights: noted in their file, else the last of the metrics."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    text = (header.get("__metadata__") or {}).get("step", "")
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text)
    return events[-1]["step"] if events else 0


def _events(content: bytes) -> list[Event]:
    """The rows of a table of metrics, as a run has them."""
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        columns = tuple(rows.fieldnames or ())
        unknown = [c for c in columns if c not in (*_COUNTS, *_VALUES, "phase") and not _gate(c)]
        if "step" not in columns or unknown or len(set(columns)) < len(columns):
            raise ValueError(f"the columns {_names(columns)}")
        events = [_event(row) for row in rows]
    except (ValueError, csv.Error) as error:
        raise UploadRefused(
            f"{METRICS} is no table of metrics; mend it or leave it out. "
            f"Received: {str(error)[:300]}"
        ) from error
    total = max((event["step"] for event in events), default=0)
    return [{"total_steps": total, **event} for event in events]


def _event(row: dict[str, Any]) -> Event:
    if None in row or None in row.values():
        raise ValueError(f"a row of another length, step {row.get('step')}")
    if row.get("phase", "") not in _PHASES:
        raise ValueError(f"the phase {row['phase'][:40]!r}")
    numbers = {name: _number(name, text) for name, text in row.items() if name != "phase" and text}
    gates = [numbers.pop(name) for name in row if _gate(name) and name in numbers]
    if "step" not in numbers:
        raise ValueError("a row without a step")
    return {
        **({"phase": row["phase"]} if row.get("phase") else {}),
        **numbers,
        **({"gates": gates} if gates else {}),
    }


def _gate(column: str) -> bool:
    return _GATE.fullmatch(column) is not None


def _number(column: str, text: str) -> float:
    number = float(text)
    lowest = -MAX_NUMBER if _gate(column) else 0
    if not (math.isfinite(number) and lowest <= number <= MAX_NUMBER):
        raise ValueError(f"{column} {text[:40]}")
    if column not in _COUNTS:
        return number
    if not number.is_integer():
        raise ValueError(f"{column} {text[:40]}")
    return int(number)


def _words(value: object, limit: int) -> str:
    """Text as a page can show it; half a character pair becomes `?`."""
    text = value[:limit] if isinstance(value, str) else ""
    return text.encode("utf-8", "replace").decode("utf-8")


def _names(names: Sequence[str]) -> str:
    """A few names as text that a page can show, whatever they are."""
    shown = ", ".join(ascii(name[:60]) for name in names[:5])
    return f"{shown}, ..." if len(names) > 5 else shown or "nothing"
