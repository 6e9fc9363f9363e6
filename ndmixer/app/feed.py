"""What a browser asks for by itself while a run trains: the curves and the maps, as bytes.

A fragment that runs several times a second makes React look through the whole page each time.
On a machine that trains on all its cores this takes a fifth of the training's speed; a request
whose answer goes straight to the canvases takes little. Only what Streamlit draws, the words
and the buttons, waits for a run of the fragment, and that is asked for when it has changed.
"""

import json
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ndmixer import jobs
from ndmixer.app import live
from ndmixer.app.forming import pictures
from ndmixer.app.read_runs import arrays_of, curves_of
from ndmixer.app.words import ENDED, describe
from ndmixer.runs import Run, Status, folder_changed, open_run


def feeds(run: Run | None) -> bool:
    """Whether there is something to ask for: the run may go on by itself."""
    return run is not None and run.status() not in ENDED


def address(run: Run, stage: str, ghost: Run | None, one_scale: bool) -> str:
    """Where the browser asks, below the app's own address.

    Args:
        run: The run that is shown.
        stage: The stage that is shown.
        ghost: The run that is laid under its curves.
        one_scale: Whether all stages have one scale of colours.
    """
    query = {"stage": stage, "ghost": ghost.id if ghost else "", "scale": int(one_scale)}
    return f"feed/{quote(run.id)}?{urlencode(query)}"


def state(run: Run, status: Status, rate: float | None) -> str:
    """All that Streamlit draws of a run while it trains; another one asks for a run of it.

    Args:
        run: The run that is shown.
        status: Its status.
        rate: The learning rate of its last steps.
    """
    files = [(run.folder / name).exists() for name in ("live.npz", "averages.npz")]
    others = folder_changed()
    return json.dumps(
        [describe(run, status), run.asked(), rate, run.learning_rate(), *files, others]
    )


def hint(status: Status | None) -> str:
    """What stands in the place of curves that have no point yet."""
    if status is None:
        return "Press Train: the curves grow here."
    engine = jobs.engine_state()
    if status == "queued" and engine != "ready":
        return "The engine starts ..." if engine == "starting" else engine
    return "Waiting for its turn ..." if status == "queued" else "The first step comes ..."


def curves_and_progress(
    run: Run, status: Status, stage: str, ghost: Run | None, one_scale: bool
) -> bytes:
    """What the live component is fed with."""
    ended, curves = status in ENDED, curves_of(run)
    return live.packed(
        curves,
        hint(status),
        task=run.model_spec.task,
        ended=ended,
        ghost=curves_of(ghost) if ghost else None,
        feed="" if ended else address(run, stage, ghost, one_scale),
        state=state(run, status, curves.last.get("learning_rate")),
        stage=stage,
        soon=run.awaited(status) is not None,
    )


def moment_of(step: int) -> str:
    """What the probes are, and when."""
    return f"ten test images at step {step:,}"


def _answer(request: Request) -> Response:
    """The curves, and the maps unless the browser has them: `have` says which.

    The body: 4 bytes header length, a JSON header of the names and sizes of the parts, the
    parts, each as the component of this name is fed with it.
    """
    query = request.query_params
    try:
        run = open_run(request.path_params["run"])
        status, model, dataset = run.status(), run.model_spec, run.train_spec.dataset
        ghost = open_run(query["ghost"]) if query.get("ghost") else None
        stage, one_scale = query["stage"], query.get("scale") == "1"
    except (KeyError, ValueError):  # deleted meanwhile, or no address of ours
        return Response(status_code=404)
    parts = {"live": curves_and_progress(run, status, stage, ghost, one_scale)}
    arrays, averages = arrays_of(run, ended=False)
    had = query.get("have", "").split()
    have = [str(int(found["step"])) for found in (arrays, averages) if found]
    if arrays and stage in arrays and have != had:
        moment = moment_of(int(arrays["step"]))
        news = averages if have[1:] != had[1:] else None
        maps = pictures(model, dataset, arrays, news, moment, stage, one_scale)
        parts |= {key: found.packed(key) for key, found in maps.items()}
    sizes = [(name, len(part)) for name, part in parts.items()]
    text = json.dumps({"have": " ".join(have), "parts": sizes}).encode()
    content = b"".join([len(text).to_bytes(4, "little"), text, *parts.values()])
    return Response(content, media_type="application/octet-stream")


ROUTE = Route("/feed/{run}", _answer)
