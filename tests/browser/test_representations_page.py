"""What a person does on the Representations page, in a real browser with a really made run."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from ndmixer import ModelSpec, TrainSpec, accounting, load_dataset, runs
from tests.browser.test_classes_page import choose, saved, wait_until_drawn

SLOW = 60_000  # milliseconds; a loaded machine starts TensorFlow slowly
SPEC = ModelSpec(repr_shape=(4, 4), depth=2)


@pytest.fixture
def run(app, monkeypatch) -> runs.Run:
    """A run that need not be trained: its weights are noise."""
    monkeypatch.setenv("NDMIXER_RUNS", str(app.runs))
    random = np.random.default_rng(0)
    made = runs.create(SPEC, TrainSpec())
    shapes = accounting(SPEC).weights.items()
    made.save_snapshot({n: random.normal(0, 0.3, s).astype(np.float32) for n, s in shapes}, 5)
    made.end("stopped", step=5)
    return made


def drag(page: Page, *places: tuple[float, float]) -> None:
    pad = page.locator(".st-key-pad canvas")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    for number, (x, y) in enumerate(places):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if not number:
            page.mouse.down()
    page.mouse.up()


def download(page: Page) -> dict[str, np.ndarray]:
    with np.load(saved(page, "representations", "Numbers as NPZ")) as data:
        return dict(data)


def test_images_are_chosen_and_digits_drawn(run, open_page):
    page = open_page(f"/?run={run.id}")
    page.get_by_role("link", name="Representations").click()
    data = load_dataset("mnist")
    told = "Test image {} of class {}, with the weights after step 5."
    expect(page.get_by_text(told.format(0, 7))).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(told.format(1, 2))).to_be_visible(timeout=SLOW)
    assert "image=test-1" in page.evaluate("location.search")
    found = download(page)
    np.testing.assert_array_equal(found["input"], data.x_test[1])
    np.testing.assert_array_equal(found["exit/block_1"], found["logits"])
    assert "change/block_0/axis_1" in found
    choose(page, "Go through", "mistakes only")
    expect(page.get_by_text(re.compile("1 of .*: mistakes only"))).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("wrong, it is")).to_be_visible()
    page.get_by_text("what blocks change").click()
    maps = page.locator(".st-key-all .map")
    expect(maps).to_have_count(6)  # two blocks, each after two axes and as a whole
    maps.first.hover(position={"x": 3, "y": 3})
    value = page.locator(".st-key-all .value")
    expect(value).to_have_text(re.compile(r"block 0, axis 1, row 0, column 0: -?[\d.]+"))
    maps.first.click()
    stage = page.get_by_role("combobox", name="Stage", exact=True)
    expect(stage).to_have_value("block 0/axis 1", timeout=SLOW)
    assert "stage=block_0%2Faxis_1" in page.url

    page.get_by_text("Draw", exact=True).click()
    expect(page.get_by_text("Draw a digit.")).to_be_visible(timeout=SLOW)
    drag(page, (0.3, 0.2), (0.7, 0.2), (0.45, 0.9))
    expect(page.get_by_text("Your drawing")).to_be_visible(timeout=SLOW)
    seen = download(page)["input"]
    assert seen.shape == (28, 28)
    assert np.ptp(np.flatnonzero(seen.any(axis=1))) == 19
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="Representations").click()
    expect(page.get_by_text("Your drawing")).to_be_visible(timeout=SLOW)  # it is kept

    pad = page.locator(".st-key-pad canvas")
    pad.focus()
    page.keyboard.press("Delete")
    expect(page.get_by_text("Draw a digit.")).to_be_visible(timeout=SLOW)
    page.keyboard.down(" ")
    for key in ["ArrowDown"] * 8:
        page.keyboard.press(key)
    page.keyboard.up(" ")
    expect(page.get_by_text("Your drawing")).to_be_visible(timeout=SLOW)
    seen = download(page)["input"]
    assert np.ptp(np.flatnonzero(seen.any(axis=1))) == 19
    assert np.ptp(np.flatnonzero(seen.any(axis=0))) < 8
    page.set_viewport_size({"width": 390, "height": 844})
    wait_until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
