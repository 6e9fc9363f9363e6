"""What a browser is answered that asks what is new."""

import json

import numpy as np
import pytest
from starlette.requests import Request
from starlette.routing import Match

from ndmixer import ModelSpec, TrainSpec, accounting, jobs, runs
from ndmixer.app import feed

SPEC = ModelSpec(repr_shape=(3, 4), depth=2)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path))
    monkeypatch.setattr(jobs, "engine_state", lambda: "ready")
    run = runs.create(SPEC, TrainSpec())
    told(run, 8)
    with run.lock():
        yield run


def told(run, step):
    run.append({"phase": "training", "step": step, "total_steps": 99, "loss": 1.0, "accuracy": 0.5})


def arrays(step):
    random = np.random.default_rng(step)
    shapes = {stage.name: stage.shape for stage in accounting(SPEC).stages}
    made = {n: random.normal(size=(10, *s)).astype(np.float32) for n, s in shapes.items()}
    return {**made, "step": np.array(step), "labels": np.arange(10), "images": np.array(1_000)}


def drawn(run, choice=None):
    """What the live component gets when Streamlit draws it."""
    view = feed.View(run, choice, "block_1")
    now = feed.look(run, choice)
    return head(feed.packed(view, now, feed.state(run, now)))


def asked(run, have="", choice=None, **change):
    """Status, header and parts of the answer."""
    address = drawn(run, choice)["feed"]
    for old, new in change.items():
        assert old in address
        address = address.replace(old, new)
    path, _, query = address.partition("?")
    scope = {"type": "http", "method": "GET", "path": f"/{path}", "headers": []}
    scope["query_string"] = f"{query}&have={have.replace(' ', '+')}".encode()
    found, more = feed.ROUTE.matches(scope)
    assert found is Match.FULL
    response = feed.ROUTE.endpoint(Request(scope | more))
    if response.status_code != 200:
        return response.status_code, {}, {}
    content = response.body
    start = 4 + int.from_bytes(content[:4], "little")
    header, parts = json.loads(content[4:start]), {}
    for name, size in header["parts"]:
        parts[name], start = content[start : start + size], start + size
    assert start == len(content)
    return 200, header, parts


def head(part):
    return json.loads(part[4 : 4 + int.from_bytes(part[:4], "little")])


def test_the_curves_come_alone_until_there_are_probes(run):
    _, header, parts = asked(run)
    assert (header["have"].split()[1:], list(parts)) == (["-", "-"], ["live"])
    assert head(parts["live"])["readouts"]["counter"].endswith("step 000,008")


def test_maps_come_once_and_again_when_they_are_new(run):
    run.save_live(arrays(8))
    run.save_averages(arrays(5))
    _, header, parts = asked(run)
    curves, *maps = header["have"].split()
    assert maps == ["8", "5"]
    assert list(parts) == ["live", "probes", "forming", "averages", "distances"]
    assert all(head(part)["key"] == name for name, part in parts.items() if name != "live")
    sent = np.frombuffer(parts["probes"][-10 * 12 * 4 :], np.float32)
    np.testing.assert_array_equal(sent, arrays(8)["block_1"].ravel())

    assert header["have"] == drawn(run)["have"]  # so what Streamlit has drawn is not sent again
    assert list(asked(run, have="x 8 5")[2]) == ["live"]
    assert list(asked(run, have=header["have"])[2]) == []
    run.save_live(arrays(9))
    _, header, parts = asked(run, have=header["have"])
    assert (header["have"], list(parts)) == (f"{curves} 9 5", ["probes", "forming"])
    told(run, 9)
    assert list(asked(run, have=header["have"])[2]) == ["live"]


def test_what_streamlit_draws_is_told_apart(run):
    def state():
        return asked(run)[1]["state"]

    before = state()
    assert before == drawn(run)["state"]
    told(run, 9)
    assert state() == before  # the curves go on, the words and buttons do not
    run.ask("pause")
    assert state() != before


def test_a_run_that_was_deleted_is_another_state(run):
    _, header, parts = asked(run, **{"run=": "run=x", "ghost=": "ghost=x"})
    assert header["state"] != drawn(run)["state"]
    assert head(parts["live"])["run"] == ""


@pytest.mark.parametrize("change", [{"run=": "run=../"}, {"ghost=": "ghost=/"}, {"stage": "stag"}])
def test_what_is_no_address_is_said(run, change):
    assert asked(run, **change)[0] == 404


def test_a_stage_that_the_model_lacks_is_passed_over(run):
    run.save_live(arrays(8))
    assert list(asked(run, block_1="block_7")[2]) == ["live"]


def test_the_untrained_model_is_waited_for_and_then_asked_of_streamlit(run, monkeypatch):
    choice, found = (SPEC, TrainSpec()), None
    monkeypatch.setattr(jobs, "untrained", lambda *choice: found)
    _, before, _ = asked(None, choice=choice)
    assert before["wait"] < 200
    assert before["state"] == drawn(None, choice)["state"]
    found = {name: values for name, values in arrays(0).items() if name != "step"}
    _, after, parts = asked(None, choice=choice, have=before["have"])
    assert (after["state"] != before["state"], parts) == (True, {})
    assert after["wait"] > 200


@pytest.mark.parametrize("change", [{"depth=2": "depth=64"}, {"depth=2": "depth=x"}])
def test_a_model_beyond_the_bounds_of_the_app_is_refused(run, change):
    assert asked(None, choice=(SPEC, TrainSpec()), **change)[0] == 404


def test_many_pages_take_turns_and_one_is_answered_twice_a_second(run):
    run.save_live(arrays(8))
    alone = feed._Turns()
    assert 0.2 < alone.wait() <= 0.5
    waits = [alone.wait() for _ in range(8)]
    np.testing.assert_allclose(np.diff(waits[1:]), feed.APART, atol=0.05)
