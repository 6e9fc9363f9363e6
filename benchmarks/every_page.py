"""Every page with every model: opened in a real browser, looked at for errors and empty figures.

    python benchmarks/every_page.py --out pictures                       all of them
    python benchmarks/every_page.py --out pictures --pages map --models 4-D running

The models are those that ship, a 4-D one that is trained first, and the first classifier while it
trains and until the end. Each page is opened by its address and waited for until it computes no
more. Prints, for each, the seconds until then and how many figures and canvases were found, or
what is wrong; pictures of the whole pages go to the folder. Ends with 1 if anything was wrong.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from ndmixer.runs import Run, shipped_models
from tests.browser.real_app import FLAGS, ROOT, App, find_chrome

SECONDS = 90  # until a page must be there
STILL = 0.8  # seconds without anything going on
# By a link to a page Streamlit's script does not know where its server is, and asks below it first.
PROBE = r"404 .*/[a-z_]+/_stcore/(health|host-config)$"
NARROW = "classifier"  # the model that is also shown on a phone in the dark
ADDRESSES = {
    "train": "/?run={}",
    "compare": "/compare?runs={},classifier-tiny",
    **{
        name: f"/{name}?run={{}}"
        for name in (
            *("representations", "classes", "depth_time", "map", "weights"),
            *("reconstructions", "runs"),
        )
    },
}
SMALL_4D = [
    *("--preset", "classifier", "--set", "in_shape=4x7x4x7", "--set", "repr_shape=4x5x3x6"),
    *("--set", "out_shape=2x2x2x2", "--set", "depth=2"),
    *("--train-images", "20000", "--epochs", "1", "--name", "4-D"),
]
RUNNING = "/?in_shape=28x28&repr_shape=28x28&out_shape=1x28&epochs=1000"

BUSY = """() => {
  const app = document.querySelector("[data-testid=stApp]");
  const waits = /Computing \\.\\.\\.|The engine starts/.test(document.body.innerText);
  const page = location.pathname;
  if (page === "/" && !document.querySelector(".st-key-maps_forming")) return true;
  const idle = app && app.dataset.testScriptState === "notRunning";
  return !idle || waits || document.querySelector("[data-testid=stSkeleton]") !== null;
}"""

# Components keep their canvases in shadow roots.
LOOK = """() => {
  const every = (root, what) => [...root.querySelectorAll(what)].concat(
    ...[...root.querySelectorAll("*")].map((e) => e.shadowRoot ? every(e.shadowRoot, what) : []));
  const seen = (e) => { const b = e.getBoundingClientRect(); return b.width > 1 && b.height > 1; };
  const place = (e) => {
    for (let at = e; at; at = at.parentElement || at.getRootNode().host) {
      const key = [...at.classList].find((name) => name.startsWith("st-key-"));
      if (key) return key.slice(7);
    }
    return "?";
  };
  const texts = (what) => every(document, what).filter(seen).map((e) => e.innerText.trim());
  const plots = every(document, ".js-plotly-plot").filter(seen);
  const drawn = ".trace, .heatmaplayer image, .imagelayer image, .gl-container canvas, .cell-line";
  const canvases = every(document, "canvas").filter(
    (c) => seen(c) && !c.closest(".js-plotly-plot") && !c.closest("[data-testid=stDataFrame]"));
  const uniform = (c) => {
    if (!c.width || !c.height) return true;
    const pixels = new Uint32Array(
      c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer);
    return pixels.every((p) => p === pixels[0]);
  };
  return {
    errors: texts("[data-testid=stException], [data-testid=stAlertContentError]"),
    words: texts("[data-testid=stAlertContentInfo], [data-testid=stAlertContentWarning]"),
    plots: plots.length,
    canvases: canvases.length,
    tables: every(document, "table, [data-testid=stDataFrame]").filter(seen).length,
    empty: [
      ...plots.filter((p) => !p.querySelector(drawn)),
      ...canvases.filter(uniform),
    ].map(place),
    wide: document.documentElement.scrollWidth > innerWidth,
  };
}"""
HEIGHT = """() => Math.max(...["stMain", "stMainBlockContainer"].map(
  (name) => document.querySelector(`[data-testid=${name}]`)?.scrollHeight || 0))"""


@contextmanager
def opened(browser: Browser, url: str, width: int, scheme: str) -> Iterator[tuple[Page, list[str]]]:
    """A page of the app in a session of its own, and the errors that its console is told."""
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme)
    errors: list[str] = []
    page = context.new_page()
    page.goto(url)
    wait(page)
    page.on("console", lambda m: errors.append(told(m)) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page, errors
    context.close()


def told(message: ConsoleMessage) -> str:
    return f"{message.text} {message.location['url']}"


def wait(page: Page) -> float:
    """Seconds until the page stands still, the last still ones not counted."""
    begin = busy = time.monotonic()
    while time.monotonic() - busy < STILL:
        try:
            now = page.evaluate(BUSY)
        except Error:  # it is just being loaded
            now = True
        if now:
            busy = time.monotonic()
        if busy - begin > SECONDS:
            break
        time.sleep(0.05)
    return busy - begin


def look(page: Page, address: str, errors: list[str], picture: Path) -> tuple[str, list[str]]:
    """What is on a page, in a few words, and what is wrong with it."""
    errors.clear()
    page.goto(address)
    seconds = wait(page)
    found = page.evaluate(LOOK)
    width = page.viewport_size["width"]
    page.set_viewport_size({"width": width, "height": min(8_000, page.evaluate(HEIGHT) + 80)})
    page.wait_for_timeout(500)
    page.screenshot(path=picture)
    page.set_viewport_size({"width": width, "height": 900})
    wrong = [f"error: {text}" for text in found["errors"] + errors if not re.search(PROBE, text)]
    wrong += [f"empty figure in {place}" for place in found["empty"]]
    if seconds > SECONDS:
        wrong.append(f"not ready after {SECONDS} s")
    if found["wide"]:
        wrong.append("wider than the screen")
    if not (found["plots"] or found["canvases"] or found["tables"] or found["words"]):
        wrong.append("nothing to be seen")
    counted = f"{found['plots']} plots, {found['canvases']} canvases, {found['tables']} tables"
    told = "" if found["plots"] or found["canvases"] else f": {' '.join(found['words'])[:60]}"
    return f"{seconds:5.1f} s  {counted}{told}", wrong


def train_4d(app: App) -> str:
    """Trains the small one; its id."""
    command = [sys.executable, "-m", "ndmixer", "train", *SMALL_4D]
    environment = {**os.environ, "NDMIXER_RUNS": str(app.runs), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    return next(app.runs.iterdir()).name


def start_training(app: App, browser: Browser) -> str:
    """Starts one that does not end by itself; its id once it has done some steps."""
    before = set(app.runs.iterdir()) if app.runs.exists() else set()
    page = browser.new_page()
    page.goto(app.url + RUNNING)
    page.get_by_role("button", name="Train").last.click(timeout=1_000 * SECONDS)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for folder in set(app.runs.iterdir() if app.runs.exists() else ()) - before:
            if (Run(folder).last_event() or {}).get("step", 0) > 1_000:
                page.close()
                return folder.name
        time.sleep(0.1)
    raise TimeoutError("the training did not begin")


def main() -> None:
    shipped = [run.id for run in shipped_models()]
    models = [*shipped, "4-D", "running"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="Folder of the pictures.")
    parser.add_argument("--pages", nargs="+", choices=list(ADDRESSES), default=list(ADDRESSES))
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    problems = 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = App(Path(folder))
        ids = {name: name for name in shipped}
        if "4-D" in arguments.models:
            ids["4-D"] = train_4d(app)
        app.start()
        browser = playwright.chromium.launch(executable_path=find_chrome(), args=FLAGS)
        try:
            # Goes on while all others are opened, too, so that the cores are busy.
            ids["running"] = start_training(app, browser)
            for width, scheme in ((1280, "light"), (390, "dark")):
                chosen = [m for m in arguments.models if width == 1280 or m == NARROW]
                with opened(browser, app.url, width, scheme) as (page, errors):
                    for name in arguments.pages:
                        for model in chosen:
                            address = app.url + ADDRESSES[name].format(ids[model])
                            picture = arguments.out / f"{name}-{model}-{width}-{scheme}.png"
                            found, wrong = look(page, address, errors, picture)
                            problems += len(wrong)
                            where = f"{name:16s}{model:24s}{width:5d}"
                            print(f"{where}  {found}", *wrong, sep="\n      ", flush=True)
            assert Run(app.runs / ids["running"]).status() == "running"
        finally:
            browser.close()
            app.stop()
    print(f"{problems} problems")
    sys.exit(problems > 0)


if __name__ == "__main__":
    main()
