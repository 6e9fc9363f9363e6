"""Takes the pictures of `docs/images/`: each page, wide and narrow, light and dark.

    make screenshots

The app is a real one, with a real run of the first preset, two epochs long.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.real_app import FLAGS, App, find_chrome

IMAGES = Path(__file__).parent / "images"
SIZES = {1280: 1500, 390: 844}
SLOW = 180_000  # milliseconds


def train_once(browser: Browser, url: str) -> str:
    """Trains two epochs of the first preset and returns the address of the run."""
    page = browser.new_page()
    page.goto(f"{url}/?in_shape=28x28&repr_shape=28x28&out_shape=1x28&epochs=2")
    page.get_by_role("button", name="Train").last.click(timeout=SLOW)
    expect(page.get_by_text("finished")).to_be_visible(timeout=SLOW)
    address = page.url
    page.close()
    return address


def shoot(page: Page, name: str) -> None:
    page.wait_for_timeout(3_000)  # until nothing moves any more
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = App(Path(folder))
        app.start()
        browser = playwright.chromium.launch(executable_path=find_chrome(), args=FLAGS)
        address = train_once(browser, app.url)
        for width, height in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme
                )
                page = context.new_page()
                page.goto(address)
                expect(page.locator(".grid").first).to_be_visible(timeout=SLOW)
                shoot(page, f"train-{width}-{scheme}")
                page.goto(f"{app.url}/classes?{address.partition('?')[2]}")
                drawn = page.locator(".st-key-layers .js-plotly-plot")
                expect(drawn).to_be_visible(timeout=SLOW)
                shoot(page, f"classes-{width}-{scheme}")
                page.goto(f"{app.url}/runs")
                expect(page.get_by_role("heading", name="Runs")).to_be_visible(timeout=SLOW)
                shoot(page, f"runs-{width}-{scheme}")
                context.close()
        browser.close()
        app.stop()


if __name__ == "__main__":
    main()
