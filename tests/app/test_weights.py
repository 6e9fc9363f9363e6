"""What the Weights page says of runs of every kind, without a browser and an engine."""

from functools import partial

import numpy as np
import pytest

from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, runs
from ndmixer.accounting import walk
from ndmixer.surgery import axis_talk
from tests.app.pages import learned, metrics, open_page, said

opened = partial(open_page, "weights")


@pytest.fixture
def made(answers):
    """Makes a run with weights, and answers in place of the inspecting worker."""

    def make(model: ModelSpec, *, finite: bool = True) -> runs.Run:
        random = np.random.default_rng(0)
        shapes = accounting(model).weights.items()
        weights = {name: random.normal(size=shape) for name, shape in shapes}

        def kernels(run, step, stage):
            chosen = next(s for s in walk(accounting(model)) if s.name == stage)
            found = {name: weights[name] for name in chosen.weights}
            for axis, talk in axis_talk(chosen, weights).items():
                found[f"talk/{axis}"] = talk
                found[f"singular/{axis}"] = np.linalg.svd(talk, compute_uv=False)
            if model.gate and model.depth:
                found["gates"] = np.full(model.depth, 0.25)
            return {**found, "finite": np.array(finite), "step": np.array(7)}

        def surgery(run, step, part, count, factors, without):
            labels = np.arange(50) % 10
            found = {"labels": labels, "before/distances": random.random((10, 10))}
            found["after/distances"] = found["before/distances"] / 2
            before, after = ("predictions", labels), ("predictions", np.r_[5, 1:50] % 10)
            if model.task == "autoencoder":
                before, after = ("errors", np.full(50, 0.1)), ("errors", np.full(50, 0.3))
            found[f"before/{before[0]}"] = before[1]
            found[f"after/{after[0]}"] = after[1] if factors or without else before[1]
            return found

        answers(kernels=kernels, surgery=surgery)
        return learned(model, train_images=2_000)

    make.asked = answers.asked["surgery"]
    return make


@pytest.mark.parametrize(
    ("model", "stage", "charts", "words"),
    [
        (PRESETS["classifier"].model, "block_3", 6, "At block 3, the weights after step 7"),
        (PRESETS["classifier"].model, "block_0/axis_1", 6, "Talk between the indices"),
        (PRESETS["classifier"].model, "head", 5, "Kernels of head, and their singular values"),
        (PRESETS["classifier"].model, "input", 4, "no kernel leads to it"),
        (PRESETS["classifier-3d"].model, "block_1", 6, "Talk between the indices"),
        (ModelSpec(in_shape=(784,), repr_shape=(9,), depth=1), "embed", 5, "Kernels of embed"),
        (ModelSpec(in_shape=(4, 7, 4, 7), repr_shape=(3, 4, 2, 5)), "block_0", 6, "Talk"),
        (ModelSpec(head="axis_concat"), "head", 5, "Kernels of head, and their singular values"),
        (ModelSpec(depth=0), "embed", 1, "This model has no blocks"),
        (ModelSpec(gate=False), "block_0", 6, "This model has no gates"),
        (ModelSpec(residual=False), "block_0", 6, "a cut block hands on zeros"),
        (PRESETS["autoencoder-small"].model, "embed", 4, "Talk between the indices"),
    ],
)
def test_every_kind_of_model_is_shown(made, model, stage, charts, words):
    page = opened(made(model))
    if stage != page.selectbox[2].value:
        page.selectbox[2].select(stage).run()
    assert not page.exception
    assert words in said(page)
    assert len(page.get("plotly_chart")) == charts


def test_what_is_cut_is_what_the_worker_is_asked_until_all_is_reset(made):
    page = opened(made(PRESETS["classifier"].model))
    assert made.asked[-1][3:] == ({}, [])
    assert metrics(page)["After surgery"] == ("100.00 %", "")
    assert page.button[0].disabled
    page.slider[1].set_value(0.5)
    page.pills[0].set_value(["block"])
    page.pills[3].set_value(["axis 1", "axis 2"])
    page.run()
    assert made.asked[-1] == (
        *(None, "test", 10_000, {"block_0": 0.0, "block_1": 0.5}),
        ["block_3/axis_1", "block_3/axis_2"],
    )
    expected = "block 0 cut, block 1 × 0.50, block 3 without axis 1, block 3 without axis 2."
    assert expected in said(page)
    assert "gate 0.250 → 0.125" in said(page)
    assert metrics(page)["After surgery"] == ("98.00 %", "-2.00 points")
    assert metrics(page)["Named otherwise"][0] == "1"
    assert page.query_params["surgery"] == "0:1:block,1:0.5,3:1:axis_1:axis_2"
    page.button[0].click().run()
    assert made.asked[-1][3:] == ({}, [])
    assert "Nothing is changed yet" in said(page)
    assert "surgery" not in page.query_params
    assert not page.exception


@pytest.mark.parametrize(
    ("text", "factors", "without", "kept"),
    [
        ("1:0.5:axis_2", {"block_1": 0.5}, ["block_1/axis_2"], "1:0.5:axis_2"),
        ("0:1:block,2:0.33", {"block_0": 0.0, "block_2": 0.35}, [], "0:1:block,2:0.35"),
        ("0:9,1:-1,2:nan,3:inf", {"block_0": 2.0, "block_1": 0.0}, [], "0:2,1:0"),
        ("9:0.5,x:1:block,2:1:axis_7,,:::,3", {}, [], None),
    ],
)
def test_surgery_comes_from_the_address(made, text, factors, without, kept):
    page = opened(made(PRESETS["classifier"].model), surgery=text)
    assert made.asked[-1][3:] == (factors, without)
    assert page.query_params.get("surgery") == kept


def test_of_many_blocks_some_are_shown_and_all_are_cut(made):
    page = opened(made(PRESETS["classifier-tiny"].model.model_copy(update={"depth": 12})))
    assert len(page.slider) == 8
    page.slider[2].set_value(0.0).run()
    page.selectbox(key="blocks-12").select(8).run()
    assert [slider.label for slider in page.slider] == [f"block {i}" for i in range(8, 12)]
    page.pills[0].set_value(["axis 2"]).run()
    assert made.asked[-1][3:] == ({"block_2": 0.0}, ["block_8/axis_2"])
    assert not page.exception


def test_an_autoencoder_is_judged_by_its_error(made):
    page = opened(made(PRESETS["autoencoder-small"].model))
    page.pills[0].set_value(["axis 1"]).run()
    assert metrics(page)["RMSE over 50 test images"][0] == "0.1000"
    assert metrics(page)["After surgery"] == ("0.3000", "+0.2000")


def test_a_large_model_answers_for_some_images_unless_all_are_asked_for(made):
    page = opened(made(PRESETS["classifier-3d"].model))
    assert made.asked[-1][2] == 2_000
    page.toggle(key="surgery-on-all").set_value(True).run()
    assert made.asked[-1][2] == 10_000


def test_what_is_missing_is_said(made):
    assert "No run yet" in said(opened())
    queued = runs.create(ModelSpec(), TrainSpec())
    assert "This run has no weights yet: it is queued" in said(opened(queued))
    assert "the training diverged" in said(opened(made(ModelSpec(), finite=False)))
