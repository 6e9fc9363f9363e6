"""Through depth and time: questions to the inspecting worker, and the tasks that answer them."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ndmixer.accounting import accounting, stages
from ndmixer.jobs.engine import engine
from ndmixer.jobs.inspecting import images_of, weights_now, weights_of
from ndmixer.runs import Run

if TYPE_CHECKING:
    from ndmixer.depth import Sample

MOMENTS = 128  # whose few numbers the worker keeps

Answer = dict[str, np.ndarray]


def stage_accuracy(run: Run, step: int | None, stage: str) -> Callable[[], Answer | None]:
    """How many classes two simple rules get right from each stage of a model.

    Computed by an inspecting worker, for the weights that are there now; returns at once. Only
    images of the training set that the run learns from teach the rules.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: One of `ndmixer.stages(run.model_spec)`: looked at besides the main ones.

    Returns:
        A function to be called until it returns something other than None: what
        `ndmixer.depth.accuracy_by_stage` returns, `fitted` and `measured` (how many images),
        `step` (-1 if the file does not say). It raises a ValueError if a representation is not
        finite, there is no such stage, or the data set is not there.

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(engine.call, _stage_accuracy, *weights_now(run, step), _inner(run, stage))


def stage_similarity(run: Run, step: int | None, stage: str) -> Callable[[], Answer | None]:
    """How alike all stages of a model arrange the same images.

    Computed by an inspecting worker, for the weights that are there now; returns at once.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: One of `ndmixer.stages(run.model_spec)`: looked at besides the main ones.

    Returns:
        A function as that of `stage_accuracy`: what `ndmixer.depth.similarity_by_stage` returns,
        `measured`, `step`.

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(engine.call, _stage_similarity, *weights_now(run, step), _inner(run, stage))


def moments(run: Run, steps: Sequence[int], stage: str) -> Callable[[], Answer | None]:
    """Where the classes lie at several moments of a training, and what each block does there.

    Computed by an inspecting worker, one moment after the other, so that nobody else waits for
    longer than one; it keeps them. Returns at once.

    Args:
        run: A run that trains or has ended.
        steps: Some of `run.snapshots()`, at least one.
        stage: One of `ndmixer.stages(run.model_spec)`: looked at besides the main ones.

    Returns:
        A function as that of `stage_accuracy`: what `ndmixer.depth.moment` returns, `stages` as
        it is and all else with the moments as first axis; `steps`, `fitted`, `measured`.

    Raises:
        ValueError: the run has no such weights.
    """
    inner = _inner(run, stage)
    questions = [(*weights_now(run, step), inner) for step in steps]
    found: list[Answer] = []

    def ask() -> Answer | None:
        while len(found) < len(questions):
            answer = engine.call(_moment, *questions[len(found)])
            if answer is None:
                return None
            found.append(answer)
        names = ("nearest", "distances", "ratios", "score")
        same = {name: found[0][name] for name in ("stages", "fitted", "measured")}
        stacked = {name: np.stack([one[name] for one in found]) for name in names}
        return {**same, **stacked, "steps": np.array(steps)}

    return ask


def _inner(run: Run, stage: str) -> str:
    """The stage if it is none of the main ones, which share one answer."""
    main = {main.name for main in accounting(run.model_spec).stages}
    return "" if stage in main else stage


def _stage_accuracy(folder: str, step: int | None, written: int, inner: str) -> Answer:
    """The task behind `stage_accuracy`."""
    from ndmixer.depth import accuracy_by_stage

    weights, found = weights_of(folder, step, written)
    spec, sample = Run(Path(folder)).model_spec, _sample(folder, inner)
    return {
        **accuracy_by_stage(spec, weights, sample, inner),
        **_counts(sample),
        "step": np.array(-1 if found is None else found),
    }


def _stage_similarity(folder: str, step: int | None, written: int, inner: str) -> Answer:
    """The task behind `stage_similarity`."""
    from ndmixer.depth import COMPARED, similarity_by_stage

    weights, found = weights_of(folder, step, written)
    images = _sample(folder, inner).measured[:COMPARED]
    return {
        **similarity_by_stage(Run(Path(folder)).model_spec, weights, images, inner),
        "measured": np.array(len(images)),
        "step": np.array(-1 if found is None else found),
    }


@lru_cache(maxsize=MOMENTS)
def _moment(folder: str, step: int, _written: int, inner: str) -> Answer:
    """The task behind `moments`."""
    from ndmixer.depth import moment

    run, sample = Run(Path(folder)), _sample(folder, inner)
    return moment(run.model_spec, run.load_weights(step), sample, inner) | _counts(sample)


def _sample(folder: str, inner: str) -> "Sample":
    from ndmixer.datasets import load_dataset
    from ndmixer.depth import Sample, sample_size

    run = Run(Path(folder))
    spec, train = run.model_spec, run.train_spec
    if inner and inner not in stages(spec):
        raise ValueError(
            f"the stages of this model are {', '.join(stages(spec))}. Received: stage={inner!r}"
        )
    count = sample_size(spec)
    return Sample(
        *images_of(train.dataset, "train", min(count, train.train_images or count)),
        *images_of(train.dataset, "test", count),
        load_dataset(train.dataset).num_classes,
    )


def _counts(sample: "Sample") -> Answer:
    return {
        "fitted": np.array(len(sample.fitted_labels)),
        "measured": np.array(len(sample.labels)),
    }
