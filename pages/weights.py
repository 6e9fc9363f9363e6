"""What did the kernels learn, and which of them matter? Their maps, their talk, and cuts."""

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.accounting import Linear, Stage, accounting, walk
from ndmixer.app.explorer import Place, answer, choose_place, choose_run, draw, theme
from ndmixer.app.surgery import show_surgery
from ndmixer.figures import Kernel, kernel_maps, singular_value_bars


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
    """The kernels of a stage, and the talk of each axis beside its own."""
    rows: dict[int, list[Linear]] = {}
    for linear in stage.linears:
        rows.setdefault(linear.axis, []).append(linear)
    shown = [[_kernel(linear, found) for linear in row] for row in rows.values()]
    mlp = len(shown[0]) > 1
    left, right = st.columns([1.15, 1] if mlp else 2, gap="medium")
    with left:
        st.markdown(f"**Kernels of {name}**")
        text = (
            "Row: an index of the axis before; column: one after; the thin row below is the bias. "
            "Look for stripes (an index that all others hear, or that hears all) and for pale "
            "maps, which do little."
        )
        draw(kernel_maps(shown, theme()), "kernels", text, {n: found[n] for n in stage.weights})
    singular = [found[f"singular/{axis}"] for axis in rows]
    bars = singular_value_bars(singular, [f"axis {axis}" for axis in rows], theme())
    arrays = {key: value for key, value in found.items() if key.startswith("singular")}
    with right:
        if not mlp:
            st.markdown("**Singular values**")
            text = (
                "How many independent things each kernel hands on, and how strongly. Look for "
                "where the bars fall: few high ones mean that few patterns pass."
            )
            draw(bars, "singular", text, arrays)
            return
        st.markdown("**Talk between the indices: W₁ W₂, and its singular values**")
        talk = [[Kernel(f"axis {axis} · W₁ W₂", found[f"talk/{axis}"])] for axis in rows]
        maps, values = st.columns(2, gap="small")
        with maps:
            text = (
                "The product of the two kernels of an axis: what each index (row) gives to each "
                "(column). The activation between them is left out. Look for a diagonal, or bands "
                "beside it: an index that talks to itself, or to its neighbours."
            )
            products = {key: value for key, value in found.items() if key.startswith("talk")}
            draw(kernel_maps(talk, theme()), "talk", text, products)
        with values:
            text = (
                "How strongly the product hands on each of its independent patterns. Look for "
                "where the bars fall: few high ones mean that few patterns pass."
            )
            draw(bars, "singular", text, arrays)


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
