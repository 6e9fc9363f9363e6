"""What the page of depth and time says of runs of every kind, without a browser and an engine."""

from functools import partial

import numpy as np
import pytest

from ndmixer import PRESETS, ModelSpec, TrainSpec, runs
from ndmixer.inspection import looked_at
from tests.app.pages import open_page, said

opened = partial(open_page, "depth_time")
CLASSIFIER = PRESETS["classifier"].model


@pytest.fixture
def made(answers):
    """Makes a run with weights, and answers in place of the inspecting worker."""

    def make(model: ModelSpec, *, snapshots=(0, 7)) -> runs.Run:
        run = runs.create(model, TrainSpec())
        for step in snapshots:
            run.save_snapshot({"a": np.zeros(1, np.float32)}, step)
        run.save_weights({"a": np.zeros(1, np.float32)}, 7)
        gates = {"gates": [0.1] * model.depth} if model.gate and model.depth else {}
        run.append({"phase": "training", "step": 7, "elapsed": 1, "loss": 1, **gates})
        run.end("stopped", step=7)
        return run

    def stubs(score: float) -> None:
        count = {"fitted": np.array(20), "measured": np.array(30), "step": np.array(7)}

        def stage_accuracy(run, step, stage):
            names = looked_at(run.model_spec, stage)
            share = np.full(len(names), 0.5)
            found = {"stages": np.array(names), "nearest": share, "probe": share, **count}
            return found

        def stage_similarity(run, step, stage):
            names = looked_at(run.model_spec, stage)
            found = {"stages": np.array(names), "similarity": np.eye(len(names)), **count}
            return found

        def moments(run, steps, stage):
            names = looked_at(run.model_spec, stage)
            shape = (len(steps), len(names))
            found = {
                **{"stages": np.array(names), "nearest": np.full(shape, 0.5)},
                **{"distances": np.ones((*shape, 10, 10)), "steps": np.array(steps)},
                **{"ratios": np.ones((len(steps), run.model_spec.depth)), **count},
                "score": np.full(len(steps), score),
            }
            return found

        answers(stage_accuracy=stage_accuracy, stage_similarity=stage_similarity, moments=moments)

    stubs(0.5)
    make.stubs = stubs
    return make


@pytest.mark.parametrize(
    ("model", "charts", "words"),
    [
        (CLASSIFIER, 6, ["first 30 test images", "At all 2 snapshots"]),
        (ModelSpec(depth=0), 4, ["This model has no blocks, so there are no gate values"]),
        (ModelSpec(gate=False), 5, ["Its blocks have no gate"]),
        (PRESETS["classifier-3d"].model, 6, []),
        (PRESETS["autoencoder-small"].model, 6, []),
    ],
    ids=["classifier", "depth 0", "no gate", "3-D", "autoencoder"],
)
def test_every_kind_of_model_is_shown(made, model, charts, words):
    page = opened(made(model))
    assert len(page.get("plotly_chart")) == charts
    for part in words:
        assert part in said(page)


def test_what_is_missing_is_said(made):
    page = opened(made(CLASSIFIER, snapshots=()))
    assert "kept no snapshots of its weights" in said(page)
    made.stubs(np.nan)
    page = opened(made(CLASSIFIER))
    assert "At 2 of these snapshots the weights are not finite" in said(page)
