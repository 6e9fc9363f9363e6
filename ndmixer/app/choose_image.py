"""The choice of one image: from the data set, drawn, or uploaded."""

import random
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app import PAGES
from ndmixer.app.choices import bind, choose, named, show
from ndmixer.app.explorer import Place, answer
from ndmixer.app.pad import drawing_pad
from ndmixer.app.picture_file import sample_from_file, takes_pictures
from ndmixer.app.words import plain
from ndmixer.digits import SIZE, like_mnist
from ndmixer.images import (
    WALKS,
    Part,
    Walk,
    image_name,
    images_in,
    listed,
    named_image,
    neighbours,
    softmax,
)

SOURCES = ("From the data", "Draw", "Upload")
WALKED = 10_000  # images at most, the first ones, of which all but the plain walk choose
UPLOAD_MB = 10
ANY = -1  # in place of a class; None would show as a choice that can be taken away
WALK_NAMES: dict[Walk, str] = {
    "all": "all images",
    "mistakes": "mistakes only",
    "confident": "most confident first",
    "doubtful": "least confident first",
}


@dataclass(frozen=True)
class Chosen:
    """The image that is looked at.

    Attributes:
        image: Part and index in the data set; or its pixels, of the sample shape.
        name: What it is called on the page.
    """

    image: tuple[Part, int] | np.ndarray
    name: str


def choose_image(place: Place) -> Chosen | None:
    """Draws the choice; None says on the page what is missing."""
    shape = place.data.sample_shape
    sources = [SOURCES[0]]
    sources += [SOURCES[1]] if shape == (SIZE, SIZE) else []
    sources += [SOURCES[2]] if takes_pictures(shape) else []
    state = st.session_state
    if state.get("image_source") not in sources:
        state.image_source = sources[0]
    source = st.segmented_control(
        "Image",
        sources,
        key="image_source",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
    )
    if len(sources) < len(SOURCES):
        missing = " and ".join(name.lower() for name in SOURCES[1:] if name not in sources)
        sizes = " × ".join(map(str, shape))
        st.caption(
            f"To {missing} an image, the data must be of another shape: one drawn is "
            f"{SIZE} × {SIZE}, and an image of this data set is {sizes}."
        )
    if source == SOURCES[0]:
        return _from_data(place)
    show("image", "")  # the address cannot hold it
    return _drawn() if source == SOURCES[1] else _uploaded(place)


def choose_index(label: str, part: Part, count: int, **more: Any) -> int:
    """Draws the choice of one of the first images of a part, which is the image of all pages.

    Args:
        label: Of the box.
        part: Of the data set. If the chosen image is in another one, the first image is shown.
        count: How many images there are to choose from.
        more: Other arguments of `st.number_input`.
    """
    bound = bind("image", range(count), 0, text=partial(image_name, part))
    return st.number_input(label, 0, count - 1, **bound, **more)


def open_stages(part: Part, index: int) -> None:
    """Goes to the page that shows this image of the data set at every stage."""
    choose("image", image_name(part, index))
    st.session_state.image_source = SOURCES[0]
    st.switch_page(PAGES / "representations.py")


def _drawn() -> Chosen | None:
    ink = drawing_pad()
    if ink is None:
        st.info("Draw a digit. It is cropped, scaled and centred as the digits of MNIST were.")
        return None
    return Chosen(like_mnist(ink), "Your drawing")


def _uploaded(place: Place) -> Chosen | None:
    shape, digit = place.data.sample_shape, place.data.name == "mnist"
    file = st.file_uploader(
        "A PNG or JPEG of one digit" if digit else "A PNG or JPEG",
        type=["png", "jpg", "jpeg"],
        max_upload_size=UPLOAD_MB,
        key="image_file",
        help=f"One of {shape[1]} × {shape[0]} pixels is taken as it is. Any other is "
        + ("prepared as MNIST was." if digit else "cut to shape and made smaller."),
    )
    if file is None:
        return None
    try:
        return Chosen(sample_from_file(file.getvalue(), shape, digit), file.name)
    except ValueError as error:
        st.error(plain(str(error)[:1].upper() + str(error)[1:]), icon=":material/error:")
        return None


def _from_data(place: Place) -> Chosen | None:
    state, data = st.session_state, place.data
    _take_named(place)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        part: Part = st.selectbox(
            "From",
            ["test", "train"],
            format_func=lambda p: "test images" if p == "test" else "training images",
            key="image_part",
            on_change=_begin_again,
            persist_state="session",
            width=150,
        )
        walks = WALKS if place.run.model_spec.task == "classifier" else WALKS[:1]
        walk: Walk = st.selectbox(
            "Go through",
            walks,
            format_func=lambda w: WALK_NAMES[w],
            width=185,
            help=None if len(walks) > 1 else "An autoencoder names no class.",
            **bind("walk", walks, walks[0], then=_begin_again),
        )
        classes = [ANY, *range(data.num_classes)]
        chosen = st.selectbox(
            "Class",
            classes,
            format_func=lambda c: "any" if c == ANY else data.class_names[c],
            width=110,
            **bind(
                "class",
                classes,
                ANY,
                text=lambda c: "" if c == ANY else str(c),
                then=_begin_again,
            ),
        )
        label = None if chosen == ANY else chosen
    indices = _walk(place, part, walk, label)
    if indices is None:
        return None
    if state.pop("image_again", False) and len(indices):
        state.image_index = int(indices[0])
    total = images_in(data, part)
    with row:
        index = st.number_input(
            "Index", 0, total - 1, key="image_index", persist_state="session", width=130
        )
        if len(indices):
            before, after, at = neighbours(indices, index, walk in ("all", "mistakes"))
            other = int(indices[random.randrange(len(indices))])
            for name, icon, target in (
                ("Previous", ":material/chevron_left:", before),
                ("Next", ":material/chevron_right:", after),
                ("Random", ":material/casino:", other),
            ):
                key = f"image_{name.lower()}"
                st.button(name, key=key, icon=icon, on_click=_go, args=(target,))
    what = "images" if walk == "all" else WALK_NAMES[walk]
    some = f" of class {data.class_names[label]}" if label is not None else ""
    among = f" of the first {WALKED:,}" if total > WALKED and (walk != "all" or some) else ""
    if not len(indices):
        st.info(f"There are none: {what}{some}{among}. Choose another class or all images.")
    elif at >= 0 and (walk != "all" or some):
        st.caption(f"{at + 1:,} of {len(indices):,}: {what}{some}{among}.")
    choose("image", image_name(part, index))
    state.image_shown = named("image")
    return Chosen((part, index), f"{'Test' if part == 'test' else 'Training'} image {index:,}")


def _take_named(place: Place) -> None:
    """Takes the image that the address or another page names; else the first one."""
    state, asked = st.session_state, named("image")
    if "image_index" not in state or asked != state.get("image_shown"):
        found = named_image(asked, place.data)
        state.image_part, state.image_index = found or ("test", 0)
        if asked and not found:
            st.info("The address names no image of this data set; this is the first one.")
    if state.image_index is None or state.image_index >= images_in(place.data, state.image_part):
        state.image_index = 0


def _walk(place: Place, part: Part, walk: Walk, label: int | None) -> np.ndarray | None:
    """The images in the order of the walk; None says why not."""
    total = images_in(place.data, part)
    if walk == "all" and label is None:
        return np.arange(total)
    count, dataset = min(total, WALKED), place.run.train_spec.dataset
    if walk == "all":
        labels = answer(lambda: jobs.labels_of(dataset, part, count))
        return None if labels is None else listed(labels, walk, label)
    found = answer(jobs.outputs_of(place.run, place.step, part, count))
    if found is None:
        return None
    return listed(found["labels"], walk, label, softmax(found["logits"]))


def _begin_again() -> None:
    st.session_state.image_again = True


def _go(index: int) -> None:
    st.session_state.image_index = index
