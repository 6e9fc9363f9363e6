"""Choices in the address: read from it, written to it, and carried from page to page."""

import pytest
from streamlit.testing.v1 import AppTest

from ndmixer import ModelSpec, jobs
from ndmixer.app import PAGES, navigation
from ndmixer.app.choices import NAMES
from tests.app.pages import learned, open_page, shown

SMALL, LARGE = ModelSpec(depth=1), ModelSpec(depth=3)
CHOSEN = {"step": "7", "stage": "block_0", "part": "train", "metric": "cosine", "pairs": "true"}
ASKED = [7, "block_0", "train", 2_000, "cosine", True]


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """What the worker was asked last; it has no answer."""
    monkeypatch.setattr(jobs, "start_engine", lambda: None)
    found = []

    def refuse():
        raise ValueError("nobody is here")

    def ask(run, *question):
        found[:] = question
        return refuse

    for name in ("class_geometry", "image_map", "kernels"):
        monkeypatch.setattr(jobs, name, ask)
    return found


def address(at: AppTest) -> dict[str, str]:
    found = {name: at.query_params[name] for name in at.query_params}
    return {name: text if isinstance(text, str) else text[0] for name, text in found.items()}


def test_a_choice_is_read_from_the_address(asked):
    at = open_page("classes", learned(LARGE, train_images=2_000), **CHOSEN)
    assert asked == ASKED
    assert address(at).items() >= CHOSEN.items()


def test_a_choice_is_written_to_the_address(asked):
    run = learned(LARGE, train_images=2_000)
    at = open_page("classes", run)
    assert address(at) == {"run": run.id}
    at.selectbox(key="step_choice").select(7)
    at.selectbox(key="stage_choice").select("block_0")
    at.selectbox(key="part_choice").select(("train", 2_000))
    at.selectbox(key="metric_choice").select("cosine")
    at.toggle(key="pairs_choice").set_value(True)
    shown(at)
    assert asked == ASKED
    assert address(at) == {"run": run.id, **CHOSEN}


@pytest.mark.parametrize("text", ["8", "block_9", "-1", "9" * 400, "../<b>%00√"])
@pytest.mark.parametrize("page", ["classes", "map", "weights", "compare"])
def test_what_the_address_says_wrongly_is_passed_over(page, text):
    run = learned(LARGE, train_images=2_000)
    at = open_page(page, **dict.fromkeys(NAMES, text) | {"run": run.id, "runs": run.id})
    ours = {"run": run.id, "runs": run.id, "image": "test-0"}
    shown_here = {n for n in NAMES if f"{n}_choice" in at.session_state}
    wrong = {n: t for n, t in address(at).items() if n in shown_here and t != ours.get(n)}
    assert wrong == {}


def test_a_choice_is_carried_to_other_pages_and_kept_where_it_does_not_apply(asked):
    run, other = learned(LARGE, train_images=2_000), learned(SMALL, train_images=2_000)
    at = AppTest.from_file(navigation.__file__, default_timeout=60)
    shown(at)
    at.switch_page(str(PAGES / "classes.py"))
    at.query_params.clear()
    shown(at)
    at.selectbox(key="run_choice").select(run.id)
    shown(at)
    at.selectbox(key="stage_choice").select("block_2/axis_1")
    at.selectbox(key="metric_choice").select("cosine")
    shown(at)
    chosen = {"run": run.id, "stage": "block_2/axis_1", "metric": "cosine"}
    assert address(at) == chosen
    for page in ("map", "weights", "compare", "runs", "classes"):
        at.switch_page(str(PAGES / f"{page}.py"))
        at.query_params.clear()  # as the browser does
        shown(at)
        there = address(at)
        assert there.items() >= chosen.items() - {("stage", "block_2/axis_1")}
        assert ("stage" in there) == (page != "compare")  # which has the main stages of both runs
    assert asked[1] == "block_2/axis_1"
    at.selectbox(key="run_choice").select(other.id)
    shown(at)
    assert asked[1] == "block_0"
    assert "stage" not in address(at)
    at.selectbox(key="run_choice").select(run.id)
    shown(at)
    assert asked[1] == "block_2/axis_1"
    assert address(at)["stage"] == "block_2/axis_1"


def test_sessions_choose_for_themselves(asked):
    run = learned(LARGE, train_images=2_000)
    one, two = (open_page("map", run) for _ in range(2))
    one.selectbox(key="stage_choice").select("embed")
    shown(one)
    shown(two)
    assert asked[1] == "block_2"
    assert "stage" not in address(two)
