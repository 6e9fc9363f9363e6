"""The live page beside a real training: how often it draws, what that costs.

    python benchmarks/live_view.py --preset classifier --seconds 60

A real browser watches a real run on this machine, whose cores the training keeps busy. The
result is printed as JSON:

* `updates_per_s`: how often the chart drew; the page asks for one each 0.45 s;
* `new_points_per_s`: how often it then had more to show;
* `chart_kept`: whether its canvas was the same one to the end;
* `server_ms_per_tick`: CPU time of the web process, all its threads, in each 0.45 s, with
  `server_ms_per_tick_ended` the same once the run has ended and nothing is new;
* `long_tasks`: pieces of JavaScript that held the browser for over 50 ms: their number and
  the longest, in milliseconds;
* `load`: the machine's load average meanwhile, so that a busy machine is seen.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from ndmixer import PRESETS
from tests.browser.real_app import FLAGS, App, find_chrome

SLOW = 180_000  # milliseconds
TICK = 0.45  # seconds between two questions of the browser, see `EVERY` in `ndmixer.app.feed`
WATCH = """
window.drawn = 0; window.grown = 0; window.tasks = [];
const clear = CanvasRenderingContext2D.prototype.clearRect;
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  if (this.canvas.closest("#loss")) window.drawn += 1;
  return clear.apply(this, box);
};
new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((e) => e.duration)))
  .observe({ type: "longtask" });
"""
WATCH_COUNTER = """counter => {
  new MutationObserver(() => { window.grown += 1 })
    .observe(counter, { childList: true, characterData: true, subtree: true });
}"""


def measure(page: Page, app: App, seconds: float) -> dict[str, Any]:
    """What happens in so many seconds."""

    def cpu() -> float:
        times = app.process.cpu_times()
        return times.user + times.system

    page.evaluate("() => { drawn = grown = 0; tasks = [] }")
    before, start = cpu(), time.perf_counter()
    page.wait_for_timeout(1_000 * seconds)
    spent, taken = cpu() - before, time.perf_counter() - start
    drawn, grown, tasks = page.evaluate("[window.drawn, window.grown, window.tasks]")
    return {
        "seconds": round(taken, 1),
        "updates_per_s": round(drawn / taken, 2),
        "new_points_per_s": round(grown / taken, 2),
        "server_ms_per_tick": round(1_000 * spent / taken * TICK, 1),
        "long_tasks": {"count": len(tasks), "longest_ms": round(max(tasks, default=0))},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="classifier", choices=list(PRESETS))
    parser.add_argument("--depth", type=int, help="blocks, if not those of the preset")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    model = PRESETS[arguments.preset].model
    if arguments.depth is not None:
        model = model.model_copy(update={"depth": arguments.depth})
    dataset = PRESETS[arguments.preset].train.dataset
    query = {**model.to_query(), "dataset": dataset, "epochs": "1000"}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = App(Path(folder))
        app.start()
        browser = playwright.chromium.launch(executable_path=find_chrome(), args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1500})
            page.add_init_script(WATCH)
            page.goto(f"{app.url}/?{'&'.join(f'{k}={v}' for k, v in query.items())}")
            page.get_by_role("button", name="Train").last.click(timeout=SLOW)
            counter = page.locator('[data-name="counter"]')
            expect(counter).not_to_contain_text("step 000,0", timeout=SLOW)  # it is compiled
            counter.evaluate(WATCH_COUNTER)
            page.locator("#loss canvas").evaluate("canvas => { window.kept = canvas }")
            result = {"preset": arguments.preset, "depth": model.depth}
            result |= measure(page, app, arguments.seconds)
            result["chart_kept"] = page.evaluate("window.kept.isConnected")
            result["load"] = round(os.getloadavg()[0], 1)
            page.get_by_role("button", name="Stop").click()
            expect(page.get_by_text("stopped")).to_be_visible(timeout=SLOW)
            ended = measure(page, app, min(20.0, arguments.seconds))
            result["server_ms_per_tick_ended"] = ended["server_ms_per_tick"]
            print(json.dumps(result, indent=2))
        finally:
            browser.close()
            app.stop()


if __name__ == "__main__":
    main()
