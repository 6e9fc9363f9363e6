"""The choices that the pages share: kept by the session, and carried in the address of each page.

A choice is a short text under its name, as in `?run=classifier&stage=block_2`. The session takes
it from the address at its begin and keeps it, also where it does not apply: a stage that this
model lacks is left out of the address, and is there again for a model that has it.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ndmixer.spec import MAX_RANK

_Option = TypeVar("_Option")

NAMES = (
    *("run", "runs", "ghost", "step", "stage", "part", "image", "class", "other"),
    *("metric", "pairs", "sort"),  # Classes
    *("method", "space", "mistakes"),  # Map
    *("walk", "changes", "shared"),  # Representations
    *("rows", "columns", "rest"),
    *(f"at_{axis}" for axis in range(1, MAX_RANK + 1)),
    "surgery",  # Weights
    *("order", "page", "to"),  # Reconstructions
    *("over", "left", "right"),  # Compare
)


def named(name: str) -> str:
    """What this session chose, at its begin what the address says; empty if neither says it."""
    read_address()
    return str(st.session_state.get(name, ""))


def choose(name: str, text: str) -> None:
    """Remembers a choice, and puts it in the address."""
    read_address()
    st.session_state[name] = text
    show(name, text)


def read_address() -> None:
    """Takes the choices of the address: once a session, and when the browser goes back to one."""
    state, query = st.session_state, st.query_params
    context = get_script_run_ctx(suppress_warning=True)
    back = context is not None and context.is_history_navigation
    if "address_read" not in state:
        state.address_read = True
    elif not back or not any(name in query for name in NAMES):
        return
    for name in NAMES:
        if query.get(name):
            state[name] = query[name]
        elif back:
            state.pop(name, None)


def carry() -> None:
    """Puts what was chosen on other pages in the address of this one, in one go."""
    read_address()
    state, now = st.session_state, st.query_params.to_dict()
    wanted = now | {name: state[name] for name in NAMES if state.get(name)}
    if wanted != now:
        st.query_params.from_dict(wanted)


def show(name: str, text: str) -> None:
    """Puts a choice in the address, where an empty one is left out; the session keeps its own."""
    if st.query_params.get(name, "") == text:
        return
    if text:
        st.query_params[name] = text
    else:
        del st.query_params[name]


def bind(
    name: str,
    options: Sequence[_Option],
    default: _Option,
    *,
    text: Callable[[_Option], str] | None = None,
    then: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """What binds a widget to a choice: `st.selectbox("Stage", all, **bind("stage", all, last))`.

    Args:
        name: Of the choice.
        options: What the widget offers, no None among them: that would show as a choice that
            can be taken away.
        default: The option in force as long as nothing was chosen that is among them.
        text: How an option is written in the address.
        then: Called after a person has chosen.

    Returns:
        Arguments of the widget, whose key is the name and `_choice`.
    """
    state, key, write = st.session_state, f"{name}_choice", text or _text
    said = named(name)
    found = _found(said, options, write) if said else []
    value = found[0] if found else default
    show(name, said if found else "")
    put(key, value)

    def take() -> None:
        choose(name, write(state[key]))
        if then:
            then()

    return {"key": key, "on_change": take}


def put(key: str, value: object) -> None:
    """Puts a value in the widget of this key, before it is drawn, unless it has it already."""
    state, context = st.session_state, get_script_run_ctx(suppress_warning=True)
    # The widget of another page under the same key is another one, and its value not this one's.
    here = context.page_script_hash if context else ""
    if state.get(f"{key}_page") != here or state.get(key) != value:
        state[key], state[f"{key}_page"] = value, here


def _found(said: str, options: Sequence[Any], write: Callable[[Any], str]) -> list[Any]:
    """The option that is written so, if there is one."""
    if isinstance(options, range):  # it may be long
        digits = said.rpartition("-")[2]
        number = int(digits) if digits.isdecimal() and len(digits) < 10 else -1
        return [number] if number in options and write(number) == said else []
    return [option for option in options if write(option) == said]


def _text(option: object) -> str:
    return str(option).lower() if isinstance(option, bool) else str(option)
