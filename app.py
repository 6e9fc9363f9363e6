"""Starts the app: `streamlit run app.py`."""

import asyncio
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

from ndmixer.app import feed, navigation


@asynccontextmanager
async def begin(_: st.App) -> AsyncIterator[None]:
    """Opens a browser, as Streamlit does by itself for a script that is no `st.App`."""
    if not st.get_option("server.headless"):
        address, port = st.get_option("server.address"), st.get_option("server.port")
        asyncio.get_running_loop().call_later(1, webbrowser.open, f"http://{address}:{port}")
    yield


# The script has a folder of its own: beside `pages/`, Streamlit would take what lies there for
# its pages and serve them as they are to a browser that asks for one before any other has come.
app = st.App(navigation.__file__, lifespan=begin, routes=[feed.ROUTE])
