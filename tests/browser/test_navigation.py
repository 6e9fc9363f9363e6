"""What a browser finds that comes to a fresh app by a link, or back to one that was restarted."""

from playwright.sync_api import expect

from tests.browser.real_app import App

SLOW = 60_000  # milliseconds


def test_a_link_to_a_page_leads_there_from_the_first_request_and_after_a_restart(tmp_path, browser):
    app = App(tmp_path)
    app.start()
    try:
        page = browser.new_page()
        page.goto(f"{app.url}/classes")
        heading = page.get_by_role("heading", name="How are the classes arranged?")
        expect(heading).to_be_visible(timeout=SLOW)
        app.process.kill()
        app.process.wait(20)
        expect(page.get_by_text("Connecting")).to_be_visible(timeout=SLOW)
        app.start()
        expect(page.get_by_text("Connecting")).to_be_hidden(timeout=SLOW)
        expect(heading).to_be_visible(timeout=SLOW)
        for name in ("Train", "Classes", "Runs"):
            expect(page.get_by_role("link", name=name)).to_be_visible(timeout=SLOW)
        expect(page.get_by_test_id("stSidebar")).to_have_count(0)
        page.close()
    finally:
        app.stop()
