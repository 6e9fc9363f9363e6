from math import prod

import keras
import numpy as np
import pytest
from hypothesis import given, settings

from ndmixer import ModelSpec, accounting, build_model, stages
from ndmixer.accounting import last_block, walk
from tests.strategies import model_specs


@settings(max_examples=30, deadline=None)
@given(model_specs())
def test_accounting_is_that_of_the_built_model(spec):
    account, model = accounting(spec), build_model(spec)

    assert [(w.path, tuple(w.shape)) for w in model.weights] == list(account.weights.items())
    assert account.parameters == model.count_params()
    for stage in account.stages:
        assert (None, *stage.shape) == tuple(model.get_layer(stage.name).output.shape)
        weights = [] if stage.name == "input" else model.get_layer(stage.name).weights
        assert [w.path for w in weights] == list(stage.weights)
        assert stage.parameters == sum(prod(w.shape) for w in weights)
    assert account.stages[-1].shape == model.output_shape[1:]

    images = np.ones((2, *spec.in_shape), "float32")
    outputs = [model.get_layer(stage.name).output for stage in account.stages]
    for stage, value in zip(account.stages, keras.Model(model.input, outputs)(images), strict=True):
        assert tuple(value.shape) == (2, *stage.shape)


@settings(deadline=None)
@given(model_specs())
def test_equations_give_shapes_and_work(spec):
    account = accounting(spec)
    work = 0
    for before, stage in zip(account.stages, account.stages[1:], strict=False):
        given_shape = (prod(before.shape),) if stage.name == "logits" else before.shape
        stage_work, shapes, chained = 0, [], stage.name != "head" or spec.head == "mix"
        assert len(stage.equations) == len(stage.linears)
        for linear, equation in zip(stage.linears, stage.equations, strict=True):
            x = np.zeros((2, *given_shape), "float32")
            kernel = np.zeros(linear.kernel_shape, "float32")
            y = np.einsum(equation, x, kernel)
            assert linear.in_shape == given_shape
            assert y.shape[1:] == linear.shape
            shapes.append(y.shape[1:])
            operands = equation.split("->")[0].split(",")
            sizes = dict(zip(operands[0] + operands[1], x.shape + kernel.shape, strict=True))
            stage_work += prod(sizes.values()) // 2  # every index once, for one of two images
            if chained:
                given_shape = y.shape[1:]
        if chained:
            assert given_shape == stage.shape
        else:
            assert stage.shape == (sum(map(prod, shapes)),)
        assert stage.multiply_adds == stage_work
        work += stage_work
    assert account.multiply_adds == work
    assert account.flops == 2 * work


@given(model_specs())
def test_axes_of_a_block_share_out_its_maps(spec):
    for stage in accounting(spec).stages:
        if not stage.name.startswith("block_"):
            assert stage.axes == ()
            continue
        names = [f"{stage.name}/axis_{axis}" for axis in range(1, len(stage.shape) + 1)]
        assert [axis.name for axis in stage.axes] == names
        assert tuple(linear for axis in stage.axes for linear in axis.linears) == stage.linears
        assert {axis.shape for axis in stage.axes} == {stage.shape}
        assert stage.gate == (f"{stage.name}/mixer/gate/value" if spec.gate else None)


@given(model_specs())
def test_only_the_first_of_two_maps_is_followed_by_the_activation(spec):
    for stage in walk(accounting(spec)):
        for linear in stage.linears:
            inside = linear.name.endswith("dense_1")
            assert linear.activation == (spec.activation if inside else None)


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (
            ModelSpec(depth=2),
            "input embed block_0/axis_1 block_0/axis_2 block_0 "
            "block_1/axis_1 block_1/axis_2 block_1 head logits",
        ),
        (ModelSpec(depth=0), "input embed head logits"),
        (ModelSpec(depth=0, embedding=False, head="axis_concat"), "input head logits"),
        (
            ModelSpec(task="autoencoder", in_shape=(784,), repr_shape=(9,), depth=1),
            "input embed block_0/axis_1 block_0 head",
        ),
        (
            ModelSpec(task="autoencoder", in_shape=(7,), repr_shape=(7,), depth=1, embedding=False),
            "input block_0/axis_1 block_0",
        ),
    ],
)
def test_stages_go_from_input_to_output(spec, names):
    assert stages(spec) == tuple(names.split())


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({}, "block_3"),
        ({"depth": 0}, "embed"),
        ({"depth": 0, "embedding": False}, "input"),
        ({"depth": 2, "task": "autoencoder", "embedding": False}, "block_1"),
    ],
)
def test_last_block_is_what_the_head_reads(choice, name):
    assert last_block(ModelSpec(**choice)) == name


def test_a_classifier_by_hand():
    spec = ModelSpec(
        in_shape=(5, 3), repr_shape=(4, 2), out_shape=(1, 6), depth=1, hidden_size=7, num_classes=9
    )
    account = accounting(spec)
    assert account.weights == {
        "embed/axis_1/kernel": (5, 4),
        "embed/axis_1/bias": (4,),
        "embed/axis_2/kernel": (3, 2),
        "embed/axis_2/bias": (2,),
        "block_0/mixer/axis_1/dense_1/kernel": (4, 7),
        "block_0/mixer/axis_1/dense_1/bias": (7,),
        "block_0/mixer/axis_1/dense_2/kernel": (7, 4),
        "block_0/mixer/axis_1/dense_2/bias": (4,),
        "block_0/mixer/axis_2/dense_1/kernel": (2, 7),
        "block_0/mixer/axis_2/dense_1/bias": (7,),
        "block_0/mixer/axis_2/dense_2/kernel": (7, 2),
        "block_0/mixer/axis_2/dense_2/bias": (2,),
        "block_0/mixer/gate/value": (),
        "head/axis_1/kernel": (4, 1),
        "head/axis_1/bias": (1,),
        "head/axis_2/kernel": (2, 6),
        "head/axis_2/bias": (6,),
        "logits/kernel": (6, 9),
        "logits/bias": (9,),
    }
    by_stage = {stage.name: (stage.parameters, stage.multiply_adds) for stage in account.stages}
    assert by_stage == {
        "input": (0, 0),
        "embed": (5 * 4 + 4 + 3 * 2 + 2, 3 * 5 * 4 + 4 * 3 * 2),
        "block_0": (67 + 37 + 1, 2 * 2 * 4 * 7 + 2 * 4 * 2 * 7),
        "head": (4 + 1 + 12 + 6, 2 * 4 + 2 * 6),
        "logits": (54 + 9, 54),
    }
    assert [stage.equations for stage in account.stages] == [
        (),
        ("abc,bd->adc", "abc,cd->abd"),
        ("abc,bd->adc", "abc,bd->adc", "abc,cd->abd", "abc,cd->abd"),
        ("abc,bd->adc", "abc,cd->abd"),
        ("ab,bc->ac",),
    ]


def test_twenty_five_axes():
    shape = (2, *(1,) * 23, 3)
    account = accounting(ModelSpec(in_shape=shape, repr_shape=shape, depth=1))
    assert account.stages[1].equations[-1] == (
        "abcdefghijklmnopqrstuvwxyz,zA->abcdefghijklmnopqrstuvwxyA"
    )
    assert account.stages[-2].shape == shape


def test_the_largest_model_is_counted_at_once():
    shape = (65_536,) * 25
    account = accounting(ModelSpec(in_shape=shape, repr_shape=shape, depth=256, hidden_size=65_536))
    block = 25 * (2 * 65_536**2 + 2 * 65_536) + 1
    assert account.stages[2].parameters == block
    assert account.parameters > 256 * block
