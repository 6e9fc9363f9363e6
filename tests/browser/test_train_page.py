"""What a person does on the Train page, in a real browser with real training."""

import re
import time

import numpy as np
import psutil
import pytest
from playwright.sync_api import Page, expect

from ndmixer import ModelSpec, TrainSpec, accounting, runs
from ndmixer.runs import Run

TRAIN = re.compile("Train$")
SLOW = 60_000  # milliseconds; a loaded machine starts TensorFlow slowly


def readout(page: Page, name: str):
    return page.locator(f'[data-name="{name}"]')


def percent(page: Page, name: str) -> float:
    text = readout(page, name).inner_text()
    return float(text.split()[0]) if "%" in text else 0.0


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def address(page: Page) -> str:
    """The address now; `page.url` stands still while nothing else is asked of the page."""
    return page.evaluate("location.href")


def shown_run(page: Page) -> str:
    found = re.search(r"run=([^&]+)", address(page))
    return found.group(1) if found else ""


def press_train(page: Page) -> None:
    """Presses it and waits until another run is shown; prints what there was to see if none is."""
    before = shown_run(page)
    page.get_by_role("button", name=TRAIN).click()
    try:
        wait_until(lambda: shown_run(page) != before)
    except AssertionError:
        print(address(page), page.locator("body").inner_text(), sep="\n")
        raise


def stop_button(page: Page):
    """The run's; Streamlit shows one of its own in the header while a slow machine draws."""
    return page.locator(".st-key-run_controls").get_by_role("button", name="Stop")


def stop_all(page: Page) -> None:
    stop_button(page).click()
    expect(page.get_by_text("stopped")).to_be_visible(timeout=SLOW)


def choose_preset(page: Page, title: str) -> None:
    page.get_by_role("combobox", name="Preset").click()
    page.get_by_role("option", name=title, exact=True).click()
    expect(page.get_by_role("combobox", name="Preset")).to_have_value(title)


@pytest.fixture
def page(open_page):
    page = open_page("/?out_shape=1x28&epochs=500")  # not trained before somebody stops it
    expect(page.get_by_role("button", name=TRAIN)).to_be_enabled(timeout=SLOW)
    return page


def test_a_newcomer_trains_mnist_and_stops(open_page):
    page = open_page()
    expect(page.get_by_role("button", name=TRAIN)).to_be_enabled(timeout=SLOW)
    press_train(page)
    expect(page.get_by_text("running")).to_be_visible(timeout=SLOW)
    wait_until(lambda: percent(page, "score") > 90)
    wait_until(lambda: percent(page, "val_score") > 90)  # after the first epoch
    assert re.fullmatch(
        r"epoch \d{3}/010 · step \d{3},\d{3}", readout(page, "counter").inner_text()
    )
    stop_all(page)
    expect(stop_button(page)).to_be_disabled()


def test_a_run_survives_reload_page_change_and_is_found_by_a_second_session(page, open_page):
    press_train(page)
    wait_until(lambda: percent(page, "score") > 20)
    run = shown_run(page)

    page.reload()
    wait_until(lambda: percent(page, "score") > 20)
    assert run in page.url

    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="Train").click()
    before = readout(page, "counter").inner_text()
    wait_until(lambda: readout(page, "counter").inner_text() not in ("", before))

    other = open_page()  # no run in its address
    wait_until(lambda: percent(other, "score") > 20)
    stop_all(other)
    expect(page.get_by_text("stopped")).to_be_visible(timeout=SLOW)


def test_every_change_of_a_control_shows_at_once_in_the_stages(page):
    stages = page.locator(".flow")
    expect(stages).to_contain_text("15,751")
    choose_preset(page, "Classifier in three dimensions, 8 × 8 × 8 inside")
    expect(stages).to_contain_text("14,196")
    expect(stages).to_contain_text("abcd,be->aecd")
    choose_preset(page, "Autoencoder, 8 × 8 inside")
    expect(stages).to_contain_text("3,892")
    page.get_by_role("slider", name="Blocks").press("ArrowRight")
    expect(stages).to_contain_text("5 blocks, 8 × 8")
    expect(page.get_by_role("combobox", name="Preset")).to_have_value("Your own")


def test_a_wrong_shape_is_named_beside_its_control_and_turns_train_off(page):
    shape = page.get_by_role("combobox", name="Input shape")
    shape.fill("5x5")
    shape.press("Enter")
    expect(page.get_by_text("choose any reshape of 28x28").first).to_be_visible()
    expect(page.get_by_role("button", name=TRAIN)).to_be_disabled()
    shape.fill("14x56")
    shape.press("Enter")
    expect(page.get_by_role("button", name=TRAIN)).to_be_enabled()
    expect(page.locator(".flow")).to_contain_text("14 × 56")


def test_the_address_holds_the_choice_and_a_bad_one_is_said_and_left_out(page, open_page):
    choose_preset(page, "Classifier, 4 × 4 inside")
    expect(page.locator(".flow")).to_contain_text("766")
    wait_until(lambda: "repr_shape=4x4" in address(page))
    again = open_page(page.url.partition(f":{page.url.split(':')[2].split('/')[0]}")[2])
    expect(again.locator(".flow")).to_contain_text("766", timeout=SLOW)

    bad = open_page("/?depth=999999&repr_shape=banana")
    expect(bad.get_by_text("The address was not understood").first).to_be_visible(timeout=SLOW)
    expect(bad.locator(".flow")).to_contain_text("15,751")


def test_a_live_view_keeps_its_place_its_zoom_and_its_scale(page):
    press_train(page)
    wait_until(lambda: percent(page, "score") > 20)
    canvas, zoomed = page.locator("#loss canvas"), page.get_by_text("double-click: show all")
    canvas.evaluate("canvas => { window.kept = [canvas] }")
    page.locator(".maps canvas").first.evaluate("map => { window.kept.push(map) }")
    page.get_by_role("button", name="log scale").click()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page.locator("#loss .tip")).to_contain_text(re.compile(r"step [\d,]+\s+training"))
    for _ in range(4):
        before = readout(page, "counter").inner_text()
        wait_until(lambda: readout(page, "counter").inner_text() != before)  # noqa: B023
    page.get_by_role("slider", name="Blocks").press("ArrowRight")
    expect(page.locator(".flow")).to_contain_text("5 blocks, 28 × 28")
    page.locator('.stage[data-stage="block_2"]').click()
    expect(page.get_by_text("At block 2", exact=True)).to_be_visible()
    assert page.evaluate("window.kept.map(node => node.isConnected)") == [True, True]

    def as_it_was_left():
        expect(zoomed).to_be_visible()
        log = page.get_by_role("button", name="log scale")
        expect(log).to_have_attribute("aria-pressed", "true")

    as_it_was_left()
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="Train").click()
    expect(canvas).to_be_visible(timeout=SLOW)
    as_it_was_left()
    canvas.dblclick()
    expect(zoomed).to_have_count(0)
    stop_all(page)


def ended_run(end: str, **event) -> Run:
    """A run that never was, with all that the page shows."""
    run = runs.create(ModelSpec(depth=2), TrainSpec(epochs=1))
    told = {"phase": "training", "total_steps": 40, "epoch": 1, "gates": [0.1, -0.1]}
    for step in range(1, 31):
        run.append({**told, "step": step, "loss": 2 / step, "accuracy": step / 40, **event})
    run.append({"step": 30, "val_loss": 0.1, "val_accuracy": 0.75})
    random = np.random.default_rng(0)
    shapes = {stage.name: stage.shape for stage in accounting(run.model_spec).stages}
    values = {name: random.normal(size=(10, *shape)) for name, shape in shapes.items()}
    run.save_live({**values, "step": np.array(30), "labels": np.arange(10)})
    run.save_averages({**values, "step": np.array(30), "images": np.array(1_000)})
    run.end(end, reason="the loss became infinite or NaN" if end == "diverged" else None, step=31)
    return run


def test_a_stage_and_a_ghost_are_chosen_and_stay_in_the_address(app, open_page, monkeypatch):
    monkeypatch.setenv("NDMIXER_RUNS", str(app.runs))
    ghost, run = ended_run("finished"), ended_run("diverged")
    page = open_page(f"/?depth=2&run={run.id}&stage=block_9&ghost=%3Cb%3E")
    first = page.locator('.stage[data-stage="block_0"]')
    # There is no block 9.
    expect(page.get_by_text("At block 1", exact=True)).to_be_visible(timeout=SLOW)
    wait_until(lambda: not re.search("block_9|ghost", address(page)))
    first.click()
    expect(page.get_by_text("class averages at block 0")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator('.stage[data-stage="embed"]')).to_have_attribute("aria-current", "true")
    expect(page.get_by_text("At embed", exact=True)).to_be_visible()
    expect(page.get_by_text("class averages at embed")).to_be_visible()
    wait_until(lambda: "stage=embed" in address(page))

    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name=f"{ghost.id} · 75.00 %").click()
    expect(page.locator(".key .ghost")).to_contain_text(ghost.id)
    page.locator("#score canvas").hover()
    expect(page.locator("#score .tip")).to_contain_text("ghost, test  75.00 %")
    wait_until(lambda: f"ghost={ghost.id}" in address(page))
    page.reload()
    expect(page.get_by_text("At embed", exact=True)).to_be_visible(timeout=SLOW)
    expect(page.locator(".key .ghost")).to_contain_text(ghost.id, timeout=SLOW)
    ghost.delete()
    expect(page.locator(".key .ghost")).to_be_hidden()
    expect(page.get_by_text("diverged", exact=True)).to_be_visible()


def test_the_web_process_loads_no_tensorflow_and_no_keras(app, page):
    press_train(page)
    wait_until(lambda: percent(page, "score") > 20)
    maps = {mapping.path for mapping in psutil.Process(app.process.pid).memory_maps()}
    assert maps
    assert not [path for path in maps if "tensorflow" in path or "keras" in path]
    stop_all(page)


def test_a_run_is_stepped_paused_continued_and_left(app, open_page):
    page = open_page("/?repr_shape=4x4&depth=1&train_images=2000&epochs=1000")
    status, counter = page.locator(".st-key-status"), readout(page, "counter")

    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).click(timeout=SLOW)

    press("64 steps")
    expect(status).to_contain_text("paused", timeout=SLOW)
    expect(counter).to_contain_text("step 000,064")
    run = Run(app.runs / shown_run(page))
    press("1 epoch")  # the steps of the second are done, its test is not
    wait_until(lambda: [e["step"] for e in run.metrics() if "val_loss" in e] == [32, 64])
    expect(status).to_contain_text("paused", timeout=SLOW)
    expect(counter).to_contain_text("step 000,064")

    press("Learning rate 0.001")
    page.get_by_role("slider", name="Learning rate of this run").press("ArrowRight")
    expect(page.get_by_role("button", name="Learning rate → 0.003")).to_be_visible()
    page.keyboard.press("Escape")
    press("Resume")
    expect(page.get_by_role("button", name="Learning rate 0.003")).to_be_visible(timeout=SLOW)
    press("Pause")
    expect(status).to_contain_text("paused", timeout=SLOW)
    press("Stop")
    expect(status).to_contain_text("stopped", timeout=SLOW)

    done = run.last_event()["step"] // 32
    assert 2 <= done < 1_000
    press("Continue")
    page.get_by_label("More epochs").fill("2")
    page.get_by_label("More epochs").press("Enter")
    press(f"Continue to epoch {done + 2}")
    expect(status).to_contain_text("finished", timeout=SLOW)
    assert run.last_event()["step"] == 32 * (done + 2)
    rates = [e["learning_rate"] for e in run.metrics() if e.get("phase") == "training"]
    assert (rates[0], rates[-1]) == (0.001, 0.003)
    steps = [event["step"] for event in run.metrics()]
    assert steps == sorted(steps)
    assert run.load_weights()["embed/axis_1/kernel"].shape == (28, 4)

    press("Reset")
    expect(status).to_contain_text("untrained")
    expect(counter).to_contain_text("step 000,000")
    assert "run=" not in page.url
    assert run.status() == "finished"


def test_two_sessions_share_a_run_and_not_their_choices(app, open_page):
    first = open_page("/?repr_shape=16x16&epochs=500")
    press_train(first)
    expect(first.locator(".st-key-status")).to_contain_text("running", timeout=SLOW)
    run = shown_run(first)

    second = open_page(f"/?run={run}")
    watched = [page.locator(".st-key-status") for page in (first, second)]
    blocks = [page.get_by_role("slider", name="Blocks") for page in (first, second)]
    blocks[1].press("ArrowRight", timeout=SLOW)
    note = second.get_by_text("has other settings: blocks 4. Train starts a new run")
    expect(note).to_be_visible()
    press_train(second)
    expect(watched[1]).to_contain_text("queued, 1st in the queue", timeout=SLOW)
    wait_until(lambda: run not in second.url)
    queued = shown_run(second)
    expect(watched[0]).to_contain_text("running")
    assert [b.input_value() for b in blocks] == ["4", "5"]
    assert ("depth=4" in first.url, "depth=5" in second.url, run in first.url) == (True,) * 3
    stop_all(second)
    expect(watched[0]).to_contain_text("running")

    second.goto(f"{app.url}/?run={run}")
    expect(blocks[1]).to_have_value("4", timeout=SLOW)  # as in the run
    second.get_by_role("button", name="Pause").click()
    for status in watched:
        expect(status).to_contain_text("paused", timeout=SLOW)
    first.get_by_role("button", name="Resume").click()
    for status in watched:
        expect(status).to_contain_text("running", timeout=SLOW)
    stop_all(second)
    expect(watched[0]).to_contain_text("stopped", timeout=SLOW)
    assert [Run(app.runs / name).model_spec.depth for name in (run, queued)] == [4, 5]
