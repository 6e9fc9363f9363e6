"""What a person does on the page of depth and time, with a model that ships with the project."""

import re

from playwright.sync_api import expect

from tests.browser.test_classes_page import SLOW, choose, wait_until_drawn


def test_a_training_is_played_and_another_stage_is_chosen(open_page):
    page = open_page("/?run=classifier-tiny")
    page.get_by_role("link", name="Depth and time").click(timeout=SLOW)
    for chart in ("similarity", "accuracy-by-stage", "stages-over-time", "contributions", "gates"):
        expect(page.locator(f".st-key-{chart} .js-plotly-plot")).to_be_visible(timeout=SLOW)
    wait_until_drawn(page)
    title = page.locator(".st-key-distances-over-time .gtitle")
    expect(title).to_have_text(re.compile(r"^After step 9,380 · accuracy \d\d\.\d %$"))
    last = title.text_content()
    page.get_by_text("Play", exact=True).click()
    expect(title).to_have_text(re.compile(r"^After step 0 · "))
    expect(title).to_have_text(last, timeout=SLOW)

    choose(page, "Stage", "block 1/axis 2")
    told = page.get_by_text("between the class averages at block 1/axis 2")
    expect(told).to_be_visible(timeout=SLOW)
    wait_until_drawn(page)
    chart = page.locator(".st-key-accuracy-by-stage .js-plotly-plot")
    expect(chart.get_by_text("block 1/axis 2")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(told).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
