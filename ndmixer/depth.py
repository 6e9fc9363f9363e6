"""Where in a model, and when in its training, the classes come apart: models and images in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ndmixer.accounting import accounting, walk
from ndmixer.geometry import ClassStatistics, distance_matrix, nearest_average
from ndmixer.inspection import SAMPLE_NUMBERS, looked_at
from ndmixer.probing import linear_cka, nearest_mean_accuracy, probe_accuracy
from ndmixer.representations import in_batches, representations
from ndmixer.spec import ModelSpec

IMAGES = 2_000  # of the training and of the test set, at most
FEWEST = 500  # where the representations are very large
COMPARED = 1_000  # test images at most by which stages are compared
DIVERGED = "these weights are not finite: the training diverged; choose earlier ones"

Weights = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class Sample:
    """Images to learn simple rules from, and others to measure them on.

    Attributes:
        fitted: Shape `(images, ...)`, of the training set.
        fitted_labels: Shape `(images,)`, whole numbers below `classes`.
        measured: Shape `(other images, ...)`, of the test set.
        labels: Theirs.
        classes: How many there are.
    """

    fitted: NDArray[np.float32]
    fitted_labels: NDArray[np.int64]
    measured: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int


def sample_size(spec: ModelSpec) -> int:
    """How many images of either set are enough and not too slow: 2,000, of large models fewer."""
    numbers = sum(prod(stage.shape) for stage in accounting(spec).stages)
    return max(FEWEST, min(IMAGES, SAMPLE_NUMBERS // numbers))


def accuracy_by_stage(
    spec: ModelSpec, weights: Weights, sample: Sample, stage: str
) -> dict[str, np.ndarray]:
    """How many classes two simple rules get right from the representation at each stage.

    Args:
        spec: The architecture.
        weights: Its weights by name.
        sample: What the rules are learned from and measured on.
        stage: A stage that is looked at besides the main ones, if it is none of them.

    Returns:
        `stages`, and for each of them `nearest` and `probe`: shares from 0 to 1, see
        `ndmixer.probing`.

    Raises:
        ValueError: a representation is not finite.
    """
    names = looked_at(spec, stage)
    images = np.concatenate([sample.fitted, sample.measured])
    cut, nearest, probe = len(sample.fitted), {}, {}
    for name, values in _stage_by_stage(spec, weights, images, names):
        rule = values[:cut], sample.fitted_labels, values[cut:], sample.labels
        nearest[name], probe[name] = nearest_mean_accuracy(*rule), probe_accuracy(*rule)
    return {
        "stages": np.array(names),
        "nearest": np.array([nearest[name] for name in names]),
        "probe": np.array([probe[name] for name in names]),
    }


def similarity_by_stage(
    spec: ModelSpec, weights: Weights, images: NDArray[np.float32], stage: str
) -> dict[str, np.ndarray]:
    """How alike all stages arrange the same images.

    Args:
        spec: The architecture.
        weights: Its weights by name.
        images: Shape `(images, ...)`.
        stage: A stage that is looked at besides the main ones, if it is none of them.

    Returns:
        `stages`, and `similarity` of shape `(stages, stages)`: see `ndmixer.probing.linear_cka`.

    Raises:
        ValueError: a representation is not finite.
    """
    names = looked_at(spec, stage)
    arrays = [_finite(found) for found in representations(spec, weights, images, names).values()]
    return {"stages": np.array(names), "similarity": linear_cka(arrays)}


def moment(spec: ModelSpec, weights: Weights, sample: Sample, stage: str) -> dict[str, np.ndarray]:
    """One moment of a training: where the classes lie, and what each block does.

    Args:
        spec: The architecture.
        weights: Its weights at that moment.
        sample: Class averages of its fitted images name the class of its measured ones.
        stage: A stage that is looked at besides the main ones, if it is none of them.

    Returns:
        `stages`; `nearest` `(stages,)`, the share that lies nearest to the average of its own
        class; `distances` `(stages, classes, classes)`, root-mean-square between the class
        averages of the measured images; `ratios` `(blocks,)`, the length of what a block adds,
        gate times mixer, over that of its input, a mean over the measured images; `score`, the
        accuracy on the measured images, of an autoencoder the RMSE. NaN where a number is not
        finite.
    """
    with np.errstate(all="ignore"):  # of a training that diverged
        names, plan = looked_at(spec, stage), accounting(spec)
        main = {stage.name for stage in plan.stages}
        learned = {name: ClassStatistics(sample.classes) for name in names}
        for part, name, values in in_batches(spec, weights, sample.fitted, names):
            learned[name].add(values, sample.fitted_labels[part])
        means = {name: statistics.averages() for name, statistics in learned.items()}
        seen = {name: ClassStatistics(sample.classes) for name in names}
        # The last axis of a block is its mixer's output, before gate and residual.
        mixers = {block.axes[-1].name: block for block in plan.stages if block.axes}
        wanted = tuple(s.name for s in walk(plan) if s.name in names or s.name in mixers)
        correct, ratios, score = dict.fromkeys(names, 0), dict.fromkeys(mixers, 0.0), 0.0
        given = np.ones(0)  # length of each image's representation at the main stage before
        for part, name, values in in_batches(spec, weights, sample.measured, wanted):
            own = sample.labels[part]
            if name in names:
                seen[name].add(values, own)
                named = nearest_average(values, means[name])
                correct[name] += int(np.count_nonzero(named == own))
            if name in mixers:
                gate = mixers[name].gate
                factor = 1.0 if gate is None else abs(float(np.asarray(weights[gate])))
                shares = factor * _lengths(values) / given
                ratios[name] += float(np.sum(shares[given != 0]))
            if name == plan.stages[-1].name:
                score += _score(spec, values, sample.measured[part], own)
            if name in main:
                given = _lengths(values)
        count = len(sample.measured)
        found = {name: statistics.averages() for name, statistics in seen.items()}
        whole = [bool(np.isfinite(a[seen[n].counts > 0]).all()) for n, a in found.items()]
        score = score / count if spec.task == "classifier" else float(np.sqrt(score / count))
        nearest = [correct[name] / count for name in names]
        return {
            "stages": np.array(names),
            "nearest": np.where(whole, nearest, nan),
            "distances": np.stack([distance_matrix(averages) for averages in found.values()]),
            "ratios": np.array([total / count for total in ratios.values()]),
            "score": np.array(score if whole[-1] else nan),
        }


def _stage_by_stage(
    spec: ModelSpec, weights: Weights, images: NDArray[np.float32], names: tuple[str, ...]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Whole representations, so many stages in one pass as fit into memory."""
    sizes = {stage.name: prod(stage.shape) for stage in walk(accounting(spec))}
    waiting = list(names)
    while waiting:
        group = [waiting.pop(0)]
        while waiting and len(images) * sum(sizes[n] for n in (*group, waiting[0])) <= (
            2 * SAMPLE_NUMBERS
        ):
            group.append(waiting.pop(0))
        for name, found in representations(spec, weights, images, tuple(group)).items():
            yield name, _finite(found)


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise ValueError(DIVERGED)
    return values


def _lengths(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.linalg.norm(values.reshape(len(values), -1), axis=1).astype(np.float64)


def _score(spec: ModelSpec, out: NDArray, images: NDArray, labels: NDArray) -> float:
    """Right answers of a batch, or its sum of mean squared errors."""
    if spec.task == "classifier":
        return float(np.count_nonzero(out.argmax(axis=1) == labels))
    errors = out.reshape(len(out), -1) - images.reshape(len(out), -1)
    return float(np.sum(np.mean(errors**2, axis=1)))
