"""One image in a model: a question to the inspecting worker, and its task."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ndmixer.jobs.engine import engine
from ndmixer.jobs.inspecting import Part
from ndmixer.jobs.worker import import_tensorflow
from ndmixer.runs import Run


def image_stages(run: Run, part: Part, index: int) -> Callable[[], dict[str, np.ndarray] | None]:
    """What the last weights of a run make of one image, at every main stage.

    Computed by an inspecting worker, for the weights that are there now; returns at once.

    Args:
        run: A run that trains or has ended.
        part: Whether the image is of the test or of the training set.
        index: Its number there.

    Returns:
        A function to be called until it returns something other than None: an array of
        shape `stage.shape` for each main stage, in order. It raises a ValueError if there
        is no such image.

    Raises:
        ValueError: the run has no weights.
    """
    written = run.weights_path().stat().st_mtime_ns
    return lambda: engine.call(_image_stages, str(run.folder), written, part, index)


def _image_stages(folder: str, _written: int, part: str, index: int) -> dict[str, np.ndarray]:
    """The task behind `image_stages`."""
    import_tensorflow()
    from ndmixer.accounting import accounting
    from ndmixer.datasets import load_dataset
    from ndmixer.representations import in_batches

    run = Run(Path(folder))
    spec, data = run.model_spec, load_dataset(run.train_spec.dataset)
    images = data.x_test if part == "test" else data.x_train
    if not 0 <= index < len(images):
        raise ValueError(f"choose an image from 0 to {len(images) - 1:,}. Received: {index}")
    names = tuple(stage.name for stage in accounting(spec).stages)
    passed = in_batches(spec, run.load_weights(), images[index : index + 1], names)
    return {name: values[0] for _, name, values in passed}
