"""What the Representations page says of runs of every kind, without a browser and an engine."""

import base64
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from ndmixer import PRESETS, ModelSpec, TrainSpec, accounting, jobs, load_dataset, runs
from ndmixer.accounting import walk
from ndmixer.app.pad import SIDE
from ndmixer.app.picture_file import sample_from_file
from ndmixer.digits import like_mnist
from tests.app.pages import learned, open_page, said

opened = partial(open_page, "representations")
FOUR_AXES = ModelSpec(in_shape=(4, 7, 4, 7), repr_shape=(3, 4, 2, 5), depth=1)
ONE_AXIS = ModelSpec(in_shape=(784,), repr_shape=(20,), out_shape=(10,), depth=1)


@pytest.fixture
def made(answers, monkeypatch):
    """Makes a run with weights, and answers in place of the inspecting worker."""
    labels = np.arange(50) % 10
    logits = np.eye(10)[labels] * np.linspace(1, 9, 50)[:, None]
    logits[[7, 31]] = np.eye(10)[0] * 5  # two mistakes

    def make(model: ModelSpec, *, value: float = 1.0, dataset: str = "mnist") -> runs.Run:
        def one_image(run, step, image):
            random = np.random.default_rng(0)
            shapes = {s.name: s.shape for s in walk(accounting(model))}
            values = {
                name: value * random.normal(size=shape).astype(np.float32)
                for name, shape in shapes.items()
            }
            last = list(values.values())[-1]
            names = ["embed", *(s.name for s in accounting(model).stages if s.axes)]
            found = {"values": values, "exits": dict.fromkeys(names, last), "step": 7}
            return found | {"label": 3 if isinstance(image, tuple) else None}

        answers(one_image=one_image, outputs_of=lambda *_: {"labels": labels, "logits": logits})
        monkeypatch.setattr(jobs, "labels_of", lambda *_: labels)
        return learned(model, dataset=dataset)

    make.asked = answers.asked["one_image"]
    return make


def components(page: AppTest) -> int:
    return len(page.get("bidi_component"))


@pytest.mark.parametrize(
    ("model", "views", "words"),
    [
        (PRESETS["classifier"].model, 4, ["Test image 0 of class 3", "weights after step 7"]),
        (ModelSpec(depth=0), 4, ["If it stopped there"]),
        (ModelSpec(gate=False, residual=False, head="axis_concat"), 4, ["It says"]),
        (PRESETS["classifier-3d"].model, 4, ["laid out as 8 tiles of 8 × 8"]),
        (FOUR_AXES, 4, ["laid out as 12 tiles of 2 × 5", "index of axis 1 and axis 2"]),
        (ONE_AXIS, 4, ["have no rows and columns of their own"]),
        (PRESETS["autoencoder-small"].model, 4, ["It makes this of the image", "RMSE"]),
    ],
    ids=["2-D", "depth 0", "no gate", "3-D", "4-D", "1-D", "autoencoder"],
)
def test_every_kind_of_model_is_shown(made, model, views, words):
    page = opened(made(model))
    assert components(page) == views
    for part in words:
        assert part in said(page)
    for control in page.get("button_group"):
        if control.label in ("Maps show", "Colour scale"):
            control.set_value([True]) if isinstance(control.value, list) else control.set_value(
                True
            )
    page.run()
    assert not page.exception
    assert components(page) == views


def test_the_image_is_in_the_address_and_read_from_it(made):
    run = made(ModelSpec())
    page = opened(run, image="train-41")
    assert made.asked[-1] == (None, ("train", 41))
    page.number_input(key="image_index").set_value(5).run()
    assert made.asked[-1] == (None, ("train", 5))
    assert page.query_params["image"] == "train-5"
    page.button(key="image_next").click().run()
    assert page.query_params["image"] == "train-6"
    for wrong in ("test-10000", "moon-1", "test-x"):
        page = opened(run, image=wrong)
        assert "names no image of this data set" in said(page)
        assert page.query_params["image"] == "test-0"


def test_one_goes_through_mistakes_classes_and_doubts(made):
    page = opened(made(ModelSpec()))
    page.selectbox(key="walk_choice").select("mistakes").run()
    assert made.asked[-1][1] == ("test", 7)
    assert "1 of 2: mistakes only" in said(page)
    page.button(key="image_next").click().run()
    assert made.asked[-1][1] == ("test", 31)
    page.button(key="image_next").click().run()
    assert made.asked[-1][1] == ("test", 7)
    page.selectbox(key="walk_choice").select("confident").run()
    assert made.asked[-1][1] == ("test", 49)
    page.selectbox(key="walk_choice").select("doubtful").run()
    assert made.asked[-1][1] == ("test", 0)
    page.selectbox(key="class_choice").select(2)
    page.selectbox(key="walk_choice").select("all").run()
    assert made.asked[-1][1] == ("test", 2)
    page.button(key="image_previous").click().run()
    assert made.asked[-1][1] == ("test", 42)
    page.selectbox(key="walk_choice").select("mistakes").run()
    assert "There are none" in said(page)
    assert not page.exception


def test_axes_are_chosen_of_three_or_more(made):
    page = opened(made(FOUR_AXES))
    page.selectbox(key="rows_choice").select(3).run()
    page.selectbox(key="columns_choice").select(0)
    page.selectbox(key="rest_choice").select("mean").run()
    assert "Downwards runs axis 4, to the right axis 1; it is the mean over axis 2 and" in said(
        page
    )
    page.selectbox(key="rest_choice").select("index").run()
    page.slider(key="at_2_choice").set_value(3).run()
    assert "at index 3 of axis 2 and 0 of axis 3" in said(page)
    chosen = {"rows": "4", "columns": "1", "rest": "index", "at_2": "3"}
    assert {name: page.query_params[name] for name in chosen} == chosen
    page.selectbox(key="columns_choice").select(1).run()
    page.selectbox(key="rows_choice").select(1).run()  # the columns give way
    assert not page.exception
    again = opened(made(FOUR_AXES), **chosen)
    assert "at index 3 of axis 2 and 0 of axis 3" in said(again)


def test_what_is_drawn_is_what_the_model_is_given(made):
    page = opened(made(ModelSpec()))
    page.session_state["image_source"] = "Draw"
    page.run()
    assert "Draw a digit" in said(page)
    assert "image" not in page.query_params
    ink = np.zeros((SIDE, SIDE), np.uint8)
    ink[20:120, 60:75] = 255
    page.session_state["drawing"] = base64.b64encode(ink.tobytes()).decode()
    page.run()
    np.testing.assert_array_equal(made.asked[-1][1], like_mnist(ink))
    assert "Your drawing" in said(page)
    for wrong in ("no base64!", base64.b64encode(b"short").decode(), "%%%"):
        page.session_state["drawing"] = wrong
        page.run()
        assert not page.exception
        assert "Draw a digit" in said(page)


def as_file(array: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


def test_a_picture_file_becomes_a_sample():
    digit = load_dataset("mnist").x_test[0]
    grey = np.round(255 * digit).astype(np.uint8)
    np.testing.assert_array_equal(sample_from_file(as_file(grey), (28, 28), True), digit)
    photo = (255 - grey).repeat(30, axis=0).repeat(30, axis=1)
    found = sample_from_file(as_file(photo, "JPEG"), (28, 28), True)
    assert np.abs(found - digit).mean() < 0.05
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    found = sample_from_file(as_file(colours), (32, 32, 3), False)
    assert found.shape == (32, 32, 3)
    assert found.dtype == np.float32
    assert found[0, 0] == pytest.approx(colours[:2, :2].mean(axis=(0, 1)) / 255, abs=0.005)
    for content, message in (
        (b"nothing", "no readable PNG or JPEG"),
        (as_file(grey)[:60], "no readable PNG or JPEG"),
        (as_file(np.full((90, 90), 255, np.uint8)), "nothing stands out"),
    ):
        with pytest.raises(ValueError, match=message):
            sample_from_file(content, (28, 28), True)


def test_a_pad_is_offered_only_where_images_are_as_large(made, tmp_path):
    path = tmp_path / "own.npz"
    x, y = np.zeros((20, 6, 5), np.float32), np.arange(20) % 10
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    model = ModelSpec(in_shape=(6, 5), repr_shape=(4, 4), out_shape=(2, 2), depth=1)
    page = opened(made(model, dataset=str(path)), image="test-25")
    assert "28 × 28, and an image of this data set is 6 × 5" in said(page)
    assert made.asked[-1][1] == ("test", 0)


def test_what_is_missing_is_said(made):
    assert "No run yet" in said(opened())
    queued = runs.create(ModelSpec(), TrainSpec())
    assert "This run has no weights yet: it is queued" in said(opened(queued))
    assert "the training diverged" in said(opened(made(ModelSpec(), value=np.inf)))
