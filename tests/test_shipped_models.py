"""The trained models in `models/` are whole, small, and as good as they say."""

import numpy as np
import pytest

from ndmixer import PRESETS, accounting, load_dataset
from ndmixer.representations import in_batches
from ndmixer.runs import open_run, shipped_models
from ndmixer.runs.files import MODELS

MNIST = [n for n, p in PRESETS.items() if p.train.dataset == "mnist" and p.result is not None]
MOST_BYTES = 8_000_000


def test_every_mnist_preset_ships_and_together_they_are_small():
    assert [run.id for run in shipped_models()] == MNIST
    files = [path for path in MODELS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.parametrize("name", MNIST)
def test_shipped_model_is_as_good_on_the_test_set_as_its_metrics_and_its_card_say(name):
    run, data = open_run(name), load_dataset("mnist")
    assert run.shipped
    assert run.model_spec == PRESETS[name].model
    assert run.status() == "finished"
    weights, step = run.load_last_weights()
    assert step == run.snapshots()[-1]
    assert {k: v.shape for k, v in weights.items()} == accounting(run.model_spec).weights
    last = next(event for event in reversed(run.metrics()) if "val_loss" in event)
    output = accounting(run.model_spec).stages[-1].name
    right, squares = 0, 0.0
    for part, _, values in in_batches(run.model_spec, weights, data.x_test, (output,)):
        if run.model_spec.task == "classifier":
            right += np.count_nonzero(values.argmax(axis=1) == data.y_test[part])
        else:
            squares += np.mean((values - data.x_test[part]) ** 2, axis=(1, 2)).sum()
    if run.model_spec.task == "classifier":
        assert right == round(10_000 * last["val_accuracy"])
        assert f"{right / 100:.2f} %" in run.card
    else:
        rmse = np.sqrt(squares / len(data.x_test))
        assert rmse == pytest.approx(last["val_rmse"], rel=1e-3)
        assert f"{rmse:.4f}" in run.card
