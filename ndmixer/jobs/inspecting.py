"""Looking into models: questions to an inspecting worker, and the tasks that answer them.

A question returns at once; its answer is None as long as it is not ready, so ask again.
"""

import tempfile
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ndmixer.geometry import Metric
from ndmixer.images import Part as Part
from ndmixer.jobs.engine import engine
from ndmixer.jobs.worker import import_tensorflow
from ndmixer.runs import Run
from ndmixer.spec import ModelSpec, TrainSpec

if TYPE_CHECKING:
    from ndmixer.inspection import ClassPass

PASSES = 2  # of many images, whose statistics it keeps
THUMBNAIL = 32  # pixels of a side at most
KEPT = 4  # models whose weights it keeps


def untrained(model_spec: ModelSpec, train_spec: TrainSpec) -> dict[str, np.ndarray] | None:
    """What the fresh model makes of the probes, as `Run.load_live` has it later.

    Computed by an inspecting worker, which never waits behind training; returns at once.

    Returns:
        For each stage an array of shape `(probes, *stage.shape)`, and `labels`; None as
        long as it is not ready, so ask again.

    Raises:
        ValueError: it cannot be computed: the data set is not there, say.
    """
    return engine.call(_untrained, model_spec.model_dump_json(), train_spec.model_dump_json())


def probes_of(run: Run) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]] | None:
    """What a run that has ended made of the probes, if it kept no picture of them.

    Computed by an inspecting worker, which never waits behind training; returns at once.

    Returns:
        What `Run.load_live` and `Run.load_averages` return of a run that kept them, from its
        last weights; None as long as it is not ready.

    Raises:
        ValueError: the run has no weights, or the data set is not there.
    """
    written = run.weights_path().stat().st_mtime_ns
    return engine.call(_probes_of, str(run.folder), written)


def keras_file(run: Run) -> bytes | None:
    """The last model of a run as a `.keras` file.

    Made by an inspecting worker, which never waits behind training; returns at once.

    Returns:
        The content of the file; None as long as it is not ready, so ask again.

    Raises:
        ValueError: the run has no weights.
    """
    written = run.weights_path().stat().st_mtime_ns
    return engine.call(_keras_file, str(run.folder), str(written))


def class_geometry(
    run: Run,
    step: int | None,
    stage: str,
    part: Part = "test",
    count: int = 10_000,
    metric: Metric = "rms",
    pairs: bool = False,
) -> Callable[[], dict[str, np.ndarray] | None]:
    """Where the classes lie in a model: averages, deviations, predictions, distances.

    Computed by an inspecting worker, which never waits behind training; returns at once. The
    question is about the weights that are there now: a run that trains writes others every
    second, and who asked anew each time would never be answered.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: One of `ndmixer.stages(run.model_spec)`.
        part: Images of the test or of the training set, of which the run has seen some.
        count: How many, the first ones; all if there are not so many.
        metric: Of the distances, one of `ndmixer.geometry.METRICS`.
        pairs: Whether they are means over pairs of images, else between class averages.

    Returns:
        A function to be called until it returns something other than None: what
        `ndmixer.inspection.class_summary` returns, and `labels` `(images,)`, `distances`
        `(stages, classes, classes)`, `sample` (images of which single ones were compared),
        `step` (-1 if the file does not say). It raises a ValueError if there is no such
        stage or the data set is not there.

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(
        engine.call, _class_geometry, *weights_now(run, step), stage, part, count, metric, pairs
    )


def pictures(dataset: str, part: Part, indices: Iterable[int]) -> np.ndarray | None:
    """Some images of a data set, so that the caller need not load it; returns at once.

    Returns:
        Shape `(images, *sample_shape)`, float32; None as long as it is not ready.

    Raises:
        ValueError: there is no such data set.
    """
    return engine.call(_pictures, dataset, part, *map(int, indices))


def thumbnails(dataset: str, part: Part, count: int) -> np.ndarray | None:
    """The first images of a part of a data set as small pictures; returns at once.

    Returns:
        Shape `(images, rows, columns, channels)`, uint8, one channel or three; of larger images
        only every second, third, ... pixel. None as long as it is not ready.

    Raises:
        ValueError: there is no such data set.
    """
    return engine.call(_thumbnails, dataset, part, count)


def _untrained(model_json: str, train_json: str) -> dict[str, np.ndarray]:
    """The task behind `untrained`."""
    import_tensorflow()
    from ndmixer.datasets import load_dataset
    from ndmixer.inspection import probes
    from ndmixer.models import build_model

    model_spec = ModelSpec.model_validate_json(model_json)
    train_spec = TrainSpec.model_validate_json(train_json)
    data = load_dataset(train_spec.dataset)
    model_spec.check_data(data.sample_shape, data.num_classes)
    model = build_model(model_spec, train_spec.seed)  # as the training does
    weights = {variable.path: variable.numpy() for variable in model.weights}
    return probes(model_spec, weights, data)


def _probes_of(
    run_folder: str, _written: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The task behind `probes_of`."""
    from ndmixer.datasets import load_dataset
    from ndmixer.inspection import averages_of, probes

    run = Run(Path(run_folder))
    spec, data = run.model_spec, load_dataset(run.train_spec.dataset)
    weights, step = run.load_last_weights()
    about = {"step": np.array((run.last_event() or {}).get("step", 0) if step is None else step)}
    averages = averages_of(spec, weights, data)
    return about | probes(spec, weights, data), about | averages if averages else {}


def _keras_file(run_folder: str, _written: str) -> bytes:
    """The task behind `keras_file`; another time of writing makes it another task."""
    import_tensorflow()
    from ndmixer.models import build_model

    run = Run(Path(run_folder))
    model, weights = build_model(run.model_spec), run.load_weights()
    for variable in model.weights:
        variable.assign(weights[variable.path])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _class_geometry(
    folder: str,
    step: int | None,
    written: int,
    stage: str,
    part: Part,
    count: int,
    metric: Metric,
    pairs: bool,
) -> dict[str, np.ndarray]:
    """The task behind `class_geometry`."""
    from ndmixer.accounting import stages
    from ndmixer.inspection import class_distances, class_summary, looked_at

    spec = Run(Path(folder)).model_spec
    if stage not in stages(spec):
        raise ValueError(
            f"the stages of this model are {', '.join(stages(spec))}. Received: stage={stage!r}"
        )
    # All main stages share one pass, so that going from one to the other costs nothing.
    inner = "" if looked_at(spec, "") == looked_at(spec, stage) else stage
    weights, found, passed = _class_pass(folder, step, written, inner, part, count)
    images, labels = images_of(Run(Path(folder)).train_spec.dataset, part, count)
    distances, sample = class_distances(spec, weights, images, labels, passed, metric, pairs)
    return {
        **class_summary(passed, stage),
        "labels": labels,
        "distances": distances,
        "sample": np.array(sample),
        "step": np.array(-1 if found is None else found),
    }


@lru_cache(maxsize=PASSES)
def _class_pass(
    folder: str, step: int | None, written: int, inner: str, part: Part, count: int
) -> tuple[dict[str, np.ndarray], int | None, "ClassPass"]:
    """Weights, their step and the pass: kept for another stage or metric of the same ones."""
    from ndmixer.datasets import load_dataset
    from ndmixer.inspection import class_pass

    run = Run(Path(folder))
    spec, name = run.model_spec, run.train_spec.dataset
    weights, found = weights_of(folder, step, written)
    images, labels = images_of(name, part, count)
    classes = load_dataset(name).num_classes
    stage = inner or "input"
    return weights, found, class_pass(spec, weights, images, labels, classes, stage)


def weights_now(run: Run, step: int | None) -> tuple[str, int | None, int]:
    """Which weights a question is about, as `weights_of` takes it: those that are there now.

    Raises:
        ValueError: the run has no such weights.
    """
    return str(run.folder), step, run.weights_path(step).stat().st_mtime_ns


@lru_cache(maxsize=KEPT)
def weights_of(
    folder: str, step: int | None, _written: int
) -> tuple[dict[str, np.ndarray], int | None]:
    """Weights and their step: the same ones for all questions about the same file.

    Args:
        folder: Of the run.
        step: A snapshot; None is the last weights.
        _written: When the file was written as the question was asked.
    """
    run = Run(Path(folder))
    return run.load_last_weights() if step is None else (run.load_weights(step), step)


def images_of(dataset: str, part: Part, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first images of a part of a data set, or all, and their labels."""
    from ndmixer.datasets import load_dataset

    data = load_dataset(dataset)
    x, y = (data.x_test, data.y_test) if part == "test" else (data.x_train, data.y_train)
    return x[:count], y[:count]


def _pictures(dataset: str, part: Part, *indices: int) -> np.ndarray:
    """The task behind `pictures`."""
    return images_of(dataset, part)[0][list(indices)]


def _thumbnails(dataset: str, part: Part, count: int) -> np.ndarray:
    """The task behind `thumbnails`."""
    from ndmixer.figures import as_bytes

    small = np.stack([as_bytes(image) for image in images_of(dataset, part)[0][:count]])
    apart = -(-max(small.shape[1:3]) // THUMBNAIL)
    small = small[:, ::apart, ::apart]
    return np.ascontiguousarray(small[..., None] if small.ndim == 3 else small)
