"""What a person does on the Classes page, in a real browser with a really trained run."""

import re
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect

from ndmixer.runs import Run
from tests.browser.test_train_page import percent, wait_until

SLOW = 60_000  # milliseconds; a loaded machine starts TensorFlow slowly
TINY = "/?in_shape=28x28&repr_shape=4x4&out_shape=4x4&epochs=1&train_images=2000"
# The kinds of picture that Plotly's cameras are set to save now.
SAVES = "plots => plots.map(plot => plot._context?.toImageButtonOptions.format)"


def wait_until_drawn(page: Page) -> None:
    """Until then a figure may be there twice, and an open list may close."""
    idle = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(idle).to_be_visible(timeout=SLOW)


def choose(page: Page, label: str, option: str) -> None:
    wait_until_drawn(page)
    box = page.get_by_role("combobox", name=label, exact=True)
    box.click()
    box.fill(option)  # the list may be longer than what is shown of it
    page.get_by_role("option", name=option, exact=True).click()


def click_cell(page: Page, chart: str, row: int, column: int) -> None:
    wait_until_drawn(page)
    area = page.locator(f".st-key-{chart} .nsewdrag")
    expect(area).to_have_count(1, timeout=SLOW)
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    x, y = ((place + 0.5) / 10 for place in (column, row))
    area.click(position={"x": x * box["width"], "y": y * box["height"]})


def saved(page: Page, name: str, what: str) -> Path:
    """The file of a figure's button Save."""
    wait_until_drawn(page)
    page.locator(f".st-key-{name}-save button").click()
    with page.expect_download(timeout=SLOW) as download:
        page.get_by_role("button", name=what).click()
    page.keyboard.press("Escape")
    return download.value.path()


def camera(page: Page, chart: str, kind: str) -> Path:
    """What the camera above a figure saves, once it is set to save that kind of picture."""
    plot = page.locator(f".st-key-{chart} .js-plotly-plot")
    wait_until(lambda: plot.evaluate_all(SAVES) == [kind])
    plot.hover()
    with page.expect_download(timeout=SLOW) as download:
        page.locator(f".st-key-{chart} .modebar-btn").first.click()
    return download.value.path()


def test_the_classes_of_a_run_that_was_just_trained_are_looked_at(app, open_page):
    page = open_page(TINY)
    page.get_by_role("button", name=re.compile("Train$")).click(timeout=SLOW)
    wait_until(lambda: percent(page, "score") > 0)
    expect(page.get_by_text("finished")).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="Classes").click()
    expect(page.locator(".st-key-layers .js-plotly-plot")).to_be_visible(timeout=SLOW)
    run = Run(app.runs / re.search(r"run=([^&]+)", page.url).group(1))
    assert run.status() == "finished"
    expect(page.get_by_text("At block 3, with the weights after step 32")).to_be_visible()
    accuracy = [e["val_accuracy"] for e in run.metrics() if "val_accuracy" in e][-1]
    right = page.get_by_test_id("stMetric").filter(has_text="Model is right")
    expect(right).to_contain_text(f"{100 * accuracy:.2f} %")
    expect(page.locator(".st-key-averages .js-plotly-plot .subplot")).to_have_count(10)

    for chart, row, column in (("distances", 2, 6), ("confusion", 7, 1)):
        click_cell(page, chart, row, column)
        expect(page.get_by_text(f"{row} minus {column}")).to_be_visible(timeout=SLOW)
        expect(
            page.get_by_text(re.compile(f"images of {row} are taken for {column}"))
        ).to_be_visible()

    choose(page, "Stage", "logits")
    expect(page.get_by_text("At logits, with the weights after step 32")).to_be_visible()
    choose(page, "Weights", "after step 0")
    told = page.get_by_text("At logits, with the weights after step 0, over 10,000 test images.")
    expect(told).to_be_visible(timeout=SLOW)
    choose(page, "Distance", "Mahalanobis distance")
    expect(page.get_by_text("judged by the first 1,000 images")).to_be_visible(timeout=SLOW)
    wait_until_drawn(page)
    with np.load(saved(page, "distances", "Numbers as NPZ")) as data:
        distances = data["distances"]
    lines = saved(page, "distances", "Numbers as CSV").read_text("utf-8").splitlines()
    assert lines[0] == "class,0,1,2,3,4,5,6,7,8,9"
    np.testing.assert_array_equal(
        [line.split(",")[1:] for line in lines[1:]], distances.astype(str)
    )
    assert camera(page, "distances", "png").read_bytes().startswith(b"\x89PNG")
    page.locator(".st-key-distances-save button").click()
    page.locator(".st-key-distances-camera").get_by_text("SVG", exact=True).click()
    page.keyboard.press("Escape")
    assert camera(page, "distances", "svg").read_text("utf-8").startswith("<svg")
    np.testing.assert_array_equal(distances, distances.T)
    assert distances.shape == (10, 10)
    assert np.isfinite(distances).all()

    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="Classes").click()
    expect(told).to_be_visible(timeout=SLOW)  # the choice is kept
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_text("7 minus 1")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
