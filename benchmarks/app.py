"""The app as a person meets it: start, first point, cost of the display, memory over many runs.

    python benchmarks/app.py                           all parts
    python benchmarks/app.py --parts start first       some of them

A real app, a real browser and real trainings, on a machine that should have nothing else to
do. Prints one line of JSON a part and keeps all of them in `results/app.json`.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import psutil
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from ndmixer import PRESETS
from ndmixer.runs import Run
from tests.browser.real_app import FLAGS, App, find_chrome

RESULTS = Path(__file__).parent / "results" / "app.json"
SLOW = 120_000  # milliseconds
CLASSIFIER = "/?in_shape=28x28&repr_shape=28x28&out_shape=1x28"
TINY = "/?in_shape=28x28&repr_shape=4x4&out_shape=4x4&train_images=2000&epochs=1"


def open_page(browser: Browser, address: str) -> Page:
    page = browser.new_page()
    page.goto(address)
    expect(page.get_by_role("button", name=re.compile("Train$"))).to_be_enabled(timeout=SLOW)
    return page


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=re.compile(f"{name}$")).click(timeout=SLOW)


def newest(app: App) -> Run:
    return Run(max(app.runs.iterdir(), key=lambda folder: folder.stat().st_ctime))


def wait(condition: Callable[[], object], seconds: float = 300) -> float:
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > seconds:
            raise TimeoutError("waited in vain")
        time.sleep(0.01)
    return time.perf_counter() - start


def steps(page: Page) -> int:
    counter = page.locator('[data-name="counter"]').inner_text()
    return int(counter.rpartition(" ")[2].replace(",", "") or 0)


def worker(app: App) -> psutil.Process:
    """The process that trained last: what is heaviest below the app's own process."""
    return max(app.process.children(recursive=True), key=lambda p: p.memory_info().rss)


def start(app: App, browser: Browser) -> dict[str, object]:
    """Seconds from the command to the page, and to the untrained model's maps (the engine)."""
    page_ready, engine_ready = [], []
    for _ in range(5):
        app.stop()
        begin = time.perf_counter()
        app.start()
        page = open_page(browser, app.url)
        page_ready.append(time.perf_counter() - begin)
        expect(page.locator(".grid").first).to_be_visible(timeout=SLOW)
        engine_ready.append(time.perf_counter() - begin)
        page.close()
    return {"page_ready_s": rounded(page_ready), "engine_ready_s": rounded(engine_ready)}


def first(app: App, browser: Browser) -> dict[str, object]:
    """Seconds from the click on Train to the first step that the page counts, warm app."""
    found = {}
    for depth in (4, 16):
        page = open_page(browser, f"{app.url}{CLASSIFIER}&depth={depth}")
        expect(page.locator(".grid").first).to_be_visible(timeout=SLOW)
        seconds = [first_point(app, page) for _ in range(6)]
        found[f"depth_{depth}_s"] = rounded(seconds[1:])
        page.close()
    return found


def first_point(app: App, page: Page) -> float:
    """Trains until a hundred steps are done; seconds from the click to the first that is seen."""
    before = set(app.runs.iterdir())
    press(page, "Train")
    begin = time.perf_counter()
    wait(lambda: set(app.runs.iterdir()) - before)
    expect(page.get_by_text("running")).to_be_visible(timeout=SLOW)
    wait(lambda: steps(page) > 0)
    seconds = time.perf_counter() - begin
    wait(lambda: (newest(app).last_event() or {}).get("step", 0) > 100)
    press(page, "Stop")
    wait(lambda: newest(app).status() == "stopped")
    return seconds


def fast(app: App, browser: Browser) -> dict[str, object]:
    """Seconds from the click to 97 % test accuracy on the page, preset `fast`, five seeds."""
    preset, seconds, last = PRESETS["fast"], [], []
    for seed in range(5):
        train = preset.train.model_copy(update={"seed": seed})
        query = urlencode({**preset.model.to_query(), **train.to_query()})
        page = open_page(browser, f"{app.url}/?{query}")
        expect(page.locator(".grid").first).to_be_visible(timeout=SLOW)
        score = page.locator('[data-name="val_score"]')
        press(page, "Train")
        begin = time.perf_counter()
        wait(lambda shown=score: percent(shown.inner_text()) >= 97)
        seconds.append(time.perf_counter() - begin)
        wait(lambda: newest(app).status() == "finished")
        tests = [e["val_accuracy"] for e in newest(app).metrics() if "val_accuracy" in e]
        last.append(tests[-1])
        page.close()
    return {"seconds_to_97": rounded(seconds), "last_accuracy": rounded(last, 4)}


def percent(text: str) -> float:
    return float(text.split()[0]) if "%" in text else 0.0


def display(app: App, browser: Browser) -> dict[str, object]:
    """Speed of one run without a page, with one and with three, in turns."""
    page = open_page(browser, f"{app.url}{CLASSIFIER}&epochs=1000")
    press(page, "Train")
    wait(lambda: steps(page) > 1_000)
    address, run = page.url, newest(app)
    page.close()
    speeds: dict[int, list[float]] = {0: [], 1: [], 3: []}
    for _ in range(4):
        for count, found in speeds.items():
            pages = [open_page(browser, address) for _ in range(count)]
            time.sleep(3)
            found.append(speed(run, 12))
            for one in pages:
                one.close()
    page = open_page(browser, address)
    press(page, "Stop")
    page.close()
    return {
        "steps_per_s": {str(count): rounded(found) for count, found in speeds.items()},
        "cost_of_one": cost(speeds, 1),
        "cost_of_three": cost(speeds, 3),
    }


def speed(run: Run, seconds: float) -> float:
    """Steps a second over about so long."""
    before, begin = run.last_event()["step"], time.perf_counter()
    time.sleep(seconds)
    return (run.last_event()["step"] - before) / (time.perf_counter() - begin)


def cost(speeds: dict[int, list[float]], count: int) -> float:
    """Median over the rounds of the part that is lost."""
    pairs = zip(speeds[0], speeds[count], strict=True)
    return round(median(1 - shown / alone for alone, shown in pairs), 3)


def memory(app: App, browser: Browser) -> dict[str, object]:
    """Resident MB of the web process and of the worker after each of 30 trainings."""
    page = open_page(browser, app.url + TINY)
    web, training = [], []
    for count in range(1, 31):
        press(page, "Train")
        wait(lambda n=count: sum(Run(f).status() == "finished" for f in app.runs.iterdir()) >= n)
        time.sleep(1)
        web.append(app.process.memory_info().rss / 2**20)
        training.append(worker(app).memory_info().rss / 2**20)
    page.close()
    return {
        "web_mb": rounded(web, 0),
        "worker_mb": rounded(training, 0),
        "web_growth_after_5": round(web[-1] / web[4] - 1, 3),
        "worker_growth_after_5": round(training[-1] / training[4] - 1, 3),
    }


def rounded(values: list[float], digits: int = 2) -> dict[str, object]:
    return {
        "median": round(median(values), digits),
        "all": [round(value, digits) for value in values],
    }


PARTS = {part.__name__: part for part in (start, first, fast, display, memory)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chrome(), args=FLAGS)
        for name in arguments.parts:
            with tempfile.TemporaryDirectory() as folder:
                app = App(Path(folder))
                app.runs.mkdir()
                app.start()
                try:
                    results[name] = PARTS[name](app, browser)
                finally:
                    app.stop()
            print(json.dumps({name: results[name]}), flush=True)
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        browser.close()


if __name__ == "__main__":
    main()
