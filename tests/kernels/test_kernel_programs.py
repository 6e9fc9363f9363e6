"""The compiled steps against TensorFlow's, which are held against Keras elsewhere."""

import multiprocessing
import os
import platform
import subprocess
import sys
from math import prod

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ndmixer import PRESETS, ModelSpec, accounting, kernels, xla
from ndmixer.kernels import State, plan, step
from tests.strategies import model_specs

IMAGES = 40
SHAPES = {"in_shape": (5, 4), "repr_shape": (3, 7), "depth": 2, "num_classes": 3}
SPECS = {
    "classifier": ModelSpec(out_shape=(2, 3), **SHAPES),
    "axis_concat": ModelSpec(head="axis_concat", **SHAPES),
    "autoencoder": ModelSpec(task="autoencoder", **SHAPES),
    "no residual": ModelSpec(residual=False, **SHAPES),
    "no gate": ModelSpec(gate=False, hidden_size=9, **SHAPES),
    "neither": ModelSpec(residual=False, gate=False, **SHAPES),
    "no embedding": ModelSpec(embedding=False, **SHAPES | {"repr_shape": (5, 4)}),
    "no block": ModelSpec(**SHAPES | {"depth": 0}),
    "one axis": ModelSpec(in_shape=(20,), repr_shape=(9,), num_classes=3, depth=1),
    "four axes": ModelSpec(in_shape=(4, 1, 3, 2), repr_shape=(3, 5, 2, 6), num_classes=3, depth=1),
    "relu": ModelSpec(activation="relu", **SHAPES),
    "silu": ModelSpec(activation="silu", **SHAPES),
    "tanh": ModelSpec(activation="tanh", **SHAPES),
    "linear": ModelSpec(activation="linear", **SHAPES),
}


@pytest.fixture(scope="module", autouse=True)
def _uncompiled():
    """Spares XLA's time: its own result is TensorFlow's."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def state_of(spec, seed=0):
    """Weights, gates and biases too, that are not 0, and moments as after some steps."""
    generator = np.random.default_rng(seed)
    weights, mean, variance = generator.normal(0, 0.3, (3, accounting(spec).parameters))
    return State(*(v.astype(np.float32) for v in (weights, 1e-3 * mean, variance**2)))


def data_of(spec, seed=1):
    generator = np.random.default_rng(seed)
    images = generator.normal(size=(IMAGES, prod(spec.in_shape))).astype(np.float32)
    return images, generator.integers(0, spec.num_classes, IMAGES).astype(np.int32)


def steps_of(batch, count, seed=2):
    """Rows of some steps, of which the last has a batch that is not full."""
    generator = np.random.default_rng(seed)
    order = generator.integers(0, IMAGES, (count, batch)).astype(np.int32)
    order[-1, 1 + batch // 3 :] = -1
    return order


def assert_equal_steps(spec, batch=21, count=3, cores=2):
    images, labels = data_of(spec)
    rates = np.linspace(1e-2, 1e-3, count)
    order = steps_of(batch, count)
    states, totals = [], []
    for program in (xla.Program(spec, batch), kernels.Program(spec, batch, cores)):
        state = state_of(spec)
        totals.append(program.train(state, 7, rates, images, labels, order))
        states.append(state)
        totals.append(program.measure(state.weights, images, labels))
    for name, expected, found in zip(State._fields, *states, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, atol=3e-5, err_msg=name)
        found = kernels.split(spec, found)  # a small gradient is not lost beside a large one
        for weight, own in kernels.split(spec, expected).items():
            scale, said = np.abs(own).max() + 1e-6, f"{name} of {weight}"
            np.testing.assert_allclose(found[weight] / scale, own / scale, atol=2e-3, err_msg=said)
    for expected, found in zip(totals[:2], totals[2:], strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", SPECS)
def test_steps_are_those_of_tensorflow(name):
    assert_equal_steps(SPECS[name])


@pytest.mark.parametrize("name", ["classifier", "autoencoder"])
def test_steps_of_a_large_batch_are_those_of_tensorflow(name):
    assert_equal_steps(SPECS[name], batch=300)  # several groups a shard


@pytest.fixture
def small_parts(monkeypatch):
    """As if the cache held a column or two: what is done together is done in many parts."""
    monkeypatch.setattr(plan, "CACHED", 1)
    monkeypatch.setattr(plan, "COLUMNS_AT_LEAST", 2)
    plan.make_plan.cache_clear()
    yield
    plan.make_plan.cache_clear()


@pytest.mark.parametrize("name", SPECS)
def test_steps_in_many_parts_are_those_of_tensorflow(name, small_parts):
    assert_equal_steps(SPECS[name])


def test_wide_maps_of_more_blocks_need_no_memory_for_what_they_hand_on():
    wide = PRESETS["cifar10-classifier-deep"].model  # 128 units along an axis of 3
    few, many = (
        plan.make_plan(wide.model_copy(update={"depth": depth}), learning=True).floats
        for depth in (4, 8)
    )
    handed_on = 32 * 32 * 128 * step.LANES
    assert many - few < 4 * handed_on


@pytest.mark.parametrize("name", ["classifier", "classifier-3d", "cifar10-autoencoder"])
def test_steps_of_the_presets_are_those_of_tensorflow(name):
    spec = PRESETS[name].model
    images, labels = data_of(spec)
    order = steps_of(16, 1)
    state, other = state_of(spec), state_of(spec)
    kernels.Program(spec, 16, 2).train(state, 0, np.full(1, 1e-3), images, labels, order)
    xla.Program(spec, 16).train(other, 0, np.full(1, 1e-3), images, labels, order)
    scale = np.abs(other.mean).max()
    np.testing.assert_allclose(state.mean / scale, other.mean / scale, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(model_specs(), st.integers(1, 40))
def test_steps_of_any_model_are_those_of_tensorflow(spec, batch):
    assert_equal_steps(spec, batch, count=1)


@pytest.mark.parametrize("batch", [1, 8, 33, 64, 200])
def test_any_number_of_threads_takes_the_same_steps(batch):
    spec = SPECS["classifier"]
    images, labels = data_of(spec)
    order = steps_of(batch, 30)
    found = []
    for cores in (1, 2, 3, 8):
        state = state_of(spec)
        program = kernels.Program(spec, batch, cores)
        program.train(state, 0, np.full(30, 1e-3), images, labels, order)
        found.append(state.weights)
    for weights in found[1:]:
        np.testing.assert_array_equal(weights, found[0])


@pytest.mark.parametrize("factory", [xla.Program, lambda *given: kernels.Program(*given, 2)])
@pytest.mark.parametrize("culprit", [0, 3])
def test_the_first_step_without_a_finite_loss_is_told(factory, culprit):
    spec = SPECS["autoencoder"]
    images, labels = data_of(spec)
    images[culprit] = 1e25  # its square is no float32
    order = np.array([[7, 1], [2, 4], [5, -1], [6, culprit], [culprit, 8]], np.int32)
    totals = factory(spec, 2).train(state_of(spec), 10, np.full(5, 1e-3), images, labels, order)
    assert totals.diverged == 14


def test_numbers_too_small_are_0_within_a_call_alone():
    spec = SPECS["classifier"]
    images, labels = data_of(spec)
    program = kernels.Program(spec, 8, 2)
    program.train(state_of(spec), 0, np.full(3, 1e-3), images, labels, steps_of(8, 3))
    program.measure(state_of(spec).weights, images, labels)
    assert np.array([1e-30], np.float32)[0] * np.float32(1e-10) > 0


@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_prepared_serves_every_model_and_all_data(read_only):
    for spec in (SPECS["four axes"], SPECS["autoencoder"]):
        program = kernels.Program(spec, 8)
        program.prepare()
        images, labels = data_of(spec)
        images.flags.writeable = labels.flags.writeable = not read_only
        state = state_of(spec)
        program.train(state, 0, np.full(1, 1e-3), images, labels, steps_of(8, 1))
        program.measure(state.weights, images, labels)
        kernels.look(spec, kernels.split(spec, state.weights), images, ("input", "head"))
    for entry in (step.train, step.measure, step.look):
        assert len(entry.signatures) == 1


def work_in_a_child(queue):
    spec = SPECS["classifier"]
    images, labels = data_of(spec)
    kernels.Program(spec, 64, 2).measure(state_of(spec).weights, images, labels)
    queue.put("done")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_a_forked_process_has_threads_of_its_own():
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    spec = SPECS["classifier"]
    kernels.Program(spec, 64, 2).measure(state_of(spec).weights, *data_of(spec))
    child = context.Process(target=work_in_a_child, args=(queue,), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert queue.get() == "done"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="not such a processor")
def test_a_processor_with_narrower_vectors_takes_the_same_steps(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "presets"],
        env={
            **os.environ,
            "NUMBA_CPU_NAME": "generic",
            "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma",
            "NUMBA_CACHE_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
