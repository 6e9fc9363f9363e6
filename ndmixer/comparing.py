"""Runs beside one another: their events as curves over steps, images or seconds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, nan
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Over = Literal["step", "images", "seconds"]
MAX_POINTS = 400  # of a curve; beyond it neighbours are averaged


@dataclass(frozen=True)
class Curve:
    """Measurements in the order in which they were made; all of shape `(points,)`, float64."""

    step: NDArray[np.float64]
    images: NDArray[np.float64]
    seconds: NDArray[np.float64]
    loss: NDArray[np.float64]
    score: NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """What a run has measured.

    Attributes:
        train: On the images it learned from, one point for each stretch between two reports.
        test: On all test images.
        step: Optimizer steps so far.
        images: Images shown so far, each as often as it was shown.
        seconds: Of training, evaluations included and pauses not.
    """

    train: Curve
    test: Curve
    step: int
    images: int
    seconds: float

    def test_at(self, over: Over, limit: float) -> tuple[float, float] | None:
        """The last test at or before a limit; nothing is interpolated.

        Args:
            over: What is limited.
            limit: How much of it.

        Returns:
            The score, and where it was measured; None if there was no test so early.
        """
        places = getattr(self.test, over)
        early = np.flatnonzero(places <= limit)
        return (float(self.test.score[early[-1]]), float(places[early[-1]])) if early.size else None


def history(
    events: Iterable[Mapping[str, Any]], score: str, train_images: int, batch_size: int
) -> History:
    """Sorts the events of a run.

    Args:
        events: As `Run.metrics()` returns them.
        score: `"accuracy"` or `"rmse"`.
        train_images: How many images an epoch shows.
        batch_size: Images in one step; the last step of an epoch may show fewer.
    """
    per_epoch = max(1, ceil(train_images / batch_size))
    train: list[tuple[float, ...]] = []
    test: list[tuple[float, ...]] = []
    step, images, seconds = 0, 0, 0.0
    for event in events:
        if "step" not in event:
            continue
        step = int(event["step"])
        epochs, rest = divmod(step, per_epoch)
        images = epochs * train_images + rest * batch_size
        seconds = float(event.get("elapsed") or seconds)
        for kind, prefix in ((test, "val_"), (train, "")):
            wanted = f"val_{score}" in event if prefix else event.get("phase") == "training"
            if wanted:
                values = (event.get(f"{prefix}{name}") for name in ("loss", score))
                kind.append((step, images, seconds, *(nan if v is None else v for v in values)))
                break
    return History(_curve(train), _curve(test), step, images, seconds)


def agreement(first: ArrayLike, second: ArrayLike) -> float:
    """Correlation of two distance matrices, each pair of classes counted once.

    Args:
        first: Shape `(classes, classes)`, symmetric.
        second: Of the same shape; pairs that are not finite in both are left out.

    Returns:
        From -1 to 1; NaN where one of them does not vary, or of fewer than three pairs.
    """
    a, b = (np.asarray(table, np.float64) for table in (first, second))
    above = np.triu_indices(len(a), 1)
    a, b = a[above], b[above]
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 3 or not a.std() or not b.std():
        return nan
    return float(np.corrcoef(a, b)[0, 1])


def _curve(points: list[tuple[float, ...]]) -> Curve:
    table = np.array(points, np.float64).reshape(-1, 5)
    size = ceil(len(table) / MAX_POINTS)
    if size > 1:
        starts = np.arange(0, len(table), size)
        ends = np.append(starts[1:], len(table)) - 1
        finite = np.isfinite(table)
        counts = np.add.reduceat(finite.astype(np.float64), starts)
        sums = np.add.reduceat(np.where(finite, table, 0.0), starts)
        means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
        means[:, :3] = table[ends, :3]
        table = means
    return Curve(*table.T)
