"""Curves of several runs, and maps of single images."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from ndmixer.comparing import history
from ndmixer.figures import DARK, LIGHT, map_grid, matrix
from ndmixer.figures_points import point_map
from ndmixer.figures_runs import DASHES, run_curves

NAMES = [str(i) for i in range(10)]


@pytest.mark.parametrize(("theme", "kind"), [(LIGHT, "light"), (DARK, "dark")])
def test_the_palette_is_that_of_the_app(theme, kind):
    config = Path(__file__).parents[1] / ".streamlit" / "config.toml"
    told = tomllib.loads(config.read_text("utf-8"))["theme"][kind]["chartCategoricalColors"]
    assert list(theme.palette) == told


@pytest.mark.parametrize("dimensions", [2, 3])
def test_each_class_has_a_colour_a_symbol_and_its_name_on_the_map(dimensions):
    points = np.random.default_rng(0).normal(size=(40, dimensions))
    labels = np.arange(40) % 9  # none of the last class
    figure = point_map(points, labels, NAMES, predictions=(labels + 1) % 10)
    looks = {(t.marker.color, t.marker.symbol) for t in figure.data}
    assert len(looks) == len(figure.data) == 9
    assert [len(t.x) for t in figure.data[8:]] == [4]
    assert figure.data[1].customdata[2] == 19
    assert figure.data[1].text[2] == "image 19<br>it is 1, taken for 2"
    boxes = figure.layout.scene.annotations if dimensions == 3 else figure.layout.annotations
    assert [box.text for box in boxes] == [f"<b>{name}</b>" for name in NAMES[:9]]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_mistakes_are_told_by_colour_and_symbol(dimensions):
    labels = np.arange(20) % 10
    named = np.where(np.arange(20) < 3, 9, labels)
    figure = point_map(
        np.ones((20, dimensions)), labels, NAMES, predictions=named, correctness=True
    )
    assert [trace.name for trace in figure.data] == ["right (17)", "wrong (3)"]
    assert len({trace.marker.symbol for trace in figure.data}) == 2
    assert list(figure.data[1].customdata) == [0, 1, 2]


def test_runs_are_told_by_colour_dashes_and_marks():
    events = [
        {"phase": "training", "step": 1, "elapsed": 1.0, "loss": 2.0, "accuracy": 0.1},
        {"phase": "evaluating", "step": 1, "elapsed": 2.0, "val_loss": 1.0, "val_accuracy": 0.5},
    ]
    found = history(events, "accuracy", 64, 32)
    runs = {f"run {i}": (i, found) for i in range(6)}
    figure = run_curves(runs, "score", "images", percent=True)
    test = [trace for trace in figure.data if trace.showlegend]
    assert [trace.name for trace in test] == list(runs)
    assert [trace.line.dash for trace in test] == list(DASHES)
    assert len({trace.line.color for trace in test}) == 6
    assert len({trace.marker.symbol for trace in test}) == 6
    assert list(test[0].x) == [32]
    assert list(test[0].y) == [0.5]
    assert run_curves(runs, "loss", "seconds").layout.yaxis.type == "log"


def test_figures_can_share_one_scale():
    grid = map_grid([np.ones((2, 3)), np.zeros((4, 4))], ["a", "b"], top=7)
    table = matrix(np.eye(3), NAMES[:3], top=7)
    for figure in (grid, table):
        assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-7, 7)
    assert [np.shape(map_.z) for map_ in grid.data] == [(2, 3), (4, 4)]


def test_a_map_can_have_a_scale_of_its_own():
    figure = map_grid([np.full((2, 3), -0.5), np.full((4, 4), 8.0)], ["a", "block 0"], own=True)
    assert [(map_.zmin, map_.zmax) for map_ in figure.data] == [(-0.5, 0.5), (-8, 8)]
    assert [note.text for note in figure.layout.annotations] == ["a · ±0.5", "block 0<br>±8"]


def test_long_numbers_stand_smaller_in_a_table():
    sizes = [matrix(np.eye(3) * top, NAMES[:3]).data[1].textfont.size for top in (1, 0.001)]
    assert sizes[1] < sizes[0] == 10
