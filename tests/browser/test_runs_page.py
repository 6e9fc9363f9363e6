"""What a person does on the Runs page, in a real browser."""

import io
import json
import time
import zipfile

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from ndmixer import PRESETS, TrainSpec, accounting, runs
from ndmixer.runs import Run
from tests.browser.test_classes_page import wait_until_drawn
from tests.browser.test_train_page import wait_until

MODEL = PRESETS["classifier-tiny"].model
SLOW = 60_000  # milliseconds; a loaded machine starts TensorFlow slowly
ROW = 35  # pixels
NAME = "Ünïcode <b>bold</b> ![x](http://localhost:1/y)"


def made(app, monkeypatch, name: str | None = None) -> Run:
    """A finished run in the folder of the app."""
    monkeypatch.setenv("NDMIXER_RUNS", str(app.runs))
    run = runs.create(MODEL, TrainSpec(epochs=1), name=name)
    total = {"step": 938, "total_steps": 938, "epoch": 1}
    run.append({**total, "phase": "training", "loss": 0.5, "accuracy": 0.75})
    run.append({**total, "phase": "evaluating", "val_loss": 0.25, "val_accuracy": 0.875})
    weights = accounting(MODEL).weights.items()
    run.save_weights({name: np.full(shape, 0.5, np.float32) for name, shape in weights}, 938)
    run.end("finished", step=938)
    return run


def contents(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def choose(page: Page, row: int) -> None:
    wait_until_drawn(page)  # a table that is drawn once more forgets the click
    table = page.locator("[data-testid=stDataFrame] .dvn-scroller")
    table.click(position={"x": 20, "y": ROW * (row + 1) + ROW // 2})


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    page.locator("input[type=file]").set_input_files(
        [{"name": n, "mimeType": "application/octet-stream", "buffer": c} for n, c in files]
    )


def panel(page: Page):
    return page.locator(".st-key-panel")


@pytest.fixture
def open_runs(open_page):
    """Opens the Runs page as a person does: from the Train page, which is the first."""

    def call() -> Page:
        page = open_page()
        link = page.get_by_role("link", name="Runs", exact=True)
        expect(link).to_be_visible(timeout=SLOW)
        link.click()
        expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=SLOW)
        return page

    return call


def test_name_and_note_are_shown_as_they_were_written(app, open_runs, monkeypatch):
    run = made(app, monkeypatch)
    page = open_runs()
    choose(page, 0)
    expect(panel(page)).to_contain_text("finished", timeout=SLOW)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Name").press("Enter")
    page.get_by_label("Note").fill("two\n*lines*")
    page.get_by_label("Note").blur()
    wait_until(lambda: run.note)

    again = open_runs()
    again.set_viewport_size({"width": 390, "height": 844})
    choose(again, 0)
    expect(again.get_by_label("Name")).to_have_value(NAME, timeout=SLOW)
    expect(again.get_by_label("Note")).to_have_value("two\n*lines*")
    assert (run.name, run.note) == (NAME, "two\n*lines*")
    assert again.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_choosing_stays_and_open_goes_to_the_train_page(app, open_runs, monkeypatch):
    run = made(app, monkeypatch, "to be opened")
    page = open_runs()
    choose(page, 0)
    expect(page.get_by_label("Name")).to_have_value("to be opened", timeout=SLOW)
    assert "/runs" in page.url
    page.get_by_role("button", name="Open", exact=True).click()
    page.wait_for_url(f"**/*run={run.id}*", timeout=SLOW)
    expect(page.locator(".st-key-status")).to_contain_text("finished", timeout=SLOW)


def test_run_is_deleted_once_it_is_confirmed(app, open_runs, monkeypatch):
    other, run = made(app, monkeypatch, "other"), made(app, monkeypatch, "unloved")
    page = open_runs()
    choose(page, 0)
    expect(page.get_by_label("Name")).to_have_value("unloved", timeout=SLOW)
    for answer in ("Keep it", "Delete it"):
        assert run.folder.exists()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_role("dialog")).to_contain_text("unloved")
        page.get_by_role("button", name=answer).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    expect(panel(page)).to_have_count(0)
    assert not run.folder.exists()
    assert not list(app.runs.glob(".*"))
    choose(page, 0)
    expect(page.get_by_label("Name")).to_have_value("other", timeout=SLOW)
    assert other.folder.exists()


def test_run_that_trains_is_neither_deleted_nor_downloaded(app, open_page, monkeypatch):
    made(app, monkeypatch)
    run = runs.create(MODEL, TrainSpec(), name="busy")
    with run.lock():
        page = open_page(f"/?run={run.id}")
        expect(page.locator(".st-key-status")).to_contain_text("running", timeout=SLOW)
        # Shown there, it is the chosen one here: a click on its row would take the choice back.
        page.get_by_role("link", name="Runs", exact=True).click()
        expect(panel(page)).to_contain_text("running", timeout=SLOW)
        expect(page.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
        expect(page.get_by_role("button", name="Download", exact=True)).to_be_disabled()
    run.end("stopped", step=0)
    run.delete()


def test_downloaded_run_can_be_uploaded_again(app, open_runs, monkeypatch):
    run = made(app, monkeypatch, "traveller")
    run.describe(note="from afar")
    page = open_runs()
    choose(page, 0)
    button = panel(page).locator("[data-testid=stDownloadButton] button")
    expect(button).to_be_enabled(timeout=SLOW)
    with page.expect_download(timeout=SLOW) as download:
        button.click()
    assert download.value.suggested_filename == f"{run.id}.zip"
    content = download.value.path().read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert {"model.keras", "evaluate.py", "metrics.csv"} < set(files)
    assert json.loads(files["spec.json"])["name"] == "traveller"

    run.delete()
    before = {found.id for found in runs.list_runs()}
    upload(page, ("anything.zip", content))
    expect(page.get_by_text("Uploaded")).to_be_visible(timeout=SLOW)
    notes = page.get_by_label("Note")  # the one of the run before is there until all is drawn
    wait_until(lambda: notes.evaluate_all("all => all.map(one => one.value)") == ["from afar"])
    (again,) = (found for found in runs.list_runs() if found.id not in before)
    assert (again.status(), again.name) == ("finished", "traveller")
    np.testing.assert_array_equal(again.load_weights()["logits/bias"], np.full(10, 0.5))

    upload(page, *((n, c) for n, c in files.items() if n in ("spec.json", "weights.safetensors")))
    deadline = time.monotonic() + SLOW / 1_000
    while len(runs.list_runs()) < len(before) + 2:
        assert time.monotonic() < deadline, "the two files made no run"
        page.wait_for_timeout(100)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("<b>x</b>.zip", b"hello", "This archive cannot be read"),
        ("spec.json", b"{}", "belong together; add weights.safetensors"),
    ],
)
def test_bad_upload_says_why_and_loses_nothing(app, open_runs, monkeypatch, name, content, reason):
    made(app, monkeypatch)
    page = open_runs()
    before = contents(app.runs)
    upload(page, (name, content))
    expect(page.get_by_text(reason)).to_be_visible(timeout=SLOW)
    assert contents(app.runs) == before
    expect(page.locator("[data-testid=stDataFrame]")).to_be_visible()
