"""What an autoencoder makes of images and of points between them.

Questions and tasks as in `ndmixer.jobs.inspecting`.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ndmixer.jobs.engine import engine
from ndmixer.jobs.inspecting import Part, images_of, weights_now, weights_of
from ndmixer.reconstruction import Order
from ndmixer.runs import Run

Answer = dict[str, np.ndarray]

PASSES = 4  # of many images, whose errors are kept


def reconstructions(
    run: Run,
    step: int | None,
    part: Part,
    count: int,
    order: Order,
    shown: int,
    page: int = 0,
) -> Callable[[], Answer | None]:
    """Images and outputs of an autoencoder, and the errors of all images; returns at once.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        part: Images of the test or of the training set.
        count: How many, the first ones; all if there are not so many.
        order: See `ndmixer.reconstruction.page_of`.
        shown: Images on a page.
        page: Which page, from 0.

    Returns:
        A function to be called until it returns something other than None: `errors` `(images,)`;
        of the page `indices`, `labels`, `inputs` and `outputs`, both of the data's own shape;
        `step` (-1 if the file does not say).

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(
        engine.call, _reconstructions, *weights_now(run, step), part, count, order, shown, page
    )


def decoded_averages(
    run: Run, step: int | None, stage: str, part: Part, count: int
) -> Callable[[], Answer | None]:
    """What an autoencoder makes of the class averages of a stage; returns at once.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: Any stage but those within a block.
        part: Images of the test or of the training set.
        count: How many, the first ones; all if there are not so many.

    Returns:
        A function to be called until it returns something other than None: `inputs`, the average
        image of each class, and `decoded`, both `(classes, *sample_shape)`, NaN without images.

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(engine.call, _decoded_averages, *weights_now(run, step), stage, part, count)


def walk(
    run: Run, step: int | None, stage: str, part: Part, ends: tuple[int, int], count: int
) -> Callable[[], Answer | None]:
    """Points between two images in a representation, decoded; returns at once.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: Any stage but those within a block.
        part: Of the data set.
        ends: Two images.
        count: How many points, both ends among them.

    Returns:
        A function to be called until it returns something other than None: `decoded` and
        `blended`, the mixed pixels of the two, both `(count, *sample_shape)`; `labels` `(2,)`.

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(engine.call, _walk, *weights_now(run, step), stage, part, *ends, count)


def _reconstructions(
    folder: str,
    step: int | None,
    written: int,
    part: Part,
    count: int,
    order: Order,
    shown: int,
    page: int,
) -> Answer:
    """The task behind `reconstructions`."""
    from ndmixer.reconstruction import page_of
    from ndmixer.representations import output_after

    run = Run(Path(folder))
    images, labels = images_of(run.train_spec.dataset, part, count)
    errors = _errors(folder, step, written, part, count)
    weights, found = weights_of(folder, step, written)
    indices = page_of(errors, order, shown, page)
    inputs, spec = images[indices], run.model_spec
    outputs = output_after(spec, weights, "input", inputs.reshape(-1, *spec.in_shape))
    return {
        **{"errors": errors, "indices": indices, "labels": labels[indices]},
        **{"inputs": inputs, "outputs": outputs.reshape(inputs.shape)},
        "step": np.array(-1 if found is None else found),
    }


@lru_cache(maxsize=PASSES)
def _errors(folder: str, step: int | None, written: int, part: Part, count: int) -> np.ndarray:
    """Of all images, for every order and page of them."""
    from ndmixer.accounting import stages
    from ndmixer.reconstruction import image_errors
    from ndmixer.representations import in_batches

    run = Run(Path(folder))
    spec, (weights, _) = run.model_spec, weights_of(folder, step, written)
    images, _ = images_of(run.train_spec.dataset, part, count)
    batches = in_batches(spec, weights, images, (stages(spec)[-1],))
    return np.concatenate([image_errors(images[part], made) for part, _, made in batches])


def _decoded_averages(
    folder: str, step: int | None, written: int, stage: str, part: Part, count: int
) -> Answer:
    """The task behind `decoded_averages`."""
    from ndmixer.datasets import load_dataset
    from ndmixer.geometry import ClassStatistics
    from ndmixer.representations import in_batches, output_after

    run = Run(Path(folder))
    spec, (weights, _) = run.model_spec, weights_of(folder, step, written)
    data = load_dataset(run.train_spec.dataset)
    images, labels = images_of(run.train_spec.dataset, part, count)
    statistics = {name: ClassStatistics(data.num_classes) for name in ("input", stage)}
    for own, name, values in in_batches(spec, weights, images, tuple(statistics)):
        statistics[name].add(values, labels[own])
    shape = (-1, *data.sample_shape)
    decoded = output_after(spec, weights, stage, statistics[stage].averages())
    inputs = statistics["input"].averages()
    return {"inputs": inputs.reshape(shape), "decoded": decoded.reshape(shape)}


def _walk(
    folder: str,
    step: int | None,
    written: int,
    stage: str,
    part: Part,
    first: int,
    second: int,
    count: int,
) -> Answer:
    """The task behind `walk`."""
    from ndmixer.reconstruction import blend
    from ndmixer.representations import output_after, representations

    run = Run(Path(folder))
    spec, (weights, _) = run.model_spec, weights_of(folder, step, written)
    images, labels = images_of(run.train_spec.dataset, part, max(first, second) + 1)
    ends = images[[first, second]]
    there = representations(spec, weights, ends, (stage,))[stage]
    decoded = output_after(spec, weights, stage, blend(there, count))
    return {
        **{"blended": blend(ends, count), "labels": labels[[first, second]]},
        "decoded": decoded.reshape(count, *ends.shape[1:]),
    }
