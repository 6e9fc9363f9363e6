"""What the views of the Train page show: the run, the stage and the ghost."""

import streamlit as st

from ndmixer.accounting import accounting, last_block
from ndmixer.app.choices import NAMES, choose, named, read_address
from ndmixer.app.live import SCORES, score_text
from ndmixer.app.run_table import last_test
from ndmixer.app.words import ENDED
from ndmixer.runs import Run, folder_changed, list_runs, open_run, shipped_models
from ndmixer.spec import ModelSpec

MOST_GHOSTS = 50


def address(model: ModelSpec) -> dict[str, str]:
    """The part of the address that is not in the controls.

    Args:
        model: What the controls say; a stage that it has not is left out.
    """
    found = {name: named(name) for name in NAMES}
    if not _exists(found["ghost"]):
        found["ghost"] = ""
    if found["stage"] != chosen_stage(model):
        found["stage"] = ""
    return {name: value for name, value in found.items() if value}


def _exists(name: str | None) -> bool:
    try:
        return bool(name and open_run(name))
    except (KeyError, ValueError):  # deleted meanwhile, or a link from elsewhere
        return False


def selected_run() -> Run | None:
    """The run of this session: chosen here, named in the address, or found in progress.

    It is looked for once: a page that was reset stays as its user left it, whatever others
    train meanwhile.
    """
    state = st.session_state
    read_address()
    if "run" not in state:
        active = (run.id for run in list_runs() if run.status() not in ENDED)
        state.run = next(active, "")
    if not state.run:
        return None
    try:
        return open_run(state.run)
    except (KeyError, ValueError):
        # Deleted meanwhile, or a link from elsewhere: the page goes on without it.
        state.run = ""
        return None


def chosen_stage(model: ModelSpec) -> str:
    """The stage that all views show: the one chosen, if the model has it, else the last block."""
    name = named("stage")
    names = {stage.name for stage in accounting(model).stages}
    return name if name in names else last_block(model)


def ghost_of(run: Run, ended: bool) -> Run | None:
    """Draws the choice of a run to compare with; the one that is chosen.

    Args:
        run: The run that is shown.
        ended: Whether it will not go on by itself.
    """
    titles = _ghosts(run, ended)
    if not titles:
        return None
    ids, now = ["", *titles], named("ghost")
    # The choice is told as the default, not put into the state of the widget: a browser that
    # gets the next update first would never see it, and answer that nothing is chosen.
    name = st.selectbox(
        "Compare with",
        ids,
        index=ids.index(now) if now in ids else 0,
        format_func=lambda name: titles.get(name, "no other run"),
        key="ghost_choice",
        width=340,
        on_change=_choose_ghost,
    )
    return open_run(name) if name and _exists(name) else None


def _choose_ghost() -> None:
    choose("ghost", st.session_state.ghost_choice or "")


def _ghosts(run: Run, ended: bool) -> dict[str, str]:
    """Ids and titles of the runs of the same task; looked up again when there are others."""
    version = (run.id, folder_changed(), ended)
    kept = st.session_state.get("ghosts")
    if kept is None or kept[0] != version:
        task = run.model_spec.task
        titles: dict[str, str] = {}
        for other in [*list_runs(), *shipped_models()]:
            if len(titles) == MOST_GHOSTS:
                break
            try:
                same = other.id != run.id and other.model_spec.task == task
            except ValueError:
                continue
            test = last_test(other) if same else {}
            if test:
                score = SCORES[task]
                name = other.name if len(other.name) < 48 else f"{other.name[:46]} …"
                titles[other.id] = f"{name} · {score_text(test.get(f'val_{score}'), score)}"
        kept = st.session_state["ghosts"] = version, titles
    return kept[1]
