"""Looking inside a model: one pass of many images, and where the classes lie at each stage."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ndmixer.accounting import accounting, last_block, stages
from ndmixer.datasets import Dataset
from ndmixer.geometry import (
    ClassStatistics,
    Metric,
    centred_cosines,
    deviations_within,
    distance_matrix,
    mean_pairwise_distances,
    nearest_average,
    scatter_ratio,
)
from ndmixer.reconstruction import image_errors
from ndmixer.representations import in_batches, probe_images, representations
from ndmixer.spec import ModelSpec

SAMPLE = 1_000  # images at most of which single ones are compared
GEOMETRY_IMAGES = 1_000  # test images whose class averages are shown while training runs
SAMPLE_NUMBERS = 32_000_000  # float32, of all stages together


@dataclass(frozen=True)
class ClassPass:
    """What one pass leaves behind: nothing that grows with images times entries.

    Attributes:
        statistics: Of the classes, at every stage looked at, in order.
        nearest_accuracy: At every stage, the share of the second half of the images that lie
            nearest to their own class average, the averages being those of the first half.
        predictions: The class that the model names for each image; None of an autoencoder.
    """

    statistics: dict[str, ClassStatistics]
    nearest_accuracy: dict[str, float]
    predictions: NDArray[np.int64] | None


def looked_at(spec: ModelSpec, stage: str) -> tuple[str, ...]:
    """The stages of a pass: all but those within blocks, and the chosen one; in order."""
    main = {s.name for s in accounting(spec).stages}
    return tuple(name for name in stages(spec) if name in main or name == stage)


def class_pass(
    spec: ModelSpec,
    weights: Mapping[str, ArrayLike],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    stage: str,
) -> ClassPass:
    """Runs images through a model and keeps the statistics of the classes.

    Args:
        spec: The architecture.
        weights: Its weights by name.
        images: Shape `(images, ...)`.
        labels: Shape `(images,)`, whole numbers below `classes`.
        classes: How many there are.
        stage: A stage that is looked at besides the main ones, if it is none of them.

    Raises:
        ValueError: there is no such stage, or an image has another size than `in_shape`.
    """
    names = looked_at(spec, stage)
    if stage not in names:
        raise ValueError(f"the stages of this model are {', '.join(names)}. Received: {stage!r}")
    statistics = {name: ClassStatistics(classes) for name in names}
    half = len(images) // 2
    learned: dict[str, NDArray[np.floating]] = {}
    correct = dict.fromkeys(names, 0)
    predictions = np.zeros(len(images), np.int64) if spec.task == "classifier" else None
    for part, name, values in in_batches(spec, weights, images, names):
        own, cut = labels[part], max(0, half - part.start)
        if cut:
            statistics[name].add(values[:cut], own[:cut])
        if len(values) > cut:
            if name not in learned:
                learned[name] = statistics[name].averages()
            nearest = nearest_average(values[cut:], learned[name]) if half else own[cut:]
            correct[name] += int(np.count_nonzero(nearest == own[cut:]))
            statistics[name].add(values[cut:], own[cut:])
        if name == "logits" and predictions is not None:
            predictions[part] = values.argmax(axis=1)
    accuracy = {name: correct[name] / (len(images) - half) for name in names}
    return ClassPass(statistics, accuracy, predictions)


def class_distances(
    spec: ModelSpec,
    weights: Mapping[str, ArrayLike],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    passed: ClassPass,
    metric: Metric,
    pairs: bool,
) -> tuple[NDArray[np.float64], int]:
    """Distances between the classes at every stage of a pass.

    Args:
        spec: The architecture.
        weights: Its weights by name.
        images: Those of the pass.
        labels: Theirs.
        passed: The pass.
        metric: See `ndmixer.geometry.distance_matrix`.
        pairs: Whether the mean over pairs of images is wanted, else between the averages.

    Returns:
        Shape `(stages, classes, classes)`; and of how many of the first images single ones
        were compared, 0 where the averages are enough.
    """
    names = tuple(passed.statistics)
    if metric != "mahalanobis" and not pairs:
        each = (distance_matrix(s.averages(), metric) for s in passed.statistics.values())
        return np.stack(list(each)), 0
    numbers = sum(s.averages()[0].size for s in passed.statistics.values())
    count = max(2, min(SAMPLE, len(images), SAMPLE_NUMBERS // numbers))
    own, classes = labels[:count], len(passed.statistics[names[0]].counts)
    distances = []
    for name, values in representations(spec, weights, images[:count], names).items():
        if pairs:
            distances.append(mean_pairwise_distances(values, own, metric, classes))
        else:
            averages = passed.statistics[name].averages()
            distances.append(distance_matrix(averages, metric, deviations_within(values, own)))
    return np.stack(distances), len(own)


def class_summary(passed: ClassPass, stage: str) -> dict[str, Any]:
    """A pass as plain arrays: averages and deviations of the chosen stage, a few numbers of all.

    Returns:
        `averages` and `deviations` of shape `(classes, ...)`, `counts` `(classes,)`;
        `stages`, `scatter` and `nearest` `(stages,)`, `cosines` `(stages, classes, classes)`;
        `predictions` `(images,)` of a classifier.
    """
    at = passed.statistics[stage]
    summary: dict[str, Any] = {
        "averages": at.averages(),
        "deviations": at.deviations(),
        "counts": at.counts,
        "cosines": np.stack([centred_cosines(s.averages()) for s in passed.statistics.values()]),
        "stages": np.array(list(passed.statistics)),
        "scatter": np.array(
            [
                scatter_ratio(s.averages(), s.deviations(), s.counts)
                for s in passed.statistics.values()
            ]
        ),
        "nearest": np.array(list(passed.nearest_accuracy.values())),
    }
    if passed.predictions is not None:
        summary["predictions"] = passed.predictions
    return summary


def outcome(
    spec: ModelSpec,
    weights: Mapping[str, ArrayLike],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    without: Collection[str] = (),
) -> dict[str, NDArray[Any]]:
    """What a model achieves: its answers, and how far apart its last block keeps the classes.

    Args:
        spec: The architecture.
        weights: Its weights by name.
        images: Shape `(images, ...)`.
        labels: Shape `(images,)`, whole numbers below `classes`.
        classes: How many there are.
        without: Axes of blocks whose MLP is left out; see `ndmixer.kernels.look`.

    Returns:
        `distances` `(classes, classes)`, root-mean-square, between the class averages at the
        last block; `predictions` `(images,)` of a classifier, of an autoencoder `errors`
        `(images,)`, the root-mean-square error of each image.
    """
    last, end = last_block(spec), stages(spec)[-1]
    statistics, answers = ClassStatistics(classes), []
    for part, name, values in in_batches(spec, weights, images, (last, end), without):
        if name == last:
            statistics.add(values, labels[part])
        if name == end and spec.task == "classifier":
            answers.append(values.argmax(axis=1))
        elif name == end:
            answers.append(image_errors(images[part], values))
    kind = "predictions" if spec.task == "classifier" else "errors"
    return {"distances": distance_matrix(statistics.averages()), kind: np.concatenate(answers)}


def probes(
    spec: ModelSpec, weights: Mapping[str, ArrayLike], data: Dataset
) -> dict[str, NDArray[Any]]:
    """The probes at every stage but the inner axes, and their labels.

    Returns:
        For each stage an array of shape `(probes, *stage.shape)`, float32, and `labels`.
    """
    images, labels = probe_images(data)
    stages = tuple(stage.name for stage in accounting(spec).stages)
    values = representations(spec, weights, images, stages)
    return {"labels": labels, **{name: v.astype(np.float32) for name, v in values.items()}}


def averages_of(
    spec: ModelSpec, weights: Mapping[str, ArrayLike], data: Dataset
) -> dict[str, NDArray[Any]]:
    """The class averages of the first test images at every stage but the inner axes.

    Returns:
        For each stage whose averages are finite an array of shape `(classes, *stage.shape)`,
        float32, and `images`, how many there were; empty if a class has no image among them.
    """
    images, labels = data.x_test[:GEOMETRY_IMAGES], data.y_test[:GEOMETRY_IMAGES]
    stages = tuple(stage.name for stage in accounting(spec).stages)
    statistics = {name: ClassStatistics(int(labels.max()) + 1) for name in stages}
    for part, name, values in in_batches(spec, weights, images, stages):
        statistics[name].add(values, labels[part])
    if not statistics[stages[0]].counts.all():
        return {}
    means = {name: s.averages().astype(np.float32) for name, s in statistics.items()}
    finite = {name: mean for name, mean in means.items() if np.isfinite(mean).all()}
    return {"images": np.array(len(labels)), **finite} if finite else {}
