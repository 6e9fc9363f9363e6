"""Images, what an autoencoder makes of them, and of what lies between them."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app.choices import bind, choose
from ndmixer.app.choose_image import choose_index
from ndmixer.app.explorer import Place, answer, explain, readable_runs
from ndmixer.app.maps import Column, Maps, show
from ndmixer.figures import as_image
from ndmixer.reconstruction import Order

STEPS = 9  # of a walk, both ends among them
CELL = 76  # pixels


def offer_autoencoders() -> None:
    """Says that a classifier has no reconstructions, and what has."""
    st.info(
        "This run is a classifier: it names images and draws none. Reconstructions are what an "
        "autoencoder makes."
    )
    runs = {}
    for run in readable_runs().values():
        try:
            if run.model_spec.task == "autoencoder":
                run.weights_path()
                runs[run.id] = run.name
        except ValueError:  # without weights
            continue
    if not runs:
        st.caption("There is none yet: on the Train page choose an autoencoder, and press Train.")
        return
    st.selectbox(
        "Look at one of these",
        list(runs),
        index=None,
        placeholder="Choose an autoencoder",
        format_func=lambda name: runs[name],
        key="autoencoder",
        on_change=lambda: choose("run", st.session_state.autoencoder),
        width=420,
    )


def show_images(place: Place, found: Mapping[str, np.ndarray], order: Order) -> None:
    """Draws a page of images, their outputs and the differences, and the errors of all.

    Args:
        place: Where one looks.
        found: The answer of `jobs.reconstructions`.
        order: That of the images.
    """
    errors, indices, step = found["errors"], found["indices"], int(found["step"])
    when = "the last weights" if step < 0 else f"the weights after step {step:,}"
    which = "test" if place.part == "test" else "training"
    st.caption(f"With {when}, over {len(errors):,} {which} images.")
    with st.container(horizontal=True, key="errors"):
        total = float(np.sqrt(np.mean(errors**2)))
        help = "Root-mean-square error of all pixels of these images, whose range is 0 to 1."
        st.metric("RMSE of all", f"{total:.4f}", width=165, help=help)
        for name, value in zip(
            ("Best image", "Median image", "Worst image"),
            np.quantile(errors, (0, 0.5, 1)),
            strict=True,
        ):
            st.metric(name, f"{value:.4f}", width=165)
    named = {"best": "The best", "worst": "The worst", "random": "Some at random"}
    st.markdown(f"**{named.get(order, 'The images in order')}**")
    class_names = place.data.class_names
    titles = [class_names[label] for label in found["labels"]]
    numbers = [f"no. {i}" for i in indices]
    rows = {"input": found["inputs"], "output": found["outputs"]}
    with st.container(key="strips"):
        _strip(rows, titles, numbers, "images", f"Inputs and outputs of {len(indices)} images")
        columns = [
            Column(f"{error:.3f}", "", _picture(image)[None])
            for error, image in zip(
                errors[indices], found["outputs"] - found["inputs"], strict=True
            )
        ]
        label = "Output minus input of each image, its RMSE above it"
        show(Maps(columns, ["difference"], cell=CELL, wrap=True, label=label), "differences")
    text = (
        "Above, what goes in and what comes out. Below, the RMSE of each image, and its output "
        "minus its input: orange where too bright, blue where too dark. Look for strokes that are "
        f"lost, and for what is drawn where nothing was. {_colour_note(place)}"
    )
    explain("images", text, {**found}, {"image": range(len(errors)), "RMSE": errors})


def show_averages(place: Place) -> None:
    """Draws what the rest of the network makes of the class averages at a stage.

    Args:
        place: Where one looks; a stage that is not within a block.
    """
    name = place.stage.replace("_", " ")
    st.markdown(f"**The class averages at {name}, decoded**")
    images = place.part, place.count
    found = answer(jobs.decoded_averages(place.run, place.step, place.stage, *images))
    if found is None:
        return
    rows = {"mean image": found["inputs"], "decoded": found["decoded"]}
    names = list(place.data.class_names)
    _strip(rows, names, [""] * len(names), "averages", f"Averages of classes decoded from {name}")
    text = (
        f"Above, the mean of the images of each class; below, what the network after {name} draws "
        "from the mean of their representations there. Look for a decoded average that is sharper "
        "than the mean image: then the mean still stands for one image, not for a blur of many."
    )
    explain("averages", text, {**found})


def show_walk(place: Place) -> None:
    """Draws a walk between two images in the representation, beside their blend.

    Args:
        place: Where one looks; a stage that is not within a block.
    """
    name = place.stage.replace("_", " ")
    st.markdown(f"**A walk between two images at {name}**")
    with st.container(horizontal=True):
        first = choose_index("From image no.", place.part, place.count, width=160)
        last = place.count - 1
        to = bind("to", range(place.count), min(1, last))
        second = st.number_input("to image no.", 0, last, width=160, **to)
    walked = answer(
        jobs.walk(place.run, place.step, place.stage, place.part, (first, second), STEPS)
    )
    if walked is None:
        return
    shares = [f"{100 * i / (STEPS - 1):.0f} %" for i in range(STEPS)]
    rows = {"decoded": walked["decoded"], "pixel blend": walked["blended"]}
    a, b = (place.data.class_names[label] for label in walked["labels"])
    _strip(rows, shares, [""] * STEPS, "walk", f"A walk from {a} to {b}")
    text = (
        f"From {a} to {b} in equal steps: above through the representations at {name}, decoded; "
        "below through the pixels. Look for whether strokes move on the way, or only fade as in "
        "the blend: then halfway between two images means no more here than among the pixels."
    )
    explain("walk", text, {**walked})


def _strip(
    rows: Mapping[str, np.ndarray], titles: list[str], notes: list[str], key: str, label: str
) -> None:
    """Images in grey, a row for each name and a column for each title."""
    columns = [
        Column(title, note, np.stack([_picture(images[i]) for images in rows.values()]))
        for i, (title, note) in enumerate(zip(titles, notes, strict=True))
    ]
    show(Maps(columns, list(rows), scale="grey", cell=CELL, wrap=True, label=label), f"{key}-maps")


def _picture(image: np.ndarray) -> np.ndarray:
    """One matrix; of a picture in colour its red, green and blue parts side by side."""
    if image.ndim == 3 and image.shape[-1] == 3:
        return np.concatenate(np.moveaxis(image, -1, 0), axis=1)
    return as_image(image)


def _colour_note(place: Place) -> str:
    shape = place.data.sample_shape
    colour = len(shape) == 3 and shape[-1] == 3
    return "Red, green and blue stand side by side." if colour else ""
