"""What a browser asks for by itself: the curves and the maps that are new, as bytes.

A fragment that runs several times a second makes React look through the whole page each time.
On a machine that trains on all its cores this takes a fifth of the training's speed; a request
whose answer goes straight to the canvases takes little. And it would send the values of all
widgets along, those too that a callback has just changed. Only what Streamlit draws, the words
and the buttons, waits for a run of the fragment, and that is asked for when it has changed.
"""

import json
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlencode
from zlib import crc32

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ndmixer import jobs
from ndmixer.app import live
from ndmixer.app.controls import refusal
from ndmixer.app.forming import pictures
from ndmixer.app.live import Curves
from ndmixer.app.read_runs import Arrays, arrays_of, curves_of
from ndmixer.app.words import ENDED, describe
from ndmixer.runs import Run, Status, UnknownRun, folder_changed, open_run
from ndmixer.spec import ModelSpec, TrainSpec

# Seconds between two questions of a page, if something is awaited, and between two of all pages:
# what they draw is taken from the same cores.
EVERY, SOON, APART = 0.45, 0.12, 0.3


@dataclass(frozen=True)
class View:
    """What the Train page shows, as its address says it.

    Attributes:
        run: The run, None where none is chosen.
        choice: What the controls say, None where that is no model.
        stage: The stage that is chosen.
        ghost: The run that is laid under the curves.
        one_scale: Whether all stages have one scale of colours.
    """

    run: Run | None
    choice: tuple[ModelSpec, TrainSpec] | None
    stage: str
    ghost: Run | None = None
    one_scale: bool = False

    def to_query(self) -> dict[str, str]:
        """The address's query."""
        of = {"run": self.run.id if self.run else "", "ghost": self.ghost.id if self.ghost else ""}
        query = of | {"stage": self.stage, "scale": str(int(self.one_scale))}
        for spec in self.choice or ():
            query |= spec.to_query()
        return query

    @classmethod
    def from_query(cls, query: dict[str, str]) -> "View":
        """The inverse of `to_query`; a run that was deleted meanwhile is None.

        Raises:
            KeyError, ValueError: it is no address of ours.
        """
        run, ghost = (_found(query[name]) for name in ("run", "ghost"))
        choice = None
        if "task" in query:
            choice = ModelSpec.from_query(query), TrainSpec.from_query(query)
            problem = refusal(*choice)
            if problem:
                raise ValueError(problem)
        return cls(run, choice, query["stage"], ghost, query["scale"] == "1")


def _found(name: str) -> Run | None:
    try:
        return open_run(name) if name else None
    except UnknownRun:
        return None


@dataclass(frozen=True)
class Now:
    """What a view shows at a moment.

    Attributes:
        status: Of the run.
        curves: Of the run, None where none is chosen or it cannot be read.
        model: Whose maps they are: that of the run, else that of the controls.
        dataset: Its data set.
        arrays: The probes, None as long as there are none.
        averages: The class averages, None before the first epoch is done.
        problem: Why there are no arrays and will be none.
    """

    status: Status | None
    curves: Curves | None
    model: ModelSpec
    dataset: str
    arrays: Arrays | None = None
    averages: Arrays | None = None
    problem: str = ""

    @property
    def trained(self) -> bool:
        """Whether the maps are those of the run."""
        return bool(self.arrays and "step" in self.arrays)

    @property
    def maps(self) -> tuple[Arrays | None, Arrays | None]:
        """Probes and averages."""
        return self.arrays, self.averages

    @property
    def moment(self) -> str:
        """What the probes are, and when."""
        if not self.arrays or not self.trained:
            return "ten test images in the untrained model"
        return f"ten test images at step {int(self.arrays['step']):,}"


def look(run: Run | None, choice: tuple[ModelSpec, TrainSpec] | None) -> Now:
    """Reads what is new of the run; where it has no maps yet, those of the untrained model."""
    status = run.status() if run else None
    curves = curves_of(run) if run and status != "unreadable" else None
    if run and curves:
        arrays, averages = arrays_of(run, status in ENDED)
        if arrays:
            dataset = run.train_spec.dataset
            return Now(status, curves, run.model_spec, dataset, arrays, averages)
    if not choice:
        return Now(status, curves, ModelSpec(), "mnist")
    model, train = choice
    arrays, problem = None, ""
    if jobs.engine_state() != "idle":  # else this would start it before the page is there
        try:
            arrays = jobs.untrained(model, train)
        except ValueError as error:  # a data set that is not there
            problem = str(error)
    return Now(status, curves, model, train.dataset, arrays, problem=problem)


def state(run: Run | None, now: Now) -> str:
    """All that Streamlit draws; if it is another one, the page has to be drawn anew."""
    status, last = now.status, now.curves.last if now.curves else {}
    there = [bool(found) for found in now.maps]
    if run is None or status is None:
        return json.dumps(there)
    controls = run.asked(), last.get("learning_rate"), now.curves and run.learning_rate()
    return json.dumps([describe(run, status), *controls, *there, folder_changed()])


def packed(view: View, now: Now, state: str) -> bytes:
    """What the live component is fed with when Streamlit draws it, the state being what it was."""
    address = f"feed?{urlencode(view.to_query())}"
    have = " ".join(_versions(view, now))
    return _live(view, now, {"feed": address, "state": state, "have": have})


def _live(view: View, now: Now, asks: dict[str, str]) -> bytes:
    return live.packed(
        now.curves,
        _hint(now),
        task=(now.curves.run.model_spec if now.curves else now.model).task,
        ended=now.status is None or now.status in ENDED,
        ghost=curves_of(view.ghost) if view.ghost else None,
        asks=asks,
    )


def _versions(view: View, now: Now) -> list[str]:
    """Which curves, probes and averages these are."""
    ghost = curves_of(view.ghost).events if view.ghost else 0
    curves = now.curves.events if now.curves else 0, ghost, now.status, _hint(now)
    maps = (str(int(found["step"])) if found and now.trained else "-" for found in now.maps)
    return [f"{crc32(repr(curves).encode()):x}", *maps]


def _hint(now: Now) -> str:
    """What stands in the place of curves that have no point yet."""
    if now.status is None or now.status == "unreadable":
        return "Press Train: the curves grow here."
    engine = jobs.engine_state()
    if now.status == "queued" and engine != "ready":
        return "The engine starts ..." if engine == "starting" else engine
    return "Waiting for its turn ..." if now.status == "queued" else "The first step comes ..."


def _awaits(view: View, now: Now) -> bool:
    """Whether something is about to be new that a person waits for."""
    run, status = view.run, now.status
    if run and status and status not in ENDED:
        begun = bool(now.curves and now.curves.last.get("step"))
        return not begun or run.awaited(status) is not None
    computed = now.arrays or now.problem or not view.choice
    return not computed and not jobs.engine_state().startswith("failed")


class _Turns:
    """When the pages may ask next, so that many do not take more from a training than a few."""

    def __init__(self) -> None:
        self._lock, self._next = threading.Lock(), 0.0

    def wait(self) -> float:
        """Seconds until the turn of who asks."""
        with self._lock:
            now = time.monotonic()
            self._next = max(self._next + APART, now + EVERY)
            return self._next - now


_turns = _Turns()


def _answer(request: Request) -> Response:
    """What is new: of the curves and of the maps; `have` says what the browser has.

    The body: 4 bytes header length, a JSON header, the parts, each as the component of its name
    is fed with it. The header: `state`, see there; `have` for the next question; `wait`, the
    milliseconds until it; names and sizes of the parts.
    """
    try:
        view = View.from_query(dict(request.query_params))
        now = look(view.run, view.choice)
    except (KeyError, ValueError):  # no address of ours
        return Response(status_code=404)
    versions, parts = _versions(view, now), {}
    had = (*request.query_params.get("have", "").split(), "", "", "")
    if versions[0] != had[0]:
        parts["live"] = _live(view, now, {})
    if now.arrays and view.stage in now.arrays and versions[1:] != [*had[1:3]]:
        averages = now.averages if versions[2] != had[2] else None
        about = now.model, now.dataset, now.arrays, averages, now.moment
        parts |= {k: m.packed(k) for k, m in pictures(*about, view.stage, view.one_scale).items()}
    header = {
        "have": " ".join(versions),
        "state": state(view.run, now),
        "wait": round(1_000 * (SOON if _awaits(view, now) else _turns.wait())),
        "parts": [(name, len(part)) for name, part in parts.items()],
    }
    text = json.dumps(header).encode()
    content = b"".join([len(text).to_bytes(4, "little"), text, *parts.values()])
    return Response(content, media_type="application/octet-stream")


ROUTE = Route("/feed", _answer)
