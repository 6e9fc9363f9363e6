"""What the Classes page says of runs of every kind, without a browser and an engine."""

from functools import partial

import numpy as np
import pytest

from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, runs
from ndmixer.accounting import walk
from ndmixer.inspection import looked_at
from tests.app.pages import learned, open_page, said

opened = partial(open_page, "classes")
AUTOENCODER = PRESETS["autoencoder-small"].model
MORE_CLASSES = ModelSpec(num_classes=12)
FOUR_AXES = ModelSpec(in_shape=(4, 7, 4, 7), repr_shape=(3, 4, 2, 5), depth=1)


@pytest.fixture
def made(answers):
    """Makes a run with weights, and answers in place of the inspecting worker."""

    def make(model: ModelSpec, *, value: float = 1.0, absent: int | None = None) -> runs.Run:
        def class_geometry(run, step, stage, part, count, metric, pairs):
            shape = next(s.shape for s in walk(accounting(model)) if s.name == stage)
            random = np.random.default_rng(0)
            averages = value * random.normal(size=(10, *shape)).astype(np.float32)
            counts, distances = np.full(10, 5), random.random((10, 10))
            if absent is not None:
                averages[absent], counts[absent] = np.nan, 0
                distances[absent] = distances[:, absent] = np.nan
            names = looked_at(model, stage)
            found = {
                **{"averages": averages, "deviations": np.abs(averages), "counts": counts},
                **{
                    "cosines": np.stack([np.eye(10)] * len(names)),
                    "stages": np.array(names),
                    "step": np.array(7),
                },
                **{"scatter": np.ones(len(names)), "nearest": np.ones(len(names))},
                **{"distances": np.stack([distances] * len(names)), "sample": np.array(0)},
                "labels": np.arange(50) % 10,
            }
            if model.task == "classifier":
                wrong = 5 if model.num_classes == 10 else model.num_classes - 1
                found["predictions"] = np.r_[wrong, np.arange(1, 50) % 10]
            return found

        answers(class_geometry=class_geometry)
        return learned(model, train_images=2_000)

    make.asked = answers.asked["class_geometry"]
    return make


@pytest.mark.parametrize(
    ("model", "charts", "words"),
    [
        (PRESETS["classifier"].model, 7, ["At block 3, with the weights after step 7"]),
        (ModelSpec(depth=0), 7, ["At embed"]),
        (PRESETS["classifier-3d"].model, 7, ["laid out as 8 tiles of 8 × 8"]),
        (FOUR_AXES, 7, ["laid out as 12 tiles of 2 × 5", "index of axis 1 and axis 2"]),
        (MORE_CLASSES, 7, ["0 of 5 images of 1 are taken for 3"]),
        (AUTOENCODER, 6, ["so there is no confusion matrix", "so it confuses none"]),
    ],
    ids=["2-D", "depth 0", "3-D", "4-D", "more classes than the data", "autoencoder"],
)
def test_every_kind_of_model_is_shown(made, model, charts, words):
    page = opened(made(model))
    assert len(page.get("plotly_chart")) == charts
    for part in words:
        assert part in said(page)
    if model.task == "classifier" and model != MORE_CLASSES:
        assert "1 of 5 images of 0 are taken for 5" in said(page)


def test_a_choice_is_what_the_worker_is_asked(made):
    page = opened(made(PRESETS["classifier"].model))
    page.selectbox[1].select(7)
    page.selectbox[2].select("block_1/axis_2")
    page.selectbox[3].select(("train", 2_000))
    page.selectbox(key="metric_choice").select("cosine")
    page.toggle(key="pairs_choice").set_value(True)
    page.toggle(key="sort_choice").set_value(True)
    page.run()
    assert not page.exception
    assert made.asked[-1] == (7, "block_1/axis_2", "train", 2_000, "cosine", True)
    assert "over 50 training images" in said(page)


def test_a_class_without_images_is_left_blank(made):
    page = opened(made(ModelSpec(), absent=4))
    assert len(page.get("plotly_chart")) == 7


def test_what_is_missing_is_said(made):
    assert "No run yet" in said(opened())
    queued = runs.create(ModelSpec(), TrainSpec())
    assert "This run has no weights yet: it is queued" in said(opened(queued))
    lost = runs.create(ModelSpec(), TrainSpec(dataset="nowhere.npz"))
    lost.save_weights({}, 0)
    assert "there is no such file" in said(opened(lost))
    assert "the training diverged" in said(opened(made(ModelSpec(), value=np.inf)))
