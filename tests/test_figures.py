"""Tensors laid out as pictures, arrays as Plotly figures."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ndmixer import figures
from ndmixer.figures import (
    DARK,
    LIGHT,
    as_bytes,
    as_image,
    class_average_maps,
    colour_scale,
    layer_curves,
    layout_note,
    map_grid,
    matrix,
)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (5, 7)),
        ((784,), (28, 28)),
        ((32,), (1, 32)),
        ((40,), (5, 8)),
        ((10,), (1, 10)),
        ((37,), (6, 7)),
        ((1,), (1, 1)),
        ((1, 28, 28), (28, 28)),
        ((8, 8, 8), (26, 26)),
        ((4, 7, 4, 7), (34, 31)),
    ],
)
def test_a_tensor_becomes_a_matrix_of_this_shape(shape, expected):
    assert as_image(np.zeros(shape)).shape == expected


@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(max_dims=5, max_side=6), elements=st.floats(-5, 5, width=32)
    )
)
def test_every_number_is_in_the_picture_once_and_the_rest_is_blank(tensor):
    image = as_image(tensor)
    shown = image[np.isfinite(image)]
    np.testing.assert_array_equal(np.sort(shown), np.sort(tensor.reshape(-1)))


def test_a_tile_is_a_slice_of_the_last_two_axes():
    tensor = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    image = as_image(tensor)
    for index, (top, left) in enumerate([(0, 0), (4, 0)]):
        np.testing.assert_array_equal(image[top : top + 3, left : left + 4], tensor[index])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ([[0, 0.5, 1]], [[0, 128, 255]]),
        ([[0.2, 0.4, 0.2]], [[51, 102, 51]]),  # a pale image stays pale
        ([[-1, 0, 1]], [[0, 128, 255]]),
        ([0, 1, 3], [[0, 85, 255]]),
        ([[[0, 0, 1], [1, 0, 0]]], [[[0, 0, 255], [255, 0, 0]]]),
    ],
    ids=["0 to 1", "pale", "negative", "a vector, too bright", "colour"],
)
def test_an_image_becomes_bytes(image, expected):
    found = as_bytes(image)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        ((28, 28), ""),
        ((10,), "no rows and columns"),
        ((1, 28, 28), "one tile of 28 × 28"),
        ((8, 8, 8), "8 tiles of 8 × 8, its last two axes; one tile for each index of axis 1,"),
        ((4, 3, 2, 5), "12 tiles of 2 × 5, its last two axes; one tile for each index of axis 1 a"),
    ],
)
def test_the_layout_of_a_tensor_is_said(shape, part):
    note = layout_note(shape)
    assert part in note
    assert bool(note) == bool(part)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_colours_are_those_of_the_maps_of_the_train_page(theme):
    script = (Path(figures.__file__).parent / "app" / "maps.js").read_text("utf-8")
    ends = [str(list(end)) for end in (theme.below, theme.above)]
    assert f"[{', '.join(ends)}]" in script
    scale = dict(colour_scale(theme))
    assert [scale[p] for p in (0.0, 0.5, 1.0)] == [
        f"rgb{colour}" for colour in (theme.below, theme.zero, theme.above)
    ]


def test_class_averages_share_one_scale_around_zero_and_say_their_deviation():
    averages = np.zeros((3, 4, 5))
    averages[1, 2, 3] = -2.5
    averages[2] = np.nan
    deviations = np.array([0.5, 3.0, np.nan])[:, None, None] * np.ones((3, 4, 5))
    figure = class_average_maps(averages, deviations, ["a", "b", "long"], DARK)
    titles = [note.text for note in figure.layout.annotations]
    assert titles == ["a · σ 0.5", "b · σ 3", "long<br>no image"]
    scale = figure.layout.coloraxis
    assert (scale.cmin, scale.cmax) == (-2.5, 2.5)
    assert list(scale.colorbar.ticktext) == ["−2.5", "0", "+2.5"]
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}
    np.testing.assert_array_equal(np.asarray(figure.data[1].z, float), averages[1])


@pytest.mark.parametrize("shape", [(10,), (3, 4, 5), (2, 3, 4, 5), (1, 1)])
def test_tensors_of_any_rank_are_drawn(shape):
    figure = map_grid(np.ones((7, *shape)), [str(i) for i in range(7)])
    assert np.shape(figure.data[6].z) == as_image(np.ones(shape)).shape


def test_a_matrix_shows_each_number_in_its_row_and_column_and_frames_the_pair():
    values = np.array([[0.0, 0.25, np.nan], [0.5, 0.0, 12.0], [1.0, 2.0, 0.0]])
    figure = matrix(values, ["x", "y", "z"], pair=("x", "z"))
    cells = figure.data[1]
    text = {(r, c): t for r, c, t in zip(cells.y, cells.x, cells.text, strict=True)}
    assert [text[k] for k in (("x", "y"), ("x", "z"), ("y", "z"), ("z", "x"))] == [
        *("0.2", "–", "12.0", "1.0")
    ]
    frames = {(shape.x0 + 0.5, shape.y0 + 0.5) for shape in figure.layout.shapes}
    assert frames == {(2, 0), (0, 2)}
    counts = matrix(np.array([[1_200, 3], [0, 7]]), ["x", "y"], coloured=[[0, 3], [0, 0]])
    assert list(counts.data[1].text) == ["1,200", "3", "0", "7"]
    assert counts.layout.coloraxis.cmax == 3


def test_curves_have_a_point_for_each_stage():
    figure = layer_curves(["input", "block_0"], {"a": [1, 2], "b": [np.nan, 3]}, at="block_0")
    assert [trace.name for trace in figure.data] == ["a", "b"]
    assert list(figure.data[0].x) == ["input", "block 0"]
    assert [shape.x0 for shape in figure.layout.shapes] == [1]
