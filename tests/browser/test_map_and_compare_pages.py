"""What a person does on the Map and the Compare page, with runs that were really trained."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from ndmixer.datasets import load_dataset
from tests.browser.real_app import ROOT
from tests.browser.test_classes_page import SLOW, saved, wait_until_drawn

DIGITS = load_dataset("mnist").x_test
NINE = 12  # a test image
TINY = ["--preset", "classifier-tiny", "--epochs", "1", "--train-images", "2000"]


@pytest.fixture(scope="module")
def trained(app):
    """Two small runs, by name."""
    environment = {**os.environ, "NDMIXER_RUNS": str(app.runs), "PYTHONPATH": str(ROOT)}
    for name, more in (("first", []), ("second", ["--seed", "1"])):
        command = [sys.executable, "-m", "ndmixer", "train", *TINY, *more, "--name", name]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    return {re.split("-", path.name)[2]: path.name for path in app.runs.iterdir()}


def painted(canvas: Locator) -> np.ndarray:
    """The red of its pixels, of which all colours of a grey image have as much."""
    data = canvas.evaluate("""c => { const { width: w, height: h } = c;
        return [h, w, ...c.getContext("2d").getImageData(0, 0, w, h).data]; }""")
    return np.reshape(data[2:], (*data[:2], 4))[..., 0]


def test_a_point_is_clicked_and_runs_are_compared(trained, open_page):
    page = open_page(f"/?run={trained['first']}")
    page.get_by_role("link", name="Map").click(timeout=SLOW)
    expect(page.locator(".st-key-map .js-plotly-plot")).to_be_visible(timeout=SLOW)
    wait_until_drawn(page)
    expect(page.get_by_text("the first 2,000 of 10,000 test images")).to_be_visible()
    expect(page.get_by_text(re.compile("components hold .* of the variance"))).to_be_visible()
    # The last trace lies on top; its last point is covered by none.
    point = page.locator(".st-key-map .scatterlayer .trace").last.locator("path.point").last
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    shown = page.locator(".st-key-point canvas")
    expect(shown).to_be_visible(timeout=SLOW)
    row = int(re.findall(r"\d+", page.locator(".st-key-map .hovertext").text_content())[0])
    np.testing.assert_array_equal(painted(shown), np.rint(255 * DIGITS[row]))
    page.mouse.down()
    expect(shown).to_be_hidden()
    page.mouse.up()
    expect(page.get_by_text(re.compile("^It is 9"))).to_be_visible(timeout=SLOW)

    page.get_by_text("In space (3-D)").click()
    expect(page.locator(".st-key-map .gl-container canvas").first).to_be_visible(timeout=SLOW)
    page.wait_for_timeout(1_000)  # which point lies where is told by the graphics card alone
    plot = page.locator(".st-key-map .js-plotly-plot")
    plot.hover(position={"x": 9, "y": 9})
    emit = f"(plot, name) => plot.emit(name, {{points: [{{customdata: {NINE}}}]}})"
    plot.evaluate(emit, "plotly_hover")
    np.testing.assert_array_equal(painted(shown), np.rint(255 * DIGITS[NINE]))
    plot.evaluate(emit, "plotly_unhover")
    expect(shown).to_be_hidden()
    plot.evaluate(emit, "plotly_click")
    expect(page.get_by_label("Image", exact=True)).to_have_value(str(NINE), timeout=SLOW)
    expect(page.get_by_text(re.compile("^It is 9"))).to_be_visible(timeout=SLOW)

    number = page.get_by_label("Image", exact=True).input_value()
    page.get_by_role("button", name="See all its stages").click()
    expect(page.get_by_text(f"Test image {int(number):,} of class 9")).to_be_visible(timeout=SLOW)
    assert f"image=test-{number}" in page.url

    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".st-key-distances-right .js-plotly-plot")).to_be_visible(timeout=SLOW)
    wait_until_drawn(page)
    assert all(name in page.url for name in trained.values())
    page.get_by_text("images seen", exact=True).first.click()
    expect(page.get_by_text("Accuracy over images seen")).to_be_visible(timeout=SLOW)
    wait_until_drawn(page)
    lines = saved(page, "runs", "Numbers as CSV").read_text("utf-8").splitlines()
    assert lines[0].startswith("Run,Status,Architecture,Data,Parameters")
    assert sorted(line.split(",")[0] for line in lines[1:]) == ["first", "second"]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
