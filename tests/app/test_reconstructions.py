"""What the Reconstructions page says of runs of every kind, without a browser and an engine."""

from functools import partial

import numpy as np
import pytest

from ndmixer import PRESETS, ModelSpec, TrainSpec, runs
from tests.app.pages import learned, metrics, open_page, said

opened = partial(open_page, "reconstructions")
AUTOENCODER = PRESETS["autoencoder-small"].model
FOUR_AXES = ModelSpec(task="autoencoder", in_shape=(4, 7, 4, 7), repr_shape=(3, 4, 2, 5), depth=1)
NO_BLOCK = ModelSpec(task="autoencoder", depth=0)
BLOCKS_ALONE = ModelSpec(task="autoencoder", depth=1, embedding=False, residual=False, gate=False)


@pytest.fixture
def made(answers):
    """Makes a run with weights, and answers in place of the inspecting worker."""

    def make(model, *, value=0.5) -> runs.Run:
        images = np.random.default_rng(0).random((10, 28, 28), np.float32)
        found = {
            **{"errors": np.full(50, value), "indices": np.arange(10) + 5},
            **{"labels": np.arange(10), "inputs": images, "outputs": images * value},
            "step": np.array(7),
        }
        decoded = {"inputs": images, "decoded": images}
        walked = {"decoded": images[:9], "blended": images[:9], "labels": np.array([7, 2])}
        answers(reconstructions=found, decoded_averages=decoded, walk=walked)
        return learned(model, train_images=2_000)

    make.asked = answers.asked
    return make


@pytest.mark.parametrize("model", [AUTOENCODER, FOUR_AXES, NO_BLOCK, BLOCKS_ALONE])
def test_every_kind_of_autoencoder_is_shown(made, model):
    page = opened(made(model))
    assert len(page.get("bidi_component")) == 4
    assert "With the weights after step 7, over 50 test images" in said(page)
    assert metrics(page)["RMSE of all"][0] == "0.5000"
    assert "From 7 to 2 in equal steps" in said(page)


def test_a_choice_is_what_the_worker_is_asked(made):
    page = opened(made(AUTOENCODER))
    assert made.asked == {
        "reconstructions": [(None, "test", 10_000, "best", 10, 0)],
        "decoded_averages": [(None, "block_3", "test", 10_000)],
        "walk": [(None, "block_3", "test", (0, 1), 9)],
    }
    page.selectbox[1].select(7)
    page.selectbox[2].select("block_1")
    page.selectbox[3].select(("train", 2_000))
    page.selectbox(key="order_choice").select("worst")
    page.run()
    page.number_input[0].set_value(200)
    page.number_input[2].set_value(1_999).run()
    assert not page.exception
    assert {name: questions[-1] for name, questions in made.asked.items()} == {
        "reconstructions": (7, "train", 2_000, "worst", 10, 199),
        "decoded_averages": (7, "block_1", "train", 2_000),
        "walk": (7, "block_1", "train", (0, 1_999), 9),
    }


def test_from_within_a_block_nothing_is_decoded(made):
    page = opened(made(AUTOENCODER))
    page.selectbox[2].select("block_1/axis_1").run()
    assert "Nothing can be decoded from within a block" in said(page)
    asked = {name: len(questions) for name, questions in made.asked.items()}
    assert asked == {"reconstructions": 2, "decoded_averages": 1, "walk": 1}


def test_a_classifier_is_told_which_runs_draw(made):
    classifier = made(ModelSpec())
    assert "There is none yet" in said(opened(classifier))
    autoencoder = made(AUTOENCODER)
    runs.create(AUTOENCODER, TrainSpec())  # without weights
    page = opened(classifier)
    assert "This run is a classifier" in said(page)
    choice = page.selectbox(key="autoencoder")
    assert choice.options == [autoencoder.name]
    choice.select(autoencoder.id).run()
    assert not page.exception
    assert "over 50 test images" in said(page)
    assert page.query_params["run"] == autoencoder.id


def test_what_is_missing_is_said(made):
    assert "No run yet" in said(opened())
    queued = runs.create(AUTOENCODER, TrainSpec())
    assert "This run has no weights yet: it is queued" in said(opened(queued))
    assert "the training diverged" in said(opened(made(AUTOENCODER, value=np.nan)))
