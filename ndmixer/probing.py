"""What can be read off representations: classes by simple rules, and how alike two stages are.

Everything here takes arrays, of any model, stage or file.
"""

import warnings
from collections.abc import Sequence
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ndmixer.geometry import ClassStatistics, nearest_average

FREEDOM = 0.1  # scikit-learn's C: the smaller, the smaller the coefficients are kept
MOST_ITERATIONS = 200


def nearest_mean_accuracy(
    fitted: ArrayLike, fitted_labels: ArrayLike, measured: ArrayLike, labels: ArrayLike
) -> float:
    """Share of images that lie nearest to the average of their own class.

    Args:
        fitted: Shape `(images, ...)`; the averages are taken of these.
        fitted_labels: Shape `(images,)`, whole numbers from 0.
        measured: Shape `(other images, ...)`.
        labels: Theirs.
    """
    statistics = ClassStatistics(int(np.max(fitted_labels)) + 1)
    statistics.add(fitted, fitted_labels)
    return float(np.mean(nearest_average(measured, statistics.averages()) == labels))


def probe_accuracy(
    fitted: ArrayLike, fitted_labels: ArrayLike, measured: ArrayLike, labels: ArrayLike
) -> float:
    """Share of images whose class a linear probe names.

    The probe is scikit-learn's multinomial logistic regression (`C=0.1`, at most 200 steps of
    L-BFGS from zero, so the same every time) on representations each entry of which has mean 0
    and deviation 1 over the fitted images. A ridge classifier takes a fifth of the time, but
    least squares is a poor way to name classes: with the best of five penalties it named five
    per cent of the images fewer from the pixels of MNIST, and two fewer from a model's logits.

    Args:
        fitted: Shape `(images, ...)`; the probe learns from these.
        fitted_labels: Shape `(images,)`, whole numbers from 0.
        measured: Shape `(other images, ...)`.
        labels: Theirs.

    Returns:
        The accuracy; NaN if the fitted images are of one class.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(fitted_labels)) < 2:
        return nan
    a, b = (np.asarray(values) for values in (fitted, measured))
    scaler = StandardScaler().fit(a.reshape(len(a), -1))
    probe = LogisticRegression(C=FREEDOM, max_iter=MOST_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # still a probe, not quite the best
        probe.fit(scaler.transform(a.reshape(len(a), -1)), fitted_labels)
    return float(np.mean(probe.predict(scaler.transform(b.reshape(len(b), -1))) == labels))


def linear_cka(representations: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Similarity of several representations of the same images: unbiased linear CKA.

    Centred kernel alignment (Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network
    Representations Revisited, 2019) of `X` and `Y`, with the linear kernels `K = X X'` and
    `L = Y Y'`, is

        CKA(X, Y) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)).

    HSIC is here the unbiased estimate of Song et al. (2012), as in Nguyen, Raghu, Kornblith
    (2021): with the diagonals of `K` and `L` set to 0,

        n (n - 3) HSIC(K, L) = tr(K L) + sum(K) sum(L) / ((n - 1) (n - 2)) - 2 sum(K L) / (n - 2).

    The usual, biased one calls any two representations alike that have more entries than there
    are images. It is 1 of a representation with itself, after any rotation and scaling too,
    about 0 of unrelated ones, and may lie a little below.

    The matrices of images times images are formed once a representation, so that the time grows
    with the number of representations, not with that of pairs of them.

    Args:
        representations: Each of shape `(images, ...)`, of the same at least four images.

    Returns:
        Shape `(representations, representations)`, symmetric, float64; NaN for a representation
        that is the same for all images.

    Raises:
        ValueError: the numbers of images differ, or are below four.
    """
    counts = {len(np.asarray(values)) for values in representations}
    if len(counts) != 1 or min(counts) < 4:
        raise ValueError(
            f"give representations of the same, at least four images. Received: {sorted(counts)}"
        )
    centred = np.stack([_centred_products(values).ravel() for values in representations])
    similarity = (centred @ centred.T).astype(np.float64)
    np.fill_diagonal(similarity, np.where(np.isfinite(np.diag(similarity)), 1.0, nan))
    return similarity


def _centred_products(values: ArrayLike) -> NDArray[np.floating]:
    """`X X'`, centred so that the product of two of these is the unbiased HSIC, of length 1."""
    x = np.asarray(values)
    x = x.reshape(len(x), -1).astype(np.result_type(x.dtype, np.float32), copy=False)
    mean = x.mean(axis=0, dtype=np.float64)
    size = float(np.abs(x).max(initial=0))
    x = x - mean.astype(x.dtype)
    scale = float(np.abs(x).max(initial=0))
    n = len(x)
    if not scale > 16 * np.finfo(x.dtype).eps * size:  # the same for all images, but for rounding
        return np.full((n, n), nan, x.dtype)
    x /= scale
    products = x @ x.T
    np.fill_diagonal(products, 0)
    rows = products.sum(axis=1, dtype=np.float64)
    shift = rows / (n - 2) - rows.sum() / (2 * (n - 1) * (n - 2))
    products -= shift[:, None].astype(x.dtype) + shift.astype(x.dtype)
    np.fill_diagonal(products, 0)
    return products / np.sqrt(np.sum(products**2, dtype=np.float64)).astype(x.dtype)


def spread_out(steps: Sequence[int], most: int) -> list[int]:
    """At most so many of the steps, as evenly in the logarithm as they permit.

    Args:
        steps: Ascending, from 0.
        most: At least two; the first and the last are always among them.
    """
    places = np.log1p(np.asarray(steps, np.float64))
    if len(steps) <= most:
        return list(steps)
    wanted = np.linspace(places[0], places[-1], most)
    return [steps[i] for i in sorted({int(np.abs(places - w).argmin()) for w in wanted})]
