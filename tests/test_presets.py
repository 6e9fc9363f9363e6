import pytest

from ndmixer import PRESETS, accounting, build_model
from ndmixer.datasets import DATASETS

PARAMETERS = {
    "classifier": 15_751,
    "classifier-3d": 14_196,
    "classifier-tiny": 766,
    "classifier-large": 71_251,
    "classifier-tiny-wide": 37_342,
    "autoencoder": 19_492,
    "autoencoder-tiny-wide": 52_324,
    "autoencoder-small": 3_892,
    "fast": 8_332,
    "cifar10-classifier-deep": 567_666,
    "cifar10-classifier-large": 281_922,
    "cifar10-autoencoder": 8_496,
}


def test_every_preset_has_its_printed_parameters():
    assert {name: preset.parameters for name, preset in PRESETS.items()} == PARAMETERS


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_model(name):
    spec = PRESETS[name].model
    assert accounting(spec).parameters == PARAMETERS[name]
    if spec.depth <= 4:
        assert build_model(spec).count_params() == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_presets_fit_their_data_and_can_learn(name):
    preset = PRESETS[name]
    info = DATASETS[preset.train.dataset]
    preset.model.check_data(info.sample_shape, info.num_classes)
    assert preset.model.cannot_learn is None
    assert preset.train.dataset == ("cifar10" if name.startswith("cifar10") else "mnist")
    assert preset.model.task == ("autoencoder" if "autoencoder" in name else "classifier")


def test_results_are_those_printed():
    accuracies = {n: p.result for n, p in PRESETS.items() if p.model.task == "classifier"}
    assert accuracies == {
        "fast": None,
        "classifier": 0.9758,
        "classifier-3d": 0.9649,
        "classifier-tiny": 0.9191,
        "classifier-large": 0.9779,
        "classifier-tiny-wide": 0.9390,
        "cifar10-classifier-deep": 0.5946,
        "cifar10-classifier-large": 0.6358,
    }
    errors = {n: p.result for n, p in PRESETS.items() if p.model.task == "autoencoder"}
    assert errors == {
        "autoencoder": 0.0201,
        "autoencoder-tiny-wide": 0.1376,
        "autoencoder-small": 0.0907,
        "cifar10-autoencoder": 0.0316,
    }


def test_titles_differ_and_are_one_line():
    titles = [preset.title for preset in PRESETS.values()]
    assert len(set(titles)) == len(titles)
    assert not any("\n" in title or len(title) > 80 for title in titles)
