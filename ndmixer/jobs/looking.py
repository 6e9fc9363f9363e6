"""One image in a model: what it becomes at every stage, and which images are worth a look."""

import base64
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import TypedDict

import numpy as np

from ndmixer.images import Part
from ndmixer.jobs.engine import engine
from ndmixer.jobs.inspecting import images_of, weights_now, weights_of
from ndmixer.runs import Run

PASSES = 4  # of many images, whose outputs it keeps


class OneImage(TypedDict):
    """What a model makes of one image.

    Attributes:
        values: For each stage, in order, an array of shape `stage.shape`.
        exits: What the model would answer if it stopped there, for the stage before the
            first block and for each block: see `ndmixer.representations.early_exits`.
        label: Class of an image of the data set, else None.
        step: After which step the weights were taken; None if the file does not say.
    """

    values: dict[str, np.ndarray]
    exits: dict[str, np.ndarray]
    label: int | None
    step: int | None


def one_image(
    run: Run, step: int | None, image: tuple[Part, int] | np.ndarray
) -> Callable[[], OneImage | None]:
    """What a model makes of one image, at every stage and after every axis.

    Computed by an inspecting worker, which never waits behind training; returns at once. The
    question is about the weights that are there now.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        image: Part and index of one of the run's data set; or one of another origin, of the
            data set's sample shape.

    Returns:
        A function to be called until it returns something other than None. It raises a
        ValueError if there is no such image or it does not fit the model.

    Raises:
        ValueError: the run has no such weights.
    """
    asked: tuple[str, int]
    if isinstance(image, tuple):
        asked = image
    else:
        asked = base64.b64encode(np.asarray(image, "<f4").tobytes()).decode(), 0
    return partial(engine.call, _one_image, *weights_now(run, step), *asked)


def outputs_of(
    run: Run, step: int | None, part: Part, count: int
) -> Callable[[], dict[str, np.ndarray] | None]:
    """What a classifier answers to many images, in one pass that the worker keeps.

    Computed by an inspecting worker, which never waits behind training; returns at once.

    Args:
        run: A run of a classifier.
        step: One of `run.snapshots()`; None is its last weights.
        part: Images of the test or of the training set.
        count: How many, the first ones.

    Returns:
        A function to be called until it returns something other than None: `labels`
        `(images,)` and `logits` `(images, classes)`.

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(engine.call, _outputs_of, *weights_now(run, step), part, count)


def labels_of(dataset: str, part: Part, count: int) -> np.ndarray | None:
    """The classes of the first images of a data set; returns at once.

    Returns:
        Shape `(images,)`; None as long as it is not ready.

    Raises:
        ValueError: there is no such data set.
    """
    return engine.call(_labels_of, dataset, part, count)


def _one_image(folder: str, step: int | None, written: int, source: str, index: int) -> OneImage:
    """The task behind `one_image`; the source is a part of the data set, or the pixels."""
    from ndmixer.representations import early_exits, representations

    weights, found = weights_of(folder, step, written)
    run, label = Run(Path(folder)), None
    spec = run.model_spec
    if source in ("test", "train"):
        x, y = images_of(run.train_spec.dataset, "test" if source == "test" else "train")
        if not 0 <= index < len(x):
            raise ValueError(f"choose an image below {len(x):,}. Received: {source} {index}")
        image, label = x[index], int(y[index])
    else:
        image = np.frombuffer(base64.b64decode(source), "<f4")
    values = representations(spec, weights, image[None])
    exits = early_exits(spec, weights, values)
    return {
        "values": {stage: value[0] for stage, value in values.items()},
        "exits": {stage: value[0] for stage, value in exits.items()},
        "label": label,
        "step": found,
    }


@lru_cache(maxsize=PASSES)
def _outputs_of(
    folder: str, step: int | None, written: int, part: Part, count: int
) -> dict[str, np.ndarray]:
    """The task behind `outputs_of`."""
    from ndmixer.representations import representations

    weights, _ = weights_of(folder, step, written)
    run = Run(Path(folder))
    x, y = images_of(run.train_spec.dataset, part, count)
    return {"labels": y, **representations(run.model_spec, weights, x, ("logits",))}


def _labels_of(dataset: str, part: Part, count: int) -> np.ndarray:
    """The task behind `labels_of`."""
    return images_of(dataset, part, count)[1]
