"""Measures how soon the buttons of the Train page take effect, and writes results/controls.json.

    PYTHONPATH=. python benchmarks/controls.py --repeats 20

Each is measured through the engine alone (from `jobs.pause` until the run folder says paused)
and in a real browser: from the click until the page says something new, and until the worker
confirmed. The model is the classifier preset on all of MNIST; the worker is warm.
"""

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean, quantiles

from playwright.sync_api import Page, TimeoutError, expect, sync_playwright

from ndmixer import PRESETS, TrainSpec, jobs, runs
from ndmixer.runs import Run
from tests.browser.real_app import FLAGS, App, find_chrome

RESULTS = Path(__file__).parent / "results" / "controls.json"
PRESET = PRESETS["classifier"]
TRAIN = TrainSpec(epochs=500)
SLOW = 120  # seconds
LOST = 5  # seconds after which a click had no effect
POLL = 0.002  # seconds between two looks at the run folder

Times = dict[str, list[float]]


def wait(condition: Callable[[], object]) -> float:
    """Seconds until the condition holds."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > SLOW:
            raise RuntimeError("waited in vain")
        time.sleep(POLL)
    return time.perf_counter() - start


def trains(run: Run) -> bool:
    """Whether compiled steps are being taken."""
    event = run.last_event() or {}
    return event.get("phase") == "training" and event["step"] > 100


def measured(run: Run) -> bool:
    return any("loss" in event for event in run.metrics())


def through_the_engine(times: Times) -> None:
    """One run: to its first point, paused, resumed, stopped."""
    start = time.perf_counter()
    run = runs.open_run(jobs.submit(PRESET.model, TRAIN))
    wait(lambda: measured(run))
    times["engine: submit to first point"].append(time.perf_counter() - start)
    wait(lambda: trains(run))
    jobs.pause(run.id)
    times["engine: pause to confirmed"].append(wait(lambda: run.status() == "paused"))
    step = run.last_event()["step"]
    jobs.resume(run.id)
    wait(lambda: run.last_event()["step"] > step)
    jobs.stop(run.id)
    times["engine: stop to confirmed"].append(wait(lambda: run.status() == "stopped"))


def in_the_browser(page: Page, times: Times) -> None:
    """The same by clicks, on a page that shows no run."""
    before = set(runs.list_runs())
    start = time.time()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator("[data-name=score]")).to_contain_text("%", timeout=1_000 * SLOW)
    times["browser: click to first point"].append(time.time() - start)
    (run,) = set(runs.list_runs()) - before
    wait(lambda: trains(run))
    for name, done, on_its_way in (("Pause", "paused", "pausing"), ("Stop", "stopped", "stopping")):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_enabled(timeout=1_000 * SLOW)
        start = time.time()
        said = f"/{on_its_way}|{done}/.test(document.querySelector('.st-key-status').textContent)"
        while True:
            button.click()
            try:
                page.wait_for_function(said, timeout=1_000 * LOST, polling="raf")
                break
            except TimeoutError:  # its time goes on: a person would click again as well
                times["browser: clicks without effect"].append(LOST)
        times[f"browser: {name.lower()} click to said"].append(time.time() - start)
        wait(lambda: run.status() == done)  # noqa: B023
        confirmed = (run.folder / "metrics.jsonl").stat().st_mtime
        times[f"browser: {name.lower()} click to confirmed"].append(confirmed - start)
        if name == "Pause":
            page.get_by_role("button", name="Resume", exact=True).click()
            wait(lambda: run.status() == "running")
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page.locator(".st-key-status")).to_contain_text("untrained", timeout=1_000 * SLOW)


def repeated(measure: Callable[[Times], None], repeats: int) -> Times:
    """The times of so many repeats, after one that warms the worker up."""
    times: Times = defaultdict(list)
    measure(times)
    times.clear()
    for _ in range(repeats):
        measure(times)
    return times


def summary(values: list[float]) -> dict[str, float]:
    """Milliseconds: mean, median, 95th percentile, worst."""
    cuts = quantiles(values, n=20, method="inclusive")
    figures = {"mean": mean(values), "median": cuts[9], "p95": cuts[18], "worst": max(values)}
    return {name: round(1_000 * value) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder_of_app = Path(folder)
        os.environ["NDMIXER_RUNS"] = str(folder_of_app / "runs")
        engine = repeated(through_the_engine, repeats)
        jobs.close_engine()
        app = App(folder_of_app)
        app.start()
        chromium = playwright.chromium.launch(executable_path=find_chrome(), args=FLAGS)
        page = chromium.new_page()
        query = {**PRESET.model.to_query(), **TRAIN.to_query()}
        page.goto(f"{app.url}/?" + "&".join(f"{name}={text}" for name, text in query.items()))
        expect(page.locator(".grid").first).to_be_visible(timeout=1_000 * SLOW)
        browser = repeated(lambda times: in_the_browser(page, times), repeats)
        chromium.close()
        app.stop()
    lost = len(browser.pop("browser: clicks without effect", []))
    row = {
        "preset": "classifier",
        "repeats": repeats,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[2], 1),  # of the last 15 minutes
        "clicks_without_effect": lost,
        "ms": {name: summary(values) for name, values in {**engine, **browser}.items()},
    }
    RESULTS.write_text(json.dumps(row, indent=2) + "\n")
    print(json.dumps(row, indent=2))


if __name__ == "__main__":
    main()
