"""What is to be trained on what, in which order, and a judge of the result in plain NumPy."""

from collections.abc import Mapping

import numpy as np
from scipy.special import erf

from ndmixer import PRESETS, ModelSpec, accounting, load_dataset
from ndmixer.datasets import Dataset, make_dataset

SEED = 0
RANDOM_IMAGES = 16_384  # in place of CIFAR-10, whose pixels do not change the speed
Weights = Mapping[str, np.ndarray]


class Problem:
    """A preset's model and data; equal in every process that makes it.

    Attributes:
        spec: The model.
        data: All images; the training images are cut to whole batches.
        batch: Images a step.
        x: Training images, shape `(images, *spec.in_shape)`, float32.
        y: Their labels, int32; the images themselves for an autoencoder.
    """

    def __init__(self, preset: str, batch: int) -> None:
        self.spec = PRESETS[preset].model
        self.batch = batch
        if PRESETS[preset].train.dataset == "mnist":
            data = load_dataset("mnist")
        else:
            random = np.random.default_rng(SEED)
            x = random.random((RANDOM_IMAGES, *self.spec.in_shape), np.float32)
            y = np.arange(RANDOM_IMAGES) % 10
            data = make_dataset(preset, x, y, x[:1_000], y[:1_000])
        self.images = len(data.x_train) // batch * batch
        x, y = data.x_train[: self.images], data.y_train[: self.images]
        self.data = Dataset(data.name, x, y, data.x_test, data.y_test)
        self.classifier = self.spec.task == "classifier"
        self.x = x.reshape(-1, *self.spec.in_shape)
        self.y = y.astype(np.int32) if self.classifier else self.x

    def order(self, first: int, count: int) -> np.ndarray:
        """The images of the steps from `first`: (count, batch); each epoch in its own order."""
        epoch_steps = self.images // self.batch
        epochs = range(first // epoch_steps, (first + count - 1) // epoch_steps + 1)
        rows = [np.random.default_rng((SEED, e + 1)).permutation(self.images) for e in epochs]
        start = first - epochs[0] * epoch_steps
        return np.concatenate(rows).reshape(-1, self.batch)[start : start + count]


def initial_weights(spec: ModelSpec) -> dict[str, np.ndarray]:
    """Those that `train` draws, the blocks' kernels ten times smaller where no gate does that.

    Without a gate, 32 blocks begin with a loss of 1e13, in which rounding grows to anything.
    """
    from ndmixer import build_model  # with TensorFlow, which most contenders do without

    model = build_model(spec, SEED)
    weights = {variable.path: variable.numpy() for variable in model.trainable_variables}
    if spec.residual and not spec.gate:
        for name in weights:
            if name.startswith("block_") and name.endswith("/kernel"):
                weights[name] = weights[name] / np.float32(10)
    return weights


def outputs(spec: ModelSpec, weights: Weights, x: np.ndarray) -> np.ndarray:
    """Logits or reconstructions of `x`, written to be read and not to be fast."""
    for stage in accounting(spec).stages[1:]:
        if stage.name == "logits":
            x = x.reshape(len(x), -1)
        mixed = x
        for linear in stage.linears:
            kernel, bias = weights[f"{linear.name}/kernel"], weights[f"{linear.name}/bias"]
            mixed = np.moveaxis(mixed, linear.axis, -1) @ kernel + bias
            if linear.activation == "gelu":
                mixed = mixed * np.float32(0.5) * (1 + erf(mixed / np.float32(np.sqrt(2))))
            mixed = np.moveaxis(mixed, -1, linear.axis)
        if stage.gate:
            mixed = weights[stage.gate] * mixed
        x = x + mixed if stage.axes and spec.residual else mixed
    return x


def loss_and_accuracy(
    spec: ModelSpec, weights: Weights, x: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Mean loss, and the part of right answers (0 for an autoencoder)."""
    x = x.reshape(-1, *spec.in_shape)
    found = np.concatenate(
        [outputs(spec, weights, x[i : i + 250]) for i in range(0, len(x), 250)]
    ).astype(np.float64)
    if spec.task == "autoencoder":
        return float(np.mean((found - x) ** 2)), 0.0
    found -= found.max(axis=1, keepdims=True)
    losses = np.log(np.exp(found).sum(axis=1)) - found[np.arange(len(x)), labels]
    return float(losses.mean()), float(np.mean(found.argmax(axis=1) == labels))
