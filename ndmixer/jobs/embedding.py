"""Where single images lie in a model: a question to the inspecting worker, and its task."""

from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import cast

import numpy as np

from ndmixer.embedding import Method
from ndmixer.jobs.engine import engine
from ndmixer.jobs.inspecting import Part, images_of, weights_now, weights_of
from ndmixer.runs import Run

# Images at most, by method and dimensions: what takes the worker a few seconds.
MAP_IMAGES: dict[tuple[Method, int], int] = {
    ("pca", 2): 2_000,
    ("pca", 3): 2_000,
    ("tsne", 2): 1_000,
    ("tsne", 3): 500,
    ("umap", 2): 1_000,
    ("umap", 3): 1_000,
}


def image_map(
    run: Run,
    step: int | None,
    stage: str,
    part: Part = "test",
    count: int = 10_000,
    method: Method = "pca",
    dimensions: int = 2,
) -> Callable[[], dict[str, np.ndarray] | None]:
    """Where single images lie at one stage of a model, as points in a plane or in space.

    Computed by an inspecting worker, for the weights that are there now; returns at once.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: One of `ndmixer.stages(run.model_spec)`.
        part: Images of the test or of the training set.
        count: How many, the first ones; never more than `MAP_IMAGES`, fewer where a
            representation is very large.
        method: One of `ndmixer.embedding.METHODS`.
        dimensions: 2 or 3.

    Returns:
        A function to be called until it returns something other than None: `points`
        `(images, dimensions)`, `shares` (of the variance, `(dimensions,)`, with PCA),
        `kept` (see `ndmixer.embedding.neighbours_kept`), `labels`, of a classifier also
        `predictions` `(images,)`, `step` (-1 if the file does not say). It raises a
        ValueError where no map can be made.

    Raises:
        ValueError: the run has no such weights.
    """
    count = min(count, MAP_IMAGES[method, dimensions])
    return partial(
        engine.call, _image_map, *weights_now(run, step), stage, part, count, method, dimensions
    )


def _image_map(
    folder: str,
    step: int | None,
    written: int,
    stage: str,
    part: str,
    count: int,
    method: str,
    dimensions: int,
) -> dict[str, np.ndarray]:
    """The task behind `image_map`."""
    from ndmixer.accounting import accounting, walk
    from ndmixer.embedding import FEWEST, embed, neighbours_kept, principal_components
    from ndmixer.inspection import SAMPLE_NUMBERS
    from ndmixer.representations import representations

    run = Run(Path(folder))
    spec = run.model_spec
    shapes = {s.name: s.shape for s in walk(accounting(spec))}
    if stage not in shapes:
        raise ValueError(f"the stages of this model are {', '.join(shapes)}. Received: {stage!r}")
    count = min(count, max(FEWEST, SAMPLE_NUMBERS // prod(shapes[stage])))
    weights, found = weights_of(folder, step, written)
    images, labels = images_of(run.train_spec.dataset, cast(Part, part), count)
    wanted = (stage, "logits") if spec.task == "classifier" else (stage,)
    at = representations(spec, weights, images, wanted)
    values = at[stage]
    answer = {"labels": labels, "step": np.array(-1 if found is None else found)}
    if method == "pca":
        answer |= principal_components(values, dimensions)._asdict()
    else:
        answer["points"] = embed(values, cast(Method, method), dimensions)
    answer["kept"] = np.array(neighbours_kept(values, answer["points"]))
    if spec.task == "classifier":
        answer["predictions"] = at["logits"].argmax(axis=1)
    return answer
