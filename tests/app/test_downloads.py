"""What a figure gives as files."""

import csv
import io
import json

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ndmixer.app.downloads import as_csv, matrix_table


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


def test_a_matrix_is_a_table_with_its_names():
    table = matrix_table("true", ["a, b", 'c"'], ["x", "y", "z"], np.arange(6).reshape(2, 3))
    rows = [["true", "x", "y", "z"], ["a, b", "0", "1", "2"], ['c"', "3", "4", "5"]]
    assert read(as_csv(table)) == rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_come_back_as_they_were_and_missing_ones_as_nothing(dtype):
    values = np.array([0.1, np.pi, 1e-30, -3], dtype)
    rows = read(as_csv({"value": [*values, np.nan, None], "step": range(6)}))
    np.testing.assert_array_equal(np.array([row[0] for row in rows[1:5]], dtype), values)
    assert [row[0] for row in rows[5:]] == ["", ""]


def test_columns_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        as_csv({"a": [1, 2], "b": [1]})


def page() -> None:
    import numpy as np
    from plotly.graph_objects import Figure

    from ndmixer.app.explorer import draw

    draw(Figure(), "one", "What it shows.", {"a": np.ones(2)}, table={"a": np.ones(2)})
    draw(Figure(), "two", "What it shows.", {"a": np.ones(2)})


def test_the_camera_of_a_figure_saves_what_was_chosen():
    at = AppTest.from_function(page, default_timeout=30).run()
    labels = [button.proto.label for button in at.get("download_button")]
    assert labels == ["Numbers as CSV", "Numbers as NPZ", "Numbers as NPZ"]
    at.segmented_control(key="one-camera").set_value("svg").run()
    assert not at.exception
    options = [json.loads(c.proto.config)["toImageButtonOptions"] for c in at.get("plotly_chart")]
    assert [(o["filename"], o["format"]) for o in options] == [("one", "svg"), ("two", "png")]
