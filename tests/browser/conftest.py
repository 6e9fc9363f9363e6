"""A real app and a real browser in front of it."""

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.real_app import FLAGS, App, find_chrome


@pytest.fixture(scope="session")
def browser():
    chrome = find_chrome()
    if not chrome:
        pytest.fail("no Chrome or Chromium; `make browser` finds or installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chrome, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = App(tmp_path_factory.mktemp("app"))
    app.start()
    yield app
    app.stop()


@pytest.fixture
def open_page(app: App, browser: Browser):
    """Opens pages in sessions of their own; fails if one of them logs an error."""
    contexts, errors = [], []

    def watch(message) -> None:
        if message.type == "error":
            errors.append(message.text)

    def open_one(path: str = "", width: int = 1280, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("console", watch)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(app.url + path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not errors, errors
