"""What a person does on the pages Weights and Reconstructions, with really trained runs."""

from playwright.sync_api import expect

from ndmixer import ModelSpec, TrainSpec, build_model, runs
from tests.browser.test_classes_page import SLOW, choose, wait_until_drawn

TINY = {"repr_shape": (4, 4), "depth": 2, "residual": True}


def untrained_run(app, name: str, model: ModelSpec) -> runs.Run:
    """A run that has its first weights, its gates open."""
    run = runs.create(model, TrainSpec(), name=name)
    weights = {variable.path: variable.numpy() for variable in build_model(model, 0).weights}
    run.save_weights({n: w + 0.5 * n.endswith("gate/value") for n, w in weights.items()}, 0)
    run.end("stopped", step=0)
    return run


def test_blocks_are_cut_and_an_autoencoder_is_looked_at(app, open_page, monkeypatch):
    monkeypatch.setenv("NDMIXER_RUNS", str(app.runs))
    classifier = untrained_run(app, "Names", ModelSpec(**TINY))
    written = (classifier.folder / "weights.safetensors").read_bytes()
    untrained_run(app, "Draws", ModelSpec(task="autoencoder", **TINY))

    page = open_page(f"/?run={classifier.id}")
    wait_until_drawn(page)  # until then the session does not know the run
    page.get_by_role("link", name="Weights").click(timeout=SLOW)
    expect(page.locator(".st-key-talk .js-plotly-plot")).to_be_visible(timeout=SLOW)
    expect(page.locator(".st-key-distances-after .js-plotly-plot")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("gate 0.500")).to_have_count(2)
    named = page.get_by_test_id("stMetric").filter(has_text="Named otherwise")
    named = named.get_by_test_id("stMetricValue")
    expect(named).to_have_text("0")
    page.get_by_role("button", name="block", exact=True).first.click()
    expect(page.get_by_text("Now: block 0 cut.")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("gate 0.500 → 0.000")).to_be_visible()
    expect(named).not_to_have_text("0", timeout=SLOW)
    page.get_by_role("button", name="axis 2").last.click()
    expect(page.get_by_text("Now: block 0 cut, block 1 without axis 2.")).to_be_visible(
        timeout=SLOW
    )
    wait_until_drawn(page)
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("Nothing is changed yet")).to_be_visible(timeout=SLOW)
    expect(named).to_have_text("0", timeout=SLOW)
    assert (classifier.folder / "weights.safetensors").read_bytes() == written
    choose(page, "Stage", "logits")
    expect(page.get_by_text("Kernels of logits")).to_be_visible(timeout=SLOW)

    page.get_by_role("link", name="Reconstructions").click()
    expect(page.get_by_text("This run is a classifier")).to_be_visible(timeout=SLOW)
    choose(page, "Look at one of these", "Draws")
    expect(page.get_by_text("over 10,000 test images.")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("From 7 to 2 in equal steps")).to_be_visible(timeout=SLOW)
    expect(page.locator(".st-key-strips [role=img]")).to_have_count(30)
    choose(page, "Order", "in order")
    expect(page.get_by_text("no. 9", exact=True)).to_be_visible(timeout=SLOW)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_text("The images in order")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
