"""Many representations as points in a plane or in space: PCA, t-SNE and UMAP, on plain arrays.

Every result is the same for the same input: seeds are fixed, one thread computes, and PCA,
from which the other two start, has a fixed sign.
"""

import warnings
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Method = Literal["pca", "tsne", "umap"]
METHODS: tuple[Method, ...] = get_args(Method)

NEIGHBOURS = 15  # of UMAP, and of the neighbours that are counted
PERPLEXITY = 30  # of t-SNE: about how many neighbours count
FEWEST = 5  # images of which a map can be made
SEED = 0


class PrincipalComponents(NamedTuple):
    """The directions in which points are spread most.

    Attributes:
        points: Shape `(images, dimensions)`, float64, centred; a direction that the points do
            not have is 0.
        shares: Shape `(dimensions,)`: the share of the whole variance along each, descending.
    """

    points: NDArray[np.float64]
    shares: NDArray[np.float64]


def principal_components(representations: ArrayLike, dimensions: int = 2) -> PrincipalComponents:
    """PCA; each direction turned so that its entry of largest magnitude is positive.

    Args:
        representations: Shape `(images, ...)`, finite.
        dimensions: How many directions, 2 or 3.

    Raises:
        ValueError: there are too few images, a number is not finite, or all are the same.
    """
    from scipy.linalg import eigh

    flat = _checked(representations, dimensions)
    centred = flat - flat.mean(axis=0)
    variance = float(np.sum(centred**2))
    # The smaller of the two products has the same eigenvalues, and is quick to take apart.
    tall = centred.shape[1] <= len(centred)
    product = centred.T @ centred if tall else centred @ centred.T
    last = len(product) - 1
    first = max(0, last + 1 - dimensions)
    values, vectors = eigh(product, subset_by_index=[first, last])
    directions = vectors[:, ::-1] if tall else centred.T @ vectors[:, ::-1]
    directions = directions / np.maximum(np.linalg.norm(directions, axis=0), 1e-300)
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1.0, 1.0)
    found = directions.shape[1]
    points, shares = np.zeros((len(flat), dimensions)), np.zeros(dimensions)
    points[:, :found] = centred @ directions
    shares[:found] = np.maximum(values[::-1], 0) / variance
    return PrincipalComponents(points, shares)


def embed(
    representations: ArrayLike, method: Method = "pca", dimensions: int = 2
) -> NDArray[np.float64]:
    """One point for each representation, similar ones close together.

    Args:
        representations: Shape `(images, ...)`, finite.
        method: One of `METHODS`; `"umap"` needs the package umap-learn, whose first call in a
            process compiles for some ten seconds.
        dimensions: 2 or 3.

    Returns:
        Shape `(images, dimensions)`.

    Raises:
        ValueError: there is no such method, there are too few images, a number is not finite,
            or all representations are the same.
    """
    if method not in METHODS:
        raise ValueError(f"choose one of {', '.join(METHODS)}. Received: method={method!r}")
    points = principal_components(representations, dimensions).points
    if method == "pca":
        return points
    flat = _checked(representations, dimensions).astype(np.float32)
    # Both move points from where PCA has them; none may lie on another, or on a line for ever.
    start = points / points[:, 0].std()
    start += 1e-3 * np.random.default_rng(SEED).normal(size=start.shape)
    images = len(flat)
    if method == "tsne":
        from sklearn.manifold import TSNE

        tsne = TSNE(
            dimensions,
            perplexity=min(PERPLEXITY, (images - 1) / 3),
            init=(1e-4 * start).astype(np.float32),
            random_state=SEED,
            n_jobs=1,
        )
        return tsne.fit_transform(flat).astype(np.float64)
    from umap import UMAP

    umap = UMAP(
        n_neighbors=min(NEIGHBOURS, images - 1),
        n_components=dimensions,
        init=start.astype(np.float32),
        random_state=SEED,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of points that have no neighbour but themselves
        return umap.fit_transform(flat).astype(np.float64)


def neighbours_kept(
    representations: ArrayLike, points: ArrayLike, count: int = NEIGHBOURS
) -> float:
    """Which share of the nearest neighbours of each representation are so in a map of them, too.

    1 is a map that keeps all neighbourhoods; `count / (images - 1)` is chance.

    Args:
        representations: Shape `(images, ...)`.
        points: Shape `(images, dimensions)`, the map.
        count: How many neighbours of each; fewer if there are not so many images.

    Returns:
        The mean over all images.
    """
    flat = np.asarray(representations, np.float64).reshape(len(np.asarray(points)), -1)
    count = min(count, len(flat) - 1)
    before, after = (_neighbours(values, count) for values in (flat, np.asarray(points)))
    both = [len(np.intersect1d(a, b)) for a, b in zip(before, after, strict=True)]
    return float(np.mean(both) / count)


def _neighbours(flat: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Numbers of the nearest rows to each row, itself left out, in no order."""
    centred = flat - flat.mean(axis=0)
    squares = np.sum(centred**2, axis=1)
    distances = squares[:, None] + squares - 2 * centred @ centred.T
    np.fill_diagonal(distances, np.inf)
    return np.argpartition(distances, count - 1, axis=1)[:, :count]


def _checked(representations: ArrayLike, dimensions: int) -> NDArray[np.float64]:
    values = np.asarray(representations, np.float64)
    if dimensions not in (2, 3):
        raise ValueError(f"choose 2 or 3 dimensions. Received: dimensions={dimensions}")
    if values.ndim < 2 or len(values) < FEWEST:
        raise ValueError(
            f"a map needs at least {FEWEST} representations. Received: shape={values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "these representations are not finite: the training diverged; choose earlier weights"
        )
    flat = values.reshape(len(values), -1)
    if not np.ptp(flat, axis=0).any():
        raise ValueError("all images have the same representation here; choose another stage")
    return flat
