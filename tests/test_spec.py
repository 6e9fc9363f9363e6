import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ndmixer.spec import MAX_RANK, ModelSpec, TrainSpec, format_shape, parse_shape, problems
from tests.strategies import model_specs, train_specs

SPECS = model_specs() | train_specs()


def problems_of(make, *args, **kwargs):
    with pytest.raises(ValidationError) as caught:
        make(*args, **kwargs)
    return problems(caught.value)


@given(SPECS)
def test_json_round_trip(spec):
    text = spec.model_dump_json()
    assert type(spec).model_validate_json(text) == spec
    assert type(spec).model_validate(json.loads(text)) == spec


@given(SPECS)
def test_query_round_trip(spec):
    query = spec.to_query()
    assert list(query) == list(type(spec).model_fields)
    assert all(type(text) is str for text in query.values())
    again = type(spec).from_query(query)
    assert again == spec
    assert hash(again) == hash(spec)


def test_query_is_readable():
    assert ModelSpec(repr_shape=(8, 4), out_shape=(1, 8), gate=False).to_query() == {
        "task": "classifier",
        "in_shape": "28x28",
        "repr_shape": "8x4",
        "out_shape": "1x8",
        "depth": "4",
        "hidden_size": "auto",
        "gate": "off",
        "residual": "on",
        "activation": "gelu",
        "head": "mix",
        "num_classes": "10",
        "embedding": "on",
    }
    assert TrainSpec(learning_rate=0.003).to_query()["learning_rate"] == "0.003"


def test_models_and_trainings_share_no_name():
    assert not set(ModelSpec.model_fields) & set(TrainSpec.model_fields)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("28x28", (28, 28)),
        ("28 x 28", (28, 28)),
        ("28×28", (28, 28)),
        ("28, 28", (28, 28)),
        ("(28, 28)", (28, 28)),
        ("[4,7,4,7]", (4, 7, 4, 7)),
        ("(784,)", (784,)),
        (" 784 ", (784,)),
    ],
)
def test_shapes_are_read_as_people_write_them(text, shape):
    assert parse_shape(text) == shape


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, max_size=MAX_RANK).map(tuple))
def test_parse_shape_is_the_inverse_of_format_shape(shape):
    assert parse_shape(format_shape(shape)) == shape


@given(st.text(max_size=40) | st.text("0123456789x×,()[] -+._e٣²\ud800\0", max_size=80))
def test_any_text_is_a_shape_or_a_value_error(text):
    try:
        shape = parse_shape(text)
    except ValueError:
        return  # anything else fails the test
    assert 1 <= len(shape) <= MAX_RANK
    assert all(type(size) is int and 0 <= size < 10**9 for size in shape)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "()",
        "28y28",
        "-1x28",
        "2.5",
        "1e3",
        "٣",
        "²",
        "\uff11\uff12",
        "0x1F",
        "28;28",
        "None",
    ],
)
def test_other_text_is_no_shape(text):
    with pytest.raises(ValueError, match=r"^write a shape as whole numbers, such as 28x28\. Rec"):
        parse_shape(text)


@pytest.mark.parametrize("text", ["9" * 10, "9" * 5_000, "1" + "x1" * MAX_RANK])
def test_long_shapes_are_refused_in_few_words(text):
    with pytest.raises(ValueError, match="at most 25 axes of at most 65,536") as caught:
        parse_shape(text)
    assert len(str(caught.value)) < 200


def test_text_is_quoted_in_few_words():
    with pytest.raises(ValueError, match="write a shape") as caught:
        parse_shape("z" * 100_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("shape", [(28, 28), [28, 28], "28x28"])
def test_a_shape_may_be_a_tuple_a_list_or_text(shape):
    assert ModelSpec(in_shape=shape).in_shape == (28, 28)


AUTOENCODER = {"task": "autoencoder"}


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"task": "gan"}, "task", "should be 'classifier' or 'autoencoder'"),
        ({"in_shape": "28y28"}, "in_shape", "write a shape as whole numbers"),
        ({"in_shape": ()}, "in_shape", "needs 1 to 25 axes. Received: none"),
        ({"in_shape": (1,) * 26}, "in_shape", "needs 1 to 25 axes"),
        ({"in_shape": (0, 28)}, "in_shape", "greater than or equal to 1. Received: 0"),
        ({"in_shape": "0x28"}, "in_shape", "greater than or equal to 1. Received: 0"),
        ({"in_shape": (28, -1)}, "in_shape", "greater than or equal to 1. Received: -1"),
        ({"in_shape": (28, 65_537)}, "in_shape", "less than or equal to 65536"),
        ({"in_shape": (28, 2.5)}, "in_shape", "valid integer"),
        ({"in_shape": None}, "in_shape", "valid tuple. Received: None"),
        ({"repr_shape": (28,)}, "repr_shape", "needs 2 axes, as many as in_shape 28x28"),
        ({"repr_shape": ()}, "repr_shape", "needs 2 axes, as many as in_shape 28x28"),
        ({"in_shape": (1, 28, 28)}, "repr_shape", "needs 3 axes, as many as in_shape 1x28x28"),
        ({"out_shape": (1, 2, 3)}, "out_shape", "needs 2 axes, as many as in_shape 28x28"),
        ({"out_shape": (1, 0)}, "out_shape", "greater than or equal to 1"),
        ({"depth": -1}, "depth", "greater than or equal to 0"),
        ({"depth": 257}, "depth", "less than or equal to 256"),
        ({"depth": "many"}, "depth", "valid integer"),
        ({"depth": float("nan")}, "depth", "finite number. Received: nan"),
        ({"hidden_size": 0}, "hidden_size", "greater than or equal to 1"),
        ({"hidden_size": 65_537}, "hidden_size", "less than or equal to 65536"),
        ({"gate": "maybe"}, "gate", "valid boolean"),
        ({"residual": None}, "residual", "valid boolean"),
        ({"activation": "softmax"}, "activation", "'gelu', 'relu', 'silu', 'tanh' or 'linear'"),
        ({"head": "attention"}, "head", "should be 'mix' or 'axis_concat'"),
        ({**AUTOENCODER, "head": "axis_concat"}, "head", 'choose head="mix"'),
        ({"num_classes": 1}, "num_classes", "greater than or equal to 2"),
        ({"embedding": False, "repr_shape": (4, 7)}, "embedding", "choose 28x28 or embedding=True"),
        ({**AUTOENCODER, "embedding": False, "depth": 0}, "embedding", "has nothing to learn"),
        ({"blocks": 3}, "blocks", "not permitted. Received: 3"),
    ],
)
def test_invalid_models_are_refused_in_words_at_their_field(values, field, message):
    found = problems_of(ModelSpec, **values)
    assert list(found) == [field]
    assert message in found[field]
    assert re.search(r"Received: .+$", found[field])


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"dataset": ""}, "dataset", "at least 1 character"),
        ({"dataset": "x" * 4_097}, "dataset", "at most 4096 characters"),
        ({"dataset": None}, "dataset", "valid string"),
        ({"train_images": 0}, "train_images", "greater than or equal to 1"),
        ({"batch_size": 0}, "batch_size", "greater than or equal to 1"),
        ({"batch_size": 65_537}, "batch_size", "less than or equal to 65536"),
        ({"epochs": 0}, "epochs", "greater than or equal to 1"),
        ({"epochs": 10_001}, "epochs", "less than or equal to 10000"),
        ({"learning_rate": 0}, "learning_rate", "greater than 0"),
        ({"learning_rate": -1e-3}, "learning_rate", "greater than 0"),
        ({"learning_rate": 11}, "learning_rate", "less than or equal to 10"),
        ({"learning_rate": "nan"}, "learning_rate", "finite number"),
        ({"learning_rate": "1e400"}, "learning_rate", "finite number"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"seed": 2**31}, "seed", "less than 2147483648"),
        ({"target_accuracy": 0}, "target_accuracy", "greater than 0"),
        ({"target_accuracy": 1.01}, "target_accuracy", "less than or equal to 1"),
        ({"max_seconds": 0}, "max_seconds", "greater than 0"),
        ({"max_seconds": "inf"}, "max_seconds", "finite number"),
        ({"momentum": 0.9}, "momentum", "not permitted. Received: 0.9"),
    ],
)
def test_invalid_trainings_are_refused_in_words_at_their_field(values, field, message):
    found = problems_of(TrainSpec, **values)
    assert list(found) == [field]
    assert message in found[field]
    assert re.search(r"Received: .+$", found[field], re.DOTALL)


def test_all_fields_are_judged_at_once():
    found = problems_of(ModelSpec, in_shape="?", depth=-1, num_classes=1)
    assert list(found) == ["in_shape", "depth", "num_classes"]


@pytest.mark.parametrize(
    ("values", "out_shape"),
    [
        ({}, (4, 7)),
        ({"out_shape": (1, 28)}, (1, 28)),
        ({"task": "autoencoder"}, (28, 27)),
        ({"task": "autoencoder", "out_shape": (1, 2, 3)}, (28, 27)),
        ({"head": "axis_concat"}, None),
        ({"head": "axis_concat", "out_shape": (1, 28)}, None),
        ({"head": "axis_concat", "out_shape": (1, 2, 3)}, None),
    ],
)
def test_one_model_has_one_out_shape(values, out_shape):
    spec = ModelSpec(in_shape=(28, 27), repr_shape=(4, 7), **values)
    assert spec.out_shape == out_shape
    written_out = ModelSpec(**spec.model_dump())
    assert written_out == spec
    assert hash(written_out) == hash(spec)


@given(SPECS)
def test_specifications_are_frozen(spec):
    for name, value in spec:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(spec, name, value)


def test_other_names_in_a_query_are_passed_over():
    assert ModelSpec.from_query({"depth": "2", "page": "inside", "": "?"}) == ModelSpec(depth=2)
    assert TrainSpec.from_query({"depth": "2", "epochs": "3"}) == TrainSpec(epochs=3)


HOSTILE = st.sampled_from(
    [
        *("", "auto", "nan", "inf", "-inf", "1e400", "-1", "0", "1e-400", "1_000", "9" * 5_000),
        *(
            "٣",
            "\uff11\uff12",
            "²",
            "\ud800",
            "\0",
            "../../etc/passwd",
            "__class__",
            "None",
            "on",
            "0x10",
        ),
        *("65536x65536", "65536" + "x65536" * 24, "x".join(["1"] * 26), "1" * 400, "-1x28"),
    ]
)


@given(st.dictionaries(st.sampled_from([*ModelSpec.model_fields, "x"]), HOSTILE | st.text()))
@example({"depth": "9" * 5_000, "dataset": "\ud800"})
def test_a_hostile_address_is_refused_in_words_or_valid(query):
    for spec_class in (ModelSpec, TrainSpec):
        _valid_or_in_words(spec_class, query)


@given(st.dictionaries(st.sampled_from([*TrainSpec.model_fields, "x"]), HOSTILE | st.text()))
@example({"dataset": "\ud800"})
def test_a_hostile_training_is_refused_in_words_or_valid(query):
    _valid_or_in_words(TrainSpec, query)


def _valid_or_in_words(spec_class, query):
    try:
        spec = spec_class.from_query(query)
    except ValidationError as error:
        found = problems(error)
        assert set(found) <= set(spec_class.model_fields)
        assert found
        assert all(re.search(r"Received: ", message) for message in found.values())
    else:
        assert spec_class(**spec.model_dump()) == spec


@pytest.mark.parametrize(
    ("in_shape", "sample_shape"),
    [
        ((28, 28), (28, 28)),
        ((1, 28, 28), (28, 28)),
        ((4, 7, 4, 7), (28, 28)),
        ((784,), (28, 28)),
        ((32, 96), (32, 32, 3)),
    ],
)
def test_any_reshape_of_an_image_fits(in_shape, sample_shape):
    spec = ModelSpec(in_shape=in_shape, repr_shape=in_shape, num_classes=10)
    spec.check_data(sample_shape, 10)
    spec.check_data(sample_shape, 3)  # more logits than classes do no harm


def test_data_of_another_size_do_not_fit():
    with pytest.raises(
        ValueError,
        match=r"in_shape holds 784 numbers, an image of this data set 3,072; "
        r"choose any reshape of 32x32x3\. Received: in_shape=28x28$",
    ):
        ModelSpec().check_data((32, 32, 3), 10)


def test_more_classes_than_logits_do_not_fit():
    with pytest.raises(
        ValueError, match=r"has 11 classes; choose num_classes=11\. Received: num_classes=10$"
    ):
        ModelSpec().check_data((28, 28), 11)
    ModelSpec(task="autoencoder").check_data((28, 28), 11)


@pytest.mark.parametrize(
    ("gate", "residual", "depth", "learns"),
    [
        (True, True, 4, True),
        (False, True, 4, True),
        (False, False, 4, True),
        (True, False, 0, True),
        (True, False, 1, True),
        (True, False, 2, False),
        (True, False, 4, False),
    ],
)
def test_cannot_learn_says_why(gate, residual, depth, learns):
    reason = ModelSpec(gate=gate, residual=residual, depth=depth).cannot_learn
    assert reason is None if learns else "Turn the residual on or the gate off." in reason
