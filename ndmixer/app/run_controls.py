"""What can be done with the run that is shown: pause, step, stop, reset, continue, its rate."""

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from ndmixer import jobs
from ndmixer.app.controls import RATES, Choice, can_take, differences, set_controls, too_long
from ndmixer.app.words import ENDED, plain
from ndmixer.runs import MORE_EPOCHS, Run, Status
from ndmixer.spec import ModelSpec, TrainSpec

BURST = 64  # steps of the shorter of the two steps
MAX_MORE = 1_000  # epochs that a run goes on for at once
PAUSE = 108  # pixels, of Pause and Resume alike: what stands beside them does not move
NAMED = 4  # differences at most


def train_button(choice: Choice, run: Run | None) -> None:
    """Draws Train and what it would mean for the run that is shown.

    Args:
        choice: What the controls say.
        run: The shown run.
    """
    pressed = st.button(
        "Train",
        type="primary",
        width="stretch",
        disabled=bool(choice.problem),
        key="train",
        icon=":material/play_arrow:",
    )
    if choice.problem and not choice.marked:
        st.error(choice.problem)
    elif choice.model and choice.model.cannot_learn:
        st.warning(choice.model.cannot_learn)
    if not (choice.model and choice.train):
        return
    if pressed:
        _begin(choice.model, choice.train)
    if run and run.status() != "unreadable":
        with st.container(key="difference", gap="xsmall"):
            _difference(differences((choice.model, choice.train), run), run)


def _difference(found: list[str], run: Run) -> None:
    """Says what Train leaves behind, before it does."""
    if not found:
        st.caption("The settings are those of the run that is shown. Train starts another.")
        return
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    st.caption(
        f"The run that is shown has other settings: {', '.join(found[:NAMED])}{more}. "
        "Train starts a new run and leaves the shown one as it is; it stays in Runs."
    )
    if can_take(run):
        st.button(
            "Take the run's settings",
            key="take",
            icon=":material/undo:",
            type="tertiary",
            on_click=lambda: set_controls(run.model_spec, run.train_spec),
        )


def run_controls(run: Run | None, status: Status | None, last: dict[str, Any]) -> None:
    """Draws the buttons of a run; each keeps its place, whatever becomes of the run.

    Args:
        run: The shown run, None where none is.
        status: Its status.
        last: Its newest measures.
    """
    active = run is not None and status not in ENDED
    awaited = run.awaited(status) if run and status else None
    with st.container(horizontal=True, gap="xsmall", key="run_controls"):
        _pause(run, status, awaited)
        _steps(run, status, active)
        _button(
            "Stop",
            "stop",
            active and awaited != "stop",
            "Ends the run, which keeps what it has learned and can be continued.",
            jobs.stop,
            run,
        )
        _reset(run, active)
        _learning_rate(run, status, last)
        _continue(run, status, last)
    if "control_problem" in st.session_state:
        st.error(plain(st.session_state.control_problem))


def _pause(run: Run | None, status: Status | None, awaited: str | None) -> None:
    """Pause or Resume: one button, one place."""
    if status == "paused":
        explained = "Goes on from the very step where it waits."
        _button("Resume", "play_arrow", awaited is None, explained, jobs.resume, run, width=PAUSE)
    else:
        explained = "Lets the run wait; others may train meanwhile."
        on = status == "running" and awaited is None
        _button("Pause", "pause", on, explained, jobs.pause, run, width=PAUSE)


def _steps(run: Run | None, status: Status | None, active: bool) -> None:
    """One burst of steps and one epoch: of the run that waits, else of a new one."""
    choice = st.session_state.get("choice")
    waits = run is not None and (status in ("paused", "queued") or run.asked() == "step")
    for label, steps, does in (
        (f"{BURST} steps", BURST, f"takes {BURST} optimizer steps and pauses"),
        ("1 epoch", None, "trains to the end of the epoch, measures the test set and pauses"),
    ):
        if active and run:
            explained = f"The run {does}." if waits else "Pause the run first."
            on = waits and run.asked() != "stop"
            _button(label, "skip_next", on, explained, jobs.step, run, steps)
        elif (
            st.button(
                label,
                key=f"begin-{label}",
                icon=":material/skip_next:",
                disabled=choice is None,
                help=f"Starts a new run of the settings, which {does}.",
            )
            and choice
        ):
            # Here and not in a callback: the settings of this very moment are drawn by now.
            model, train = choice
            _begin(model, train, lambda started: jobs.step(started, steps))  # noqa: B023


def _begin(
    model: ModelSpec, train: TrainSpec, then: Callable[[str], None] = lambda started: None
) -> None:
    st.session_state.pop("control_problem", None)
    started = st.session_state.run = jobs.submit(model, train)
    then(started)
    st.rerun()


def _reset(run: Run | None, active: bool) -> None:
    stops = "Stops the run and goes" if active else "Goes"
    if st.button(
        "Reset",
        key="reset",
        icon=":material/restart_alt:",
        disabled=run is None,
        help=f"{stops} back to the untrained model of the settings. The run is kept in Runs.",
    ):
        if run and active:
            _ask(jobs.stop, run.id)
        st.session_state.run = ""
        st.session_state.notice = "The run is kept in Runs; open it there to continue it."
        st.rerun()


def _learning_rate(run: Run | None, status: Status | None, last: dict[str, Any]) -> None:
    """The learning rate of this run, which counts from its next burst of steps."""
    if run is None or status == "unreadable":
        st.popover("Learning rate", key="rate", disabled=True)
        return
    state, asked = st.session_state, run.learning_rate()
    now = last.get("learning_rate", asked)
    label = f"Learning rate {now:g}" if now == asked else f"Learning rate → {asked:g}"
    # Not put into the slider by its key: one that is not open yet would not notice, and send
    # its first value when it opens. Another session's change makes another slider.
    if state.get("rate_shown") != (run.id, asked):
        state.rate_shown = run.id, asked
        state.rate_sliders = state.get("rate_sliders", 0) + 1
    key = f"rate-{state.rate_sliders}"
    with st.popover(label, key="rate"), st.container(width=280):
        st.select_slider(
            "Learning rate of this run",
            sorted({*RATES, asked}),
            asked,
            key=key,
            format_func=lambda rate: f"{rate:g}",
            on_change=lambda: _change_rate(run, state[key]),
        )
        falls = (
            " It falls from there along half a cosine, to 0 at the end."
            if run.train_spec.schedule == "cosine"
            else ""
        )
        st.caption(
            f"In force: {now:g}.{falls} A change counts from the next steps, without a new start. "
            "The next run has the learning rate of the settings."
        )


def _change_rate(run: Run, value: float) -> None:
    st.session_state.rate_shown = run.id, value
    _ask(jobs.set_learning_rate, run.id, value)


def _continue(run: Run | None, status: Status | None, last: dict[str, Any]) -> None:
    """More epochs for a run that has ended."""
    on = run is not None and not run.shipped and status in ENDED and status != "unreadable"
    if st.session_state.pop("continued", False):
        st.session_state["continue"] = False
    opened = st.popover(
        "Continue",
        key="continue",
        disabled=not on,
        on_change="rerun",
        help="More epochs for a run that has ended, from its last state.",
    )
    if not run or not on:
        return
    train = run.train_spec
    total = last.get("total_steps")  # an uploaded run may not tell
    done = int(last["step"]) * train.epochs // total if total else 0
    with opened:
        more = st.number_input(
            "More epochs",
            1,
            MAX_MORE,
            train.epochs - done if train.epochs > done else MORE_EPOCHS,
            key=f"more-{run.id}-{done}-{train.epochs}",
        )
        epochs = done + int(more or 1)
        longer = train.model_copy(update={"epochs": epochs})
        problem = too_long(run.model_spec, longer)
        if problem:
            st.error(problem)
        st.button(
            f"Continue to epoch {epochs:,}",
            type="primary",
            key="go_on",
            disabled=bool(problem),
            on_click=lambda: _go_on(run, epochs),
        )
        st.caption("In the same run, from its last state, as if it had never ended.")


def _go_on(run: Run, epochs: int) -> None:
    _ask(jobs.continue_run, run.id, epochs)
    st.session_state.continued = True


def _button(
    label: str,
    icon: str,
    on: bool,
    explained: str,
    action: Any,
    run: Run | None,
    *more: Any,
    width: int | Literal["content"] = "content",
) -> None:
    """A button that leaves a wish for whoever trains the run, before the page is drawn."""
    st.button(
        label,
        key=f"run-{label}",
        icon=f":material/{icon}:",
        disabled=not on,
        help=explained,
        width=width,
        on_click=lambda: _ask(action, run.id, *more) if run else None,
    )


def _ask(action: Callable[..., None], *arguments: Any) -> None:
    """Does what a button says; why it cannot be done is drawn below the buttons."""
    st.session_state.pop("control_problem", None)
    try:
        action(*arguments)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        st.session_state.control_problem = str(error)
