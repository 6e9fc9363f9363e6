"""Where the classes lie in a representation: averages, distances and what follows, in NumPy.

Everything here takes arrays, of any model, stage or file. An average of a class without an
image, and a distance that has no meaning, is NaN.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Metric = Literal["rms", "euclidean", "cosine", "correlation", "mahalanobis"]
METRICS: tuple[Metric, ...] = get_args(Metric)

Array = NDArray[np.floating]

PIECE = 2**16  # numbers of a batch taken in at once: 256 KiB, which stay in a core's own cache


class ClassStatistics:
    """Averages and standard deviations of each class over images that come batch by batch.

    Nothing of a batch is kept, so that any number of images takes the memory of one batch and
    of two numbers in float64 for each class and entry, and one for each entry.

    Args:
        classes: How many there are.
    """

    def __init__(self, classes: int) -> None:
        self.counts: NDArray[np.int64] = np.zeros(classes, np.int64)
        self._shape: tuple[int, ...] | None = None
        self._dtype: np.dtype[np.floating] = np.dtype(np.float32)
        # Sums around the mean of the first batch, so that no large squares cancel.
        self._centre: Array = np.zeros(0, np.float32)
        self._sums: NDArray[np.float64] = np.zeros((classes, 0))
        self._squares: NDArray[np.float64] = np.zeros((classes, 0))

    def add(self, representations: ArrayLike, labels: ArrayLike) -> None:
        """Takes in a batch.

        Args:
            representations: Shape `(images, ...)`, any real dtype.
            labels: Shape `(images,)`, whole numbers from 0, each below the number of classes.

        Raises:
            ValueError: the lengths or the shapes do not fit, or a label is none of these.
        """
        values, classes = _checked(representations, labels)
        if classes.max() >= len(self.counts):
            raise ValueError(
                f"labels must be below the number of classes, {len(self.counts)}. "
                f"Received: largest={classes.max()}"
            )
        if self._shape is None:
            self._shape = values.shape[1:]
            self._begin(values)
        if values.shape[1:] != self._shape:
            raise ValueError(
                f"every batch needs the same shape, (images, {', '.join(map(str, self._shape))}). "
                f"Received: {values.shape}"
            )
        flat = values.reshape(len(values), -1).astype(self._dtype, copy=False)
        members = np.zeros((len(self.counts), len(values)), self._dtype)
        members[classes, np.arange(len(values))] = 1
        self.counts += np.bincount(classes, minlength=len(self.counts))
        step = max(1, PIECE // len(flat))
        room = np.empty_like(flat[:, :step])
        for start in range(0, flat.shape[1], step):
            piece = slice(start, start + step)
            centre = self._centre[piece]
            centred = np.subtract(flat[:, piece], centre, out=room[:, : len(centre)])
            self._sums[:, piece] += members @ centred
            np.square(centred, out=centred)
            self._squares[:, piece] += members @ centred

    def averages(self) -> Array:
        """Shape `(classes, ...)`: float32, or the dtype of the representations if wider."""
        return self._of_classes(self._means() + self._centre)

    def deviations(self) -> Array:
        """Standard deviation of each entry within each class, of the shape of the averages."""
        variances = self._squares / np.maximum(self.counts, 1)[:, None] - self._means() ** 2
        return self._of_classes(np.sqrt(np.maximum(variances, 0)))

    def _begin(self, values: Array) -> None:
        self._dtype = np.result_type(values.dtype, np.float32)
        flat = values.reshape(len(values), -1)
        self._centre = flat.mean(axis=0, dtype=self._dtype)
        self._sums, self._squares = (np.zeros((len(self.counts), flat.shape[1])) for _ in "sq")

    def _means(self) -> NDArray[np.float64]:
        """Around the centre."""
        return self._sums / np.maximum(self.counts, 1)[:, None]

    def _of_classes(self, values: NDArray[np.float64]) -> Array:
        found = np.where(self.counts[:, None] > 0, values, np.nan)
        return found.reshape(len(values), *(self._shape or (0,))).astype(self._dtype)


def class_averages(representations: ArrayLike, labels: ArrayLike) -> Array:
    """The mean representation of each class.

    Args:
        representations: Shape `(images, ...)`, any real dtype.
        labels: Shape `(images,)`, whole numbers from 0; every class up to the largest
            label must occur.

    Returns:
        Shape `(classes, ...)`; float32, or float64 if the representations are.

    Raises:
        ValueError: the lengths differ, or a class has no image.
    """
    values, classes = _checked(representations, labels)
    statistics = ClassStatistics(int(classes.max()) + 1)
    statistics.add(values.astype(np.result_type(values.dtype, np.float32), copy=False), classes)
    if not statistics.counts.all():
        raise ValueError(
            "every class up to the largest label needs an image; renumber the labels. "
            f"Received: no image of class {int(np.argmin(statistics.counts))}"
        )
    return statistics.averages()


def distance_matrix(
    averages: ArrayLike, metric: Metric = "rms", within: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Distance between all pairs of class averages.

    | metric | what it is |
    |---|---|
    | `rms` | root-mean-square difference: the Euclidean distance over the root of the number of entries, so that stages of different shape compare |
    | `euclidean` | length of the difference |
    | `cosine` | 1 minus the cosine of the angle at the origin: 0 to 2 |
    | `correlation` | the same after the mean over the entries of each average is taken away |
    | `mahalanobis` | length of the difference in standard deviations within the classes, by one covariance for all classes, shrunk after Ledoit and Wolf |

    Args:
        averages: Shape `(classes, ...)`, any real dtype.
        metric: One of `METRICS`.
        within: For `mahalanobis`, shape `(images, ...)`: images minus their class average.

    Returns:
        Shape `(classes, classes)`, symmetric, 0 on the diagonal; float64.

    Raises:
        ValueError: there is no such metric, or `within` is missing.
    """  # noqa: E501
    flat = _flat(averages)
    if metric in ("rms", "euclidean"):
        # Differences, not products: two averages may lie very close together.
        difference = flat[:, None] - flat[None]
        squares = np.einsum("ijk,ijk->ij", difference, difference)
        return np.sqrt(squares / flat.shape[1] if metric == "rms" else squares)
    return _distances(flat, metric, within)


def mean_pairwise_distances(
    representations: ArrayLike,
    labels: ArrayLike,
    metric: Metric = "rms",
    classes: int | None = None,
) -> NDArray[np.float64]:
    """Mean distance between the images of two classes, over all pairs of images.

    Args:
        representations: Shape `(images, ...)`, any real dtype; takes memory for a number each
            pair of images.
        labels: Shape `(images,)`, whole numbers from 0.
        metric: One of `METRICS`; see `distance_matrix`.
        classes: How many there are; None is the largest label and one.

    Returns:
        Shape `(classes, classes)`, symmetric; on the diagonal the mean over the pairs within
        a class, NaN if it has not two images; float64.
    """
    values, found = _checked(representations, labels)
    flat = _flat(values)
    within = deviations_within(flat, found) if metric == "mahalanobis" else None
    between = _distances(flat, metric, within)
    members = np.eye(classes or int(found.max()) + 1)[found]
    counts = members.sum(axis=0)
    pairs = np.outer(counts, counts) - np.diag(counts)
    defined = np.isfinite(between)
    sums = members.T @ np.where(defined, between, 0) @ members
    undefined = members.T @ ~defined @ members
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(undefined > 0, np.nan, sums / pairs)


def deviations_within(representations: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Images minus their class average: shape `(images, entries)`, float64."""
    values, classes = _checked(representations, labels)
    flat = _flat(values)
    statistics = ClassStatistics(int(classes.max()) + 1)
    statistics.add(flat, classes)
    return flat - statistics.averages().astype(np.float64)[classes]


def ledoit_wolf_shrinkage(within: ArrayLike) -> float:
    """How far the covariance is best drawn to a multiple of the identity: 0 to 1.

    Args:
        within: Shape `(images, ...)`, of mean 0.
    """
    flat = _flat(within)
    images, size = flat.shape
    products = flat @ flat.T if images < size else flat.T @ flat
    squares = float(np.sum(products**2)) / images**2  # of all entries of the covariance
    trace = float(np.sum(flat**2)) / images
    distance = squares - trace**2 / size
    noise = float(np.sum(np.sum(flat**2, axis=1) ** 2)) / images - squares
    return 0.0 if distance <= 0 else max(0.0, min(1.0, noise / images / distance))


def scatter_ratio(averages: ArrayLike, deviations: ArrayLike, counts: ArrayLike) -> float:
    """Variance between the classes over the variance within them; larger is further apart.

    Args:
        averages: Shape `(classes, ...)`.
        deviations: Standard deviations within the classes, of the same shape.
        counts: Images of each class.

    Returns:
        A ratio from 0; infinite if no image differs from its class average.
    """
    weights = np.asarray(counts, np.float64)
    present = weights > 0
    weights = weights[present] / weights.sum()
    means, spread = _flat(averages)[present], _flat(deviations)[present]
    between = float(weights @ np.sum((means - weights @ means) ** 2, axis=1))
    within = float(weights @ np.sum(spread**2, axis=1))
    return between / within if within > 0 else float("inf") if between > 0 else float("nan")


def centred_cosines(averages: ArrayLike) -> NDArray[np.float64]:
    """Cosines of the angles between class averages, seen from the mean of all averages.

    Classes that are as far from one another as can be, a regular simplex, have
    `simplex_cosine(classes)` everywhere off the diagonal.

    Args:
        averages: Shape `(classes, ...)`.

    Returns:
        Shape `(classes, classes)`, 1 on the diagonal; float64.
    """
    return _cosines(_centred(_flat(averages)))


def simplex_cosine(classes: int) -> float:
    """Cosine between two corners of a regular simplex from its centre: -1/9 for ten classes."""
    return -1 / (classes - 1)


def nearest_average(representations: ArrayLike, averages: ArrayLike) -> NDArray[np.int64]:
    """The class whose average is nearest to each image, by Euclidean distance.

    Args:
        representations: Shape `(images, ...)`.
        averages: Shape `(classes, ...)`; a class that is NaN is never nearest.

    Returns:
        Shape `(images,)`.
    """
    values, means = np.asarray(representations), np.asarray(averages)
    values, means = values.reshape(len(values), -1), means.reshape(len(means), -1)
    present = np.isfinite(means).all(axis=1)
    means = np.where(present[:, None], means, 0)
    # The square of the image itself is the same for all classes.
    scores = np.sum(means**2, axis=1) - 2 * (values @ means.T)
    return np.where(present, scores, np.inf).argmin(axis=1)


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """How many images of each class (row) were taken for each class (column).

    Args:
        labels: Shape `(images,)`, whole numbers from 0.
        predictions: Of the same shape.
        classes: How many there are.

    Returns:
        Shape `(classes, classes)`.
    """
    pairs = np.asarray(labels, np.int64) * classes + np.asarray(predictions, np.int64)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def dendrogram_order(distances: ArrayLike) -> list[int]:
    """An order of the classes in which those that lie close stand side by side.

    The two closest groups are joined, by the mean distance of their members, until one is
    left; of two groups that are joined those ends meet that are closest.

    Args:
        distances: Shape `(classes, classes)`, symmetric; NaN counts as far away.
    """
    table = np.asarray(distances, np.float64)
    table = np.where(np.isfinite(table), table, 2 * np.nanmax(np.abs(table), initial=1.0))
    groups = [[c] for c in range(len(table))]
    while len(groups) > 1:
        _, i, j = min(
            (float(table[np.ix_(a, b)].mean()), i, j)
            for i, a in enumerate(groups)
            for j, b in enumerate(groups[:i])
        )
        first, second = groups[j], groups.pop(i)
        joined = [(a, b) for a in (first, first[::-1]) for b in (second, second[::-1])]
        a, b = min(joined, key=lambda pair: float(table[pair[0][-1], pair[1][0]]))
        groups[j] = a + b
    return groups[0] if groups else []


def _distances(
    flat: NDArray[np.float64], metric: Metric, within: ArrayLike | None
) -> NDArray[np.float64]:
    """Between all rows."""
    if metric in ("cosine", "correlation"):
        if metric == "correlation":
            flat = flat - flat.mean(axis=1, keepdims=True)
        distances = 1 - _cosines(flat)
    elif metric in ("rms", "euclidean", "mahalanobis"):
        centred = _centred(flat)
        if metric != "mahalanobis":
            products = centred @ centred.T
        elif within is None:
            raise ValueError("mahalanobis needs the deviations of images: give `within`")
        else:
            products = _whitened_products(centred, _flat(within))
        squares = np.diag(products)
        distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))
        if metric == "rms":
            distances /= np.sqrt(flat.shape[1])
    else:
        raise ValueError(f"choose one of {', '.join(METRICS)}. Received: metric={metric!r}")
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    return distances


def _centred(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows minus the mean of those rows that are numbers."""
    present = flat[np.isfinite(flat).all(axis=1)]
    return flat - (present.mean(axis=0) if len(present) else 0.0)


def _cosines(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(flat, axis=1)
    # A constant vector, after its mean is taken away, is noise of rounding and has no angle.
    noise = 1e-12 * max(float(np.nanmax(lengths, initial=0)), np.finfo(np.float64).tiny)
    unit = flat / np.where(lengths > noise, lengths, np.nan)[:, None]
    cosines = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(cosines, 1)
    return cosines


def _whitened_products(
    points: NDArray[np.float64], within: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`points @ inverse(covariance) @ points.T` of the shrunk covariance; NaN if that is 0.

    With more entries than images the inverse is never formed: by Woodbury's identity a system
    of the number of images is enough.
    """
    images, size = within.shape
    shrinkage = max(ledoit_wolf_shrinkage(within), 1e-12)  # 0 would leave it singular
    ridge = shrinkage * float(np.sum(within**2)) / images / size
    if not ridge > 0:
        return np.full((len(points), len(points)), np.nan)
    share = (1 - shrinkage) / images
    if images > size:
        covariance = share * (within.T @ within) + ridge * np.eye(size)
        return points @ np.linalg.solve(covariance, points.T)
    seen = within @ points.T
    inner = np.linalg.solve(ridge * np.eye(images) + share * (within @ within.T), seen)
    return (points @ points.T - share * seen.T @ inner) / ridge


def _flat(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    return array.reshape(len(array), -1)


def _checked(representations: ArrayLike, labels: ArrayLike) -> tuple[NDArray, NDArray]:
    values, classes = np.asarray(representations), np.asarray(labels)
    if classes.ndim != 1 or len(values) != len(classes) or not len(classes):
        raise ValueError(
            "give one label for each representation, and at least one. "
            f"Received: representations of shape {values.shape}, labels of shape {classes.shape}"
        )
    if not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0:
        raise ValueError(
            "labels must be whole numbers from 0. "
            f"Received: dtype={classes.dtype}, smallest={classes.min()}"
        )
    return values, classes
