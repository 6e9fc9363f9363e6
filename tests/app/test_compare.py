"""What the Compare page says of several runs, without a browser and an engine."""

from functools import partial

import numpy as np
import pytest

from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, runs
from ndmixer.accounting import walk
from ndmixer.inspection import looked_at
from tests.app.pages import open_page, said

opened = partial(open_page, "compare")
CLASSIFIER, TINY = PRESETS["classifier"].model, PRESETS["classifier-tiny"].model
AUTOENCODER = PRESETS["autoencoder-small"].model


@pytest.fixture
def make(answers):
    """Makes a run of two epochs, and answers in place of the inspecting worker."""

    def make(model: ModelSpec, name: str, *, pace: float = 1.0, dataset="mnist", weights=True):
        run = runs.create(model, TrainSpec(train_images=64, dataset=dataset), name=name)
        score = "accuracy" if model.task == "classifier" else "rmse"
        for step, value in ((1, 0.5), (2, 0.75)):
            at = {"step": step, "elapsed": pace * step}
            run.append({**at, "phase": "training", "loss": 1 / step, score: value})
            tested = {"val_loss": 1 / step, f"val_{score}": value}
            run.append({**at, "phase": "evaluating", **tested})
        if weights:
            run.save_weights({"a": np.zeros(1, np.float32)}, 2)
        run.end("stopped", step=2, elapsed=2 * pace)
        return run

    def one_image(run, step, image):
        stages = walk(accounting(run.model_spec))
        return {"values": {s.name: np.ones(s.shape, np.float32) for s in stages}}

    def class_geometry(run, step, stage, part, count, metric):
        names = looked_at(run.model_spec, stage)
        table = np.add.outer(np.arange(10.0), np.arange(10.0))
        return {"stages": np.array(names), "distances": np.stack([table] * len(names))}

    answers(one_image=one_image, class_geometry=class_geometry)
    return make


def test_runs_stand_side_by_side(make):
    a, b = make(CLASSIFIER, "slow", pace=2.0), make(TINY, "quick")
    page = opened(runs=f"{a.id},{b.id}")
    assert len(page.get("plotly_chart")) == 6
    table = page.dataframe[0].value
    assert list(table["Run"]) == ["slow", "quick"]
    assert list(table["Test accuracy"]) == [75, 75]
    assert list(table["Test accuracy at equal time"]) == [50, 75]
    assert list(table["Tested at second"]) == [2, 2]
    assert list(table["Images seen"]) == [128, 128]
    assert list(table["Parameters"]) == [accounting(m).parameters for m in (CLASSIFIER, TINY)]
    assert "Equal time is 2.0 seconds and equal images are 128 images seen" in said(page)
    assert "correlate with r = 1.00" in said(page)
    page.segmented_control(key="over_choice").set_value("seconds").run()
    assert not page.exception
    assert "Accuracy over seconds of training" in said(page)


def test_the_choice_is_in_the_address_and_what_is_no_run_is_said(make):
    a, b = make(CLASSIFIER, "one"), make(TINY, "two")
    page = opened(runs=f"{b.id},nowhere,../../etc,{b.id}")
    assert "There is no such run here, it was left out: nowhere, ../../etc" in said(page)
    assert page.multiselect[0].value == [b.id]
    page.multiselect[0].set_value([b.id, a.id]).run()
    assert page.query_params["runs"] == f"{b.id},{a.id}"
    page.multiselect[0].set_value([]).run()
    assert not page.exception
    assert "runs" not in page.query_params


def test_runs_of_different_tasks_have_figures_of_their_own(make):
    page = opened(runs=f"{make(CLASSIFIER, 'a').id},{make(AUTOENCODER, 'b').id}")
    assert "stand in figures of their own" in said(page)
    assert len(page.get("plotly_chart")) == 8
    table = page.dataframe[0].value
    assert table["Test RMSE"].isna().tolist() == [True, False]


def test_runs_of_one_name_are_told_apart(make):
    page = opened(runs=f"{make(TINY, 'same').id},{make(TINY, 'same').id}")
    assert list(page.dataframe[0].value["Run"]) == ["same (1)", "same (2)"]


def test_what_cannot_be_compared_is_said(make):
    assert "No run yet" in said(opened())
    a, b = make(TINY, "a"), make(TINY, "b", dataset="nowhere.npz")
    assert "different data sets" in said(opened(runs=f"{a.id},{b.id}"))
    c = make(TINY, "c", weights=False)
    assert "choose two that have weights" in said(opened(runs=f"{a.id},{c.id}"))
    queued = runs.create(TINY, TrainSpec(), name="queued")
    page = opened(runs=queued.id)
    assert "No classifier here has measured anything yet" in said(page)
    assert "Still training, shown as of now: queued" in said(page)
