"""The kernels of a model, and what becomes of it when some of them are cut.

Questions and tasks as in `ndmixer.jobs.inspecting`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ndmixer.jobs.engine import engine
from ndmixer.jobs.inspecting import Part, images_of, weights_now, weights_of
from ndmixer.runs import Run

Answer = dict[str, np.ndarray]

OUTCOMES = 4  # that of the untouched model is asked for with every other one


def kernels(run: Run, step: int | None, stage: str) -> Callable[[], Answer | None]:
    """The weights of a stage, and the talk of its axes; returns at once.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        stage: One of `ndmixer.stages(run.model_spec)`.

    Returns:
        A function to be called until it returns something other than None: the weights of the
        stage by name; `talk/1`, ... for each axis, see `ndmixer.surgery.axis_talk`, and its
        singular values `singular/1`, ...; `gates` `(depth,)` of a model that has them; `finite`,
        whether all weights of the model are numbers, without which there is no talk; `step`
        (-1 if the file does not say).

    Raises:
        ValueError: the run has no such weights.
    """
    return partial(engine.call, _kernels, *weights_now(run, step), stage)


def surgery(
    run: Run,
    step: int | None,
    part: Part,
    count: int,
    factors: Mapping[str, float],
    without: Iterable[str],
) -> Callable[[], Answer | None]:
    """What a model achieves with some blocks weakened and some axes cut; returns at once.

    The weights are changed in memory, in a copy; nothing is written.

    Args:
        run: A run that trains or has ended.
        step: One of `run.snapshots()`; None is its last weights.
        part: Images of the test or of the training set.
        count: How many, the first ones; all if there are not so many.
        factors: See `ndmixer.surgery.scale_blocks`.
        without: Axes of blocks whose MLP is left out; see `ndmixer.kernels.look`.

    Returns:
        A function to be called until it returns something other than None: what
        `ndmixer.inspection.outcome` returns, its names behind `before/` of the untouched model
        and `after/` of the other one; `labels` `(images,)`.

    Raises:
        ValueError: the run has no such weights.
    """
    changes = json.dumps(sorted(factors.items())), json.dumps(sorted(without))
    return partial(engine.call, _surgery, *weights_now(run, step), part, count, *changes)


def _kernels(folder: str, step: int | None, written: int, stage: str) -> Answer:
    """The task behind `kernels`."""
    from ndmixer.accounting import accounting, walk
    from ndmixer.surgery import axis_talk

    account = accounting(Run(Path(folder)).model_spec)
    chosen = next(place for place in walk(account) if place.name == stage)
    weights, found = weights_of(folder, step, written)
    finite = all(np.isfinite(value).all() for value in weights.values())
    answer = {name: weights[name] for name in chosen.weights}
    for axis, talk in axis_talk(chosen, weights).items() if finite else ():
        answer[f"talk/{axis}"] = talk
        answer[f"singular/{axis}"] = np.linalg.svd(talk, compute_uv=False)
    gates = [weights[place.gate] for place in account.stages if place.gate]
    if gates:
        answer["gates"] = np.array(gates)
    step_found = np.array(-1 if found is None else found)
    return {**answer, "finite": np.array(finite), "step": step_found}


def _surgery(
    folder: str,
    step: int | None,
    written: int,
    part: Part,
    count: int,
    factors: str,
    without: str,
) -> Answer:
    """The task behind `surgery`."""
    images = folder, step, written, part, count
    answer: Answer = {"labels": images_of(Run(Path(folder)).train_spec.dataset, part, count)[1]}
    for when, changes in {"before": ("[]", "[]"), "after": (factors, without)}.items():
        found = _outcome(*images, *changes)
        answer |= {f"{when}/{name}": value for name, value in found.items()}
    return answer


@lru_cache(maxsize=OUTCOMES)
def _outcome(
    folder: str,
    step: int | None,
    written: int,
    part: Part,
    count: int,
    factors: str,
    without: str,
) -> Answer:
    from ndmixer.datasets import load_dataset
    from ndmixer.inspection import outcome
    from ndmixer.surgery import scale_blocks

    run = Run(Path(folder))
    weights, _ = weights_of(folder, step, written)
    dataset = run.train_spec.dataset
    images, labels = images_of(dataset, part, count)
    spec, changed = scale_blocks(run.model_spec, weights, dict(json.loads(factors)))
    classes = load_dataset(dataset).num_classes
    return outcome(spec, changed, images, labels, classes, json.loads(without))
