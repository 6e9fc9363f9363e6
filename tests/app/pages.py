"""Pages without a browser: opened, read, and the runs that they show."""

import numpy as np
from streamlit.testing.v1 import AppTest

from ndmixer import ModelSpec, TrainSpec, runs
from ndmixer.app import PAGES
from ndmixer.runs import Run


def open_page(name: str, run: Run | str | None = None, **query: str) -> AppTest:
    at = AppTest.from_file(PAGES / f"{name}.py", default_timeout=30)
    if run is not None:
        query["run"] = run.id if isinstance(run, Run) else run
    at.query_params.update(query)
    return shown(at)


def shown(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception
    return at


def said(at: AppTest) -> str:
    texts = [*at.markdown, *at.caption, *at.info, *at.warning, *at.error, *at.toast]
    return "\n".join(text.value for text in texts).replace("\\", "")


def metrics(at: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in at.metric}


def learned(model: ModelSpec, **train) -> Run:
    """A run that ended with weights of no use: no page reads them itself."""
    run = runs.create(model, TrainSpec(**train))
    run.save_snapshot({"a": np.zeros(1, np.float32)}, 7)
    run.end("stopped", step=7)
    return run
