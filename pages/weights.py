"""What did the kernels learn, and which of them matter? Their maps, their talk, and cuts."""

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.accounting import Linear, Stage, accounting, walk
from ndmixer.app.explorer import Place, answer, choose_place, choose_run, draw, theme
from ndmixer.app.surgery import show_surgery
from ndmixer.figures import Kernel, kernel_maps

BARS = (
    "The bars are singular values: how strongly independent patterns are handed on. Few high ones "
    "mean that few pass."
)


def page(place: Place) -> None:
    """All figures of the place."""
    account = accounting(place.run.model_spec)
    stage = next(s for s in walk(account) if s.name == place.stage)
    found = answer(jobs.kernels(place.run, place.step, place.stage))
    if found is None:
        return
    if not found["finite"]:
        st.warning("These weights are not finite: the training diverged. Choose earlier ones.")
        return
    step = int(found["step"])
    when = "the last weights" if step < 0 else f"the weights after step {step:,}"
    name = stage.name.replace("_", " ")
    if stage.linears:
        numbers = sum(linear.parameters for linear in stage.linears)
        st.caption(f"At {name}, {when}: kernels and biases of {numbers:,} numbers.")
        kernels(stage, name, found)
    else:
        st.info("The input is the data: no kernel leads to it. Choose another stage.")
    show_surgery(place, found.get("gates"))


def kernels(stage: Stage, name: str, found: dict[str, np.ndarray]) -> None:
    """The kernels of a stage; of an MLP the talk of each axis in the same row."""
    rows: dict[int, list[Linear]] = {}
    for linear in stage.linears:
        rows.setdefault(linear.axis, []).append(linear)
    shown = [[_kernel(linear, found) for linear in row] for row in rows.values()]
    singular = [found[f"singular/{axis}"] for axis in rows]
    own = {key: found[key] for key in stage.weights}
    text = (
        "Row: an index of the axis before; column: one after; the thin row below is the bias. "
        "Look for stripes (an index that all hear, or that hears all) and for pale maps, which "
        "do little."
    )
    if len(shown[0]) == 1:
        st.markdown(f"**Kernels of {name}, and their singular values**")
        draw(kernel_maps(shown, theme(), singular=singular), "kernels", f"{text} {BARS}", own)
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**Kernels of {name}**")
        draw(kernel_maps(shown, theme()), "kernels", text, own)
    with right:
        st.markdown("**Talk between the indices of an axis: W₁ W₂**")
        text = (
            "The product of the two kernels: what each index (row) gives to each (column), with "
            "the activation between them left out. Look for a diagonal, an index that talks to "
            f"itself, or bands beside it, to its neighbours. {BARS}"
        )
        talk = [[Kernel(f"axis {axis} · W₁ W₂", found[f"talk/{axis}"])] for axis in rows]
        data = {key: value for key, value in found.items() if key.startswith(("talk", "singular"))}
        draw(kernel_maps(talk, theme(), singular=singular), "talk", text, data)


def _kernel(linear: Linear, found: dict[str, np.ndarray]) -> Kernel:
    parts = linear.name.replace("_", " ").split("/")
    title = " · ".join(parts[-2:] if "axis" in parts[-2:][0] else parts[-1:])
    shape = " × ".join(map(str, linear.kernel_shape))
    return Kernel(f"{title}, {shape}", found[f"{linear.name}/kernel"], found[f"{linear.name}/bias"])


st.markdown("#### What did the kernels learn, and which of them matter?")
side, main = st.columns([1, 3.2], gap="medium")
with side:
    run = choose_run()
    place = choose_place(run) if run else None
with main:
    if place:
        page(place)
