"""The architectures of the original experiment, by readable names, and a fast one of ours.

Source: "Patchless MLP-Mixer" (github.com/sradc/nd-mlp-mixer); its notebook prints the
parameter counts and results that `Preset` repeats.
"""

from dataclasses import dataclass

from ndmixer.spec import ModelSpec, TrainSpec


@dataclass(frozen=True)
class Preset:
    """A named model with its training, and what the experiment printed of it.

    Attributes:
        title: One line for people.
        model: The architecture.
        train: The training it had.
        parameters: Number of parameters; of those of the experiment the printed one.
        result: Last printed test accuracy (a classifier, 0 to 1) or test RMSE (an
            autoencoder, in units of a pixel's range 0 to 1); None of the one that is ours.
    """

    title: str
    model: ModelSpec
    train: TrainSpec
    parameters: int
    result: float | None


def _mnist(title: str, parameters: int, result: float, **model: object) -> Preset:
    return Preset(title, ModelSpec.model_validate(model), TrainSpec(), parameters, result)


def _cifar10(title: str, parameters: int, result: float, **model: object) -> Preset:
    spec = ModelSpec.model_validate({"in_shape": (32, 32, 3), "gate": False, **model})
    return Preset(title, spec, TrainSpec(dataset="cifar10"), parameters, result)


PRESETS: dict[str, Preset] = {
    "classifier": _mnist(
        "Classifier, 28 × 28 inside", 15_751, 0.9758, repr_shape=(28, 28), out_shape=(1, 28)
    ),
    "classifier-3d": _mnist(
        "Classifier in three dimensions, 8 × 8 × 8 inside",
        14_196,
        0.9649,
        in_shape=(1, 28, 28),
        repr_shape=(8, 8, 8),
        out_shape=(28, 1, 1),
        hidden_size=64,
    ),
    "classifier-tiny": _mnist(
        "Classifier, 4 × 4 inside", 766, 0.9191, repr_shape=(4, 4), out_shape=(4, 4)
    ),
    "classifier-large": _mnist(
        "Classifier, 64 × 64 inside", 71_251, 0.9779, repr_shape=(64, 64), out_shape=(1, 12)
    ),
    "classifier-tiny-wide": _mnist(
        "Classifier, 4 × 4 inside, MLPs 512 wide",
        37_342,
        0.9390,
        repr_shape=(4, 4),
        out_shape=(4, 4),
        hidden_size=512,
    ),
    "autoencoder": _mnist(
        "Autoencoder, 28 × 28 inside", 19_492, 0.0201, task="autoencoder", repr_shape=(28, 28)
    ),
    "autoencoder-tiny-wide": _mnist(
        "Autoencoder, 4 × 4 inside, MLPs 256 wide",
        52_324,
        0.1376,
        task="autoencoder",
        repr_shape=(4, 4),
        hidden_size=256,
    ),
    "autoencoder-small": _mnist(
        "Autoencoder, 8 × 8 inside", 3_892, 0.0907, task="autoencoder", repr_shape=(8, 8)
    ),
    # The least that reliably learns MNIST to 97 per cent in three epochs: half the blocks, and
    # a learning rate ten times as large that falls to 0.
    "fast": Preset(
        "Fast classifier, 16 × 16 inside",
        ModelSpec(repr_shape=(16, 16), out_shape=(16, 16), depth=2, hidden_size=32),
        TrainSpec(epochs=4, learning_rate=0.01, schedule="cosine"),
        8_332,
        None,
    ),
    "cifar10-classifier-deep": _cifar10(
        "CIFAR-10 classifier of 32 blocks, MLPs 128 wide",
        567_666,
        0.5946,
        repr_shape=(32, 32, 3),
        out_shape=(12, 12, 1),
        depth=32,
        hidden_size=128,
    ),
    "cifar10-classifier-large": _cifar10(
        "CIFAR-10 classifier, 128 × 128 × 3 inside",
        281_922,
        0.6358,
        repr_shape=(128, 128, 3),
        out_shape=(20, 20, 1),
    ),
    "cifar10-autoencoder": _cifar10(
        "CIFAR-10 autoencoder of two blocks",
        8_496,
        0.0316,
        task="autoencoder",
        repr_shape=(32, 32, 3),
        depth=2,
        residual=False,
        embedding=False,
    ),
}
