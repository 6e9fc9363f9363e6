"""Takes the pictures of `docs/images/`: each page, wide and narrow, light and dark.

    make screenshots

The app is a real one. The Train page shows a real run of the first preset, two epochs long; the
others look into the models that ship.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.real_app import FLAGS, App, find_chrome

IMAGES = Path(__file__).parent / "images"
SIZES = {1280: 1500, 390: 844}
SLOW = 180_000  # milliseconds
ADDRESSES = {
    "representations": "?run=classifier",
    "classes": "?run=classifier",
    "depth_time": "?run=classifier",
    "map": "?run=classifier",
    "weights": "?run=classifier",
    "reconstructions": "?run=autoencoder",
    "compare": "?runs=classifier,classifier-large",
    "runs": "",
}


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
    page.wait_for_timeout(2_000)  # until nothing moves any more
    idle = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(idle).to_be_visible(timeout=SLOW)
    page.wait_for_timeout(1_500)
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
                for name, query in ADDRESSES.items():
                    page.goto(f"{app.url}/{name}{query}")
                    shoot(page, f"{name}-{width}-{scheme}")
                context.close()
        browser.close()
        app.stop()


if __name__ == "__main__":
    main()
