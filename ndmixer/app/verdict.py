"""What a model answers to one image, and what it would answer if it stopped earlier."""

import numpy as np
import streamlit as st

from ndmixer.app.bars import Bar, percent, show_bars
from ndmixer.app.downloads import matrix_table
from ndmixer.app.explorer import Place, explain
from ndmixer.app.maps import Column, Maps, magnitude, show
from ndmixer.app.stage_maps import spoken
from ndmixer.app.words import plain
from ndmixer.figures import as_image
from ndmixer.images import softmax
from ndmixer.jobs import OneImage

MOST_CLASSES = 12  # in the list; of more, the likeliest


def show_verdict(place: Place, found: OneImage) -> None:
    """Draws the class probabilities; of an autoencoder its reconstruction.

    Args:
        place: Where one looks.
        found: The answer of `jobs.one_image`.
    """
    if place.run.model_spec.task == "autoencoder":
        _reconstruction(found)
        return
    names = place.named()
    shares = softmax(found["values"]["logits"].reshape(-1))
    named, label = int(shares.argmax()), found["label"]
    told = f"**It says {plain(names[named])}** with {percent(shares[named])}"
    if label is not None:
        wrong = f":material/close: wrong, it is {plain(names[label])}"
        told += f" · {':material/check: right' if named == label else wrong}"
    st.markdown(told)
    order = list(range(len(names)))
    if len(order) > MOST_CLASSES:
        order = sorted(order, key=lambda c: -shares[c])[:MOST_CLASSES]
    notes = {label: "true"} if label is not None else {}
    notes[named] = "named, true" if named == label else "named"
    bars = [Bar(names[c], notes.get(c, ""), float(shares[c]), c == named) for c in order]
    show_bars(bars, ("class", "", "probability"), key="classes", label="Class probabilities")

    st.markdown("**If it stopped there**")
    exits = {name: softmax(logits.reshape(-1)) for name, logits in found["exits"].items()}
    bars = []
    for number, (name, each) in enumerate(exits.items(), start=1):
        best = int(each.argmax())
        share = float(each[best])
        bars.append(Bar(f"after {spoken(name)}", names[best], share, number == len(exits)))
    heads = ("the model", "says", "probability")
    show_bars(bars, heads, key="exits", label="The class if the model stopped after each block")
    text = (
        "The head, trained for what the last block returns, reads what is there earlier. Look for "
        "the block after which the answer stays."
    )
    table = matrix_table("after", list(exits), names, np.stack(list(exits.values())))
    explain("probabilities", text, table=table)


def _reconstruction(found: OneImage) -> None:
    given = found["values"]["input"]
    made = list(found["values"].values())[-1]
    error = made - given
    st.markdown(f"**It makes this of the image**, with an RMSE of {_rmse(error):.4f}")
    scale = max(magnitude(given), magnitude(made))
    pictures = {"made": (made, scale), "made − given": (error, None)}
    columns = [Column(name, "", _flat(a), top) for name, (a, top) in pictures.items()]
    label = "Heat maps: the reconstruction and its error"
    show(Maps(columns, [""], scale="own", cell=150, label=label), "made")
    st.markdown("**If it stopped there**")
    exits = found["exits"]
    errors = [_rmse(array - given) for array in exits.values()]
    columns = [
        Column(spoken(name), f"RMSE {rmse:.3f}", _flat(array), scale)
        for (name, array), rmse in zip(exits.items(), errors, strict=True)
    ]
    label = "Heat maps: the reconstruction if the model stopped after each block"
    show(Maps(columns, [""], cell=84, flow=True, label=label), "exit_maps")
    text = (
        "The head, trained for what the last block returns, reads what is there earlier; below "
        "each name its RMSE. Look for the block after which the image is there."
    )
    explain("errors", text, table={"after": list(exits), "RMSE": errors})


def _rmse(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


def _flat(tensor: np.ndarray) -> np.ndarray:
    return as_image(tensor)[None]
