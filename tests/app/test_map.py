"""What the Map page says of runs of every kind, without a browser and an engine."""

from functools import partial

import numpy as np
import pytest

from ndmixer import PRESETS, ModelSpec, TrainSpec, runs
from ndmixer.app import PAGES, choose_image
from tests.app.pages import learned, open_page, said

opened = partial(open_page, "map")


@pytest.fixture
def made(answers):
    """Makes a run with weights, and answers in place of the inspecting worker."""

    def make(model: ModelSpec) -> runs.Run:
        def image_map(run, step, stage, part, count, method, dimensions):
            found = {
                "points": np.random.default_rng(0).normal(size=(60, dimensions)),
                **{"labels": np.arange(60) % 10, "kept": np.array(0.4), "step": np.array(7)},
            }
            if method == "pca":
                found["shares"] = np.array([0.5, 0.25, 0.125])[:dimensions]
            if model.task == "classifier":
                wrong = 5 if model.num_classes == 10 else model.num_classes - 1
                found["predictions"] = np.r_[wrong, np.arange(1, 60) % 10]
            return found

        answers(image_map=image_map)
        return learned(model, train_images=2_000)

    make.asked = answers.asked["image_map"]
    return make


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (PRESETS["classifier"].model, ["It is **0**; the model takes it for **5**", "At block 3"]),
        (ModelSpec(depth=0), ["At embed"]),
        (PRESETS["classifier-3d"].model, []),
        (ModelSpec(in_shape=(784,), repr_shape=(16,), out_shape=(8,)), []),
        (ModelSpec(num_classes=12), ["It is **0**; the model takes it for **11**"]),
        (PRESETS["autoencoder-small"].model, ["It is **0**."]),
    ],
    ids=["2-D", "depth 0", "3-D", "1-D", "more classes than the data", "autoencoder"],
)
def test_every_kind_of_model_is_shown(made, model, words):
    page = opened(made(model))
    assert len(page.get("plotly_chart")) == 1
    for part in [*words, "the first 60 of 10,000 test images", "hold 75.0 % of the variance"]:
        assert part in said(page)
    toggles = [toggle.label for toggle in page.toggle]
    assert ("Show what is wrong" in toggles) == (model.task == "classifier")


def test_a_choice_is_what_the_worker_is_asked(made):
    page = opened(made(PRESETS["classifier"].model))
    page.segmented_control(key="method_choice").set_value("tsne")
    page.toggle(key="space_choice").set_value(True)
    page.toggle(key="mistakes_choice").set_value(True)
    page.run()
    assert not page.exception
    assert made.asked[-1][-2:] == ("tsne", 3)
    assert page.get("bidi_component")
    assert "how far apart groups lie" in said(page)


def test_an_image_leads_to_its_stages(made, monkeypatch):
    went = []
    monkeypatch.setattr(choose_image.st, "switch_page", went.append)
    page = opened(made(PRESETS["classifier"].model))
    page.number_input(key="image_choice").set_value(12).run()
    page.button[0].click().run()
    assert went == [PAGES / "representations.py"]
    assert went[0].is_file()
    assert page.query_params["image"] == "test-12"


def test_what_is_missing_is_said(made, answers):
    assert "No run yet" in said(opened())
    queued = runs.create(ModelSpec(), TrainSpec())
    assert "This run has no weights yet: it is queued" in said(opened(queued))
    run = made(ModelSpec())

    def diverged(*_):
        raise ValueError("these representations are not finite: the training diverged")

    answers(image_map=diverged)
    page = opened(run)
    assert "the training diverged" in said(page)
    assert not page.get("plotly_chart")
