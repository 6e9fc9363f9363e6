"""Hypothesis strategies for specifications; import them with `from tests.strategies import ...`."""

from typing import get_args

from hypothesis import strategies as st

from ndmixer import ModelSpec, TrainSpec
from ndmixer.spec import Activation


def shapes(rank, largest=4):
    """Shapes of one rank; sizes are small and mostly unequal, so that a wrong axis shows."""
    return st.lists(st.integers(1, largest), min_size=rank, max_size=rank).map(tuple)


@st.composite
def model_specs(draw, max_rank=5, max_depth=3, max_hidden=5):
    """Every valid choice of a small model."""
    rank = draw(st.integers(1, max_rank))
    task = draw(st.sampled_from(("classifier", "autoencoder")))
    embedding = draw(st.booleans())
    in_shape = draw(shapes(rank))
    needs_block = task == "autoencoder" and not embedding
    return ModelSpec(
        task=task,
        in_shape=in_shape,
        repr_shape=draw(shapes(rank)) if embedding else in_shape,
        out_shape=draw(st.none() | shapes(rank)),
        depth=draw(st.integers(1 if needs_block else 0, max_depth)),
        hidden_size=draw(st.none() | st.integers(1, max_hidden)),
        gate=draw(st.booleans()),
        residual=draw(st.booleans()),
        activation=draw(st.sampled_from(get_args(Activation))),
        head=draw(st.sampled_from(("mix", "axis_concat"))) if task == "classifier" else "mix",
        num_classes=draw(st.integers(2, 6)),
        embedding=embedding,
    )


def train_specs():
    """Every valid training, up to the bounds; a dataset is named `auto` by nobody."""
    names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
    return st.builds(
        TrainSpec,
        dataset=names.filter(lambda name: name != "auto"),
        train_images=st.none() | st.integers(1, 10**9),
        batch_size=st.integers(1, 65_536),
        epochs=st.integers(1, 10_000),
        learning_rate=st.floats(0, 10, exclude_min=True),
        seed=st.integers(0, 2**31 - 1),
        target_accuracy=st.none() | st.floats(0, 1, exclude_min=True),
        max_seconds=st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
    )
