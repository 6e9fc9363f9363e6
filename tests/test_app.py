import asyncio
import webbrowser
from concurrent.futures import ThreadPoolExecutor

import pytest
import streamlit as st

import app


@pytest.mark.parametrize("headless", [True, False])
def test_a_browser_is_opened_where_there_is_a_screen(monkeypatch, headless):
    options = {"server.headless": headless, "server.address": "127.0.0.1", "server.port": 8501}
    monkeypatch.setattr(st, "get_option", options.get)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)

    async def serve() -> None:
        async with app.begin(app.app):
            await asyncio.sleep(1.1)

    with ThreadPoolExecutor() as elsewhere:  # in this thread the browser tests may leave a loop
        elsewhere.submit(lambda: asyncio.run(serve())).result()
    assert opened == ([] if headless else ["http://127.0.0.1:8501"])
