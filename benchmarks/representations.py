"""How soon the Representations page shows another image, another stage, and a drawing.

    PYTHONPATH=. python benchmarks/representations.py --rounds 20

With the first classifier. `server` is one run of the page with the real engine and no browser;
`screen`, in a real browser in front of the real app, is from the click until the maps are
painted, for a drawing from the moment the pen is lifted until maps and probabilities are. Medians
and the slowest, in milliseconds. `load` is the number of processes that wanted to run in the last
minute, before and after: other work makes everything slower.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Page, expect, sync_playwright
from streamlit.testing.v1 import AppTest

from ndmixer import PRESETS, TrainSpec, accounting, jobs, runs
from tests.browser.real_app import FLAGS, App, find_chrome

RESULTS = Path(__file__).parent / "results" / "representations.json"
PAGE = str(Path(__file__).parents[1] / "pages" / "representations.py")
SLOW = 60_000  # milliseconds
QUIET = 300  # milliseconds without news, after which an answer is complete
SPEC = PRESETS["classifier"].model

WATCH = """([canvas, rows]) => {
  const pen = canvas.getContext("2d"), draw = pen.drawImage, now = () => performance.now();
  pen.drawImage = function (...given) { window.painted = now(); return draw.apply(this, given); };
  new MutationObserver(() => { window.told = now(); }).observe(rows, { childList: true });
  document.addEventListener("pointerdown", () => { window.clicked = now(); }, true);
  document.addEventListener("pointerup", () => { window.lifted = now(); }, true);
}"""


def watch(page: Page) -> None:
    """Lets the page note when it is clicked and when maps and probabilities are drawn."""
    idle(page)
    canvas = page.locator(".st-key-all canvas").first.element_handle()
    rows = page.locator(".st-key-classes tbody").first.element_handle()
    page.evaluate(WATCH, [canvas, rows])


def after(page: Page, act: Callable[[], object], since: str = "clicked") -> float:
    """Milliseconds until what an action asks for is on the screen."""
    idle(page)
    page.evaluate("window.painted = window.told = 0")
    act()
    both = "window.painted && window.told" if since == "lifted" else "window.painted"
    page.wait_for_function(f"{both} && performance.now() - window.painted > {QUIET}")
    return page.evaluate(f"Math.max(window.painted, window.told) - window.{since}")


def idle(page: Page) -> None:
    state = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(state).to_be_visible(timeout=SLOW)


def choose(page: Page, stage: str) -> None:
    page.get_by_role("option", name=stage, exact=True).click()


def stroke(page: Page, number: int) -> None:
    """Another line on the pad."""
    box = page.locator(".st-key-pad canvas").bounding_box()
    corners = [(0.3 + 0.02 * number, 0.2), (0.7, 0.3 + 0.02 * number), (0.4, 0.85)]
    for k, (x, y) in enumerate(corners):
        place = box["x"] + x * box["width"], box["y"] + y * box["height"]
        page.mouse.move(*place, steps=6)
        if not k:
            page.mouse.down()
    page.mouse.up()


def made() -> str:
    """A run whose weights are noise: what they are does not matter to the time."""
    random = np.random.default_rng(0)
    run = runs.create(SPEC, TrainSpec())
    shapes = accounting(SPEC).weights.items()
    run.save_weights({n: random.normal(0, 0.2, s).astype(np.float32) for n, s in shapes}, 0)
    run.end("stopped", step=0)
    return run.id


def at_the_server(run: str, rounds: int) -> dict[str, list[float]]:
    """Runs of the page in this process."""
    times: dict[str, list[float]] = {"image": [], "stage": []}
    page = AppTest.from_file(PAGE, default_timeout=60)
    page.query_params["run"] = run
    jobs.start_engine()
    page.run()
    for number in range(rounds):
        start = time.perf_counter()
        page.button(key="image_next").click().run()
        times["image"].append(1_000 * (time.perf_counter() - start))
        box = next(box for box in page.selectbox if box.label == "Stage")
        start = time.perf_counter()
        box.select(f"block_{number % 4}").run()
        times["stage"].append(1_000 * (time.perf_counter() - start))
    jobs.close_engine()
    assert not page.exception
    return times


def on_the_screen(page: Page, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"image": [], "stage": [], "drawing": []}
    watch(page)
    for _ in range(rounds):
        times["image"].append(after(page, page.get_by_role("button", name="Next").click))
    box = page.get_by_role("combobox", name="Stage", exact=True)
    for number in range(rounds):
        box.click()
        stage = f"block {number % 4}"
        times["stage"].append(after(page, lambda stage=stage: choose(page, stage)))
    page.get_by_text("Draw", exact=True).click()
    expect(page.locator(".st-key-pad canvas")).to_be_visible(timeout=SLOW)
    stroke(page, 0)
    page.locator(".st-key-classes tbody").first.wait_for(timeout=SLOW)
    time.sleep(1)
    watch(page)
    for number in range(1, rounds + 1):
        times["drawing"].append(after(page, lambda n=number: stroke(page, n), "lifted"))
        time.sleep(0.2)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = App(Path(folder))
        os.environ["NDMIXER_RUNS"] = str(app.runs)
        run = made()
        server = at_the_server(run, rounds)
        app.start()
        browser = playwright.chromium.launch(executable_path=find_chrome(), args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1500})
            page.goto(f"{app.url}/?run={run}")
            page.get_by_role("link", name="Representations").click()
            page.locator(".st-key-all canvas").first.wait_for(timeout=SLOW)
            screen = on_the_screen(page, rounds)
        finally:
            browser.close()
            app.stop()
    rows = {
        where: {
            kind: {"median": round(median(values), 1), "slowest": round(max(values), 1)}
            for kind, values in times.items()
        }
        for where, times in (("server", server), ("screen", screen))
    }
    found = {
        "cores": os.cpu_count(),
        "rounds": rounds,
        "load": [round(before, 1), round(os.getloadavg()[0], 1)],
        "milliseconds": rows,
    }
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
