"""Stages beside stages, and a training from moment to moment."""

import numpy as np
import pytest

from ndmixer.figures import DARK, LIGHT
from ndmixer.figures_depth import (
    MOST_NUMBERS,
    block_curves,
    distances_over_time,
    stage_similarity_matrix,
    stages_over_time,
)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_all_moments_have_one_scale_and_their_own_numbers(theme):
    tables = np.arange(3)[:, None, None] * (1 - np.eye(4))
    tables[0, 1, 2] = np.nan
    titles = ["first", "second", "third"]
    figure = distances_over_time(tables, ["0", "5", "9"], titles, list("abcd"), theme)
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-2, 2)
    assert [frame.layout.title.text for frame in figure.frames] == titles
    for frame, table in zip(figure.frames, tables, strict=True):
        np.testing.assert_array_equal(frame.data[0].z, table)
        np.testing.assert_array_equal(frame.data[1].customdata, table.ravel())
    assert figure.frames[0].data[1].text[6] == "–"
    np.testing.assert_array_equal(figure.data[0].z, tables[-1])
    assert [step.label for step in figure.layout.sliders[0].steps] == ["0", "5", "9"]


@pytest.mark.parametrize("count", [3, MOST_NUMBERS + 1])
def test_numbers_stand_where_there_is_room(count):
    stages = [f"block_{i}" for i in range(count)]
    figure = stages_over_time([[0.1] * count, [0.95] * (count - 1) + [np.nan]], stages, ["0", "7"])
    np.testing.assert_allclose(figure.data[0].z[0], [10, 95])
    assert figure.data[0].y[1] == "block 1"
    similar = stage_similarity_matrix(np.eye(count), stages)
    assert similar.layout.coloraxis.cmax == 1
    few = count <= MOST_NUMBERS
    assert ("text" in similar.data[1].mode) == few
    assert len(figure.data) == (2 if few else 1)
    if few:
        assert figure.data[1].text == ("10", "95", "10", "95", "10", "")


def test_no_two_blocks_look_the_same():
    lines = block_curves(["0", "7"], np.zeros((2, 32)), unit="", marks=True).data
    looks = {(line.line.color, line.line.dash, line.marker.symbol) for line in lines}
    assert len(looks) == 32
