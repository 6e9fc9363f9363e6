"""A real app in a process of its own, and the browser that is there."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


class App:
    """`streamlit run app.py` on a free port, with a runs folder of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.runs = folder / "runs"
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "app.log"

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "app.py"]
        options = [f"--server.port={self.port}", "--server.headless=true"]
        with self.log.open("ab") as log:
            self.process = psutil.Popen(
                command + options,
                cwd=ROOT,
                env={**os.environ, "NDMIXER_RUNS": str(self.runs)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).read()
                return
            except OSError:
                late = time.monotonic() > deadline or not self.process.is_running()
                assert not late, self.log.read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def find_chrome() -> str | None:
    """Path of a Chrome or Chromium: `NDMIXER_CHROME`, else the first on the path."""
    names = ("google-chrome", "chromium", "chromium-browser")
    return next(filter(None, [os.environ.get("NDMIXER_CHROME"), *map(shutil.which, names)]), None)
