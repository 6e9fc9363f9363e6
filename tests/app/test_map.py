"""What the Map page says of runs of every kind, without a browser and an engine."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ndmixer import PRESETS, ModelSpec, TrainSpec, jobs, runs
from ndmixer.app import PAGES, choose_image

PAGE = str(Path(__file__).parents[2] / "pages" / "map.py")


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a run with weights, and answers in place of the inspecting worker."""
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path))
    asked = []

    def make(model: ModelSpec) -> runs.Run:
        run = runs.create(model, TrainSpec(train_images=2_000))
        run.save_snapshot({"a": np.zeros(1, np.float32)}, 7)
        run.end("stopped", step=7)

        def image_map(run, step, stage, part, count, method, dimensions):
            asked.append((step, stage, part, count, method, dimensions))
            found = {
                "points": np.random.default_rng(0).normal(size=(60, dimensions)),
                **{"labels": np.arange(60) % 10, "kept": np.array(0.4), "step": np.array(7)},
            }
            if method == "pca":
                found["shares"] = np.array([0.5, 0.25, 0.125])[:dimensions]
            if model.task == "classifier":
                found["predictions"] = np.r_[5, 1:60] % 10
            return lambda: found

        monkeypatch.setattr(jobs, "image_map", image_map)
        monkeypatch.setattr(jobs, "pictures", lambda *_: np.zeros((1, 28, 28), np.float32))
        return run

    make.asked = asked
    return make


def opened(run: runs.Run | None = None) -> AppTest:
    page = AppTest.from_file(PAGE, default_timeout=30)
    if run:
        page.query_params["run"] = run.id
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return "\n".join(e.value for e in [*page.markdown, *page.caption, *page.info, *page.warning])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (PRESETS["classifier"].model, ["It is **0**; the model takes it for **5**", "At block 3"]),
        (ModelSpec(depth=0), ["At embed"]),
        (PRESETS["classifier-3d"].model, []),
        (ModelSpec(in_shape=(784,), repr_shape=(16,), out_shape=(8,)), []),
        (PRESETS["autoencoder-small"].model, ["It is **0**."]),
    ],
    ids=["2-D", "depth 0", "3-D", "1-D", "autoencoder"],
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
    assert "Clicks on a 3-D map do not reach the app" in said(page)
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


def test_what_is_missing_is_said(made, monkeypatch):
    assert "No run yet" in said(opened())
    queued = runs.create(ModelSpec(), TrainSpec())
    assert "This run has no weights yet: it is queued" in said(opened(queued))
    run = made(ModelSpec())

    def diverged(*_):
        raise ValueError("these representations are not finite: the training diverged")

    monkeypatch.setattr(jobs, "image_map", lambda *_: diverged)
    page = opened(run)
    assert "the training diverged" in said(page).replace("\\", "")
    assert not page.get("plotly_chart")
