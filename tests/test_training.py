import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from ndmixer import PRESETS, ModelSpec, TrainSpec, build_model, kernels, load_dataset, train, xla
from ndmixer.datasets import Dataset, make_dataset
from ndmixer.training import Trainer, TrainingDiverged

SMALL = {"in_shape": (5, 4), "repr_shape": (3, 4), "depth": 1, "num_classes": 3}
CLASSIFIER = ModelSpec(out_shape=(2, 3), **SMALL)
AXIS_CONCAT = ModelSpec(head="axis_concat", activation="tanh", hidden_size=6, **SMALL)
AUTOENCODER = ModelSpec(task="autoencoder", **SMALL)


def noise(images=50, seed=0):
    """Images of three classes that can be told apart, more in the test set than one call takes."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(3, 5, 4))

    def draw(count):
        y = np.arange(count) % 3
        return (centres[y] + generator.normal(size=(count, 5, 4))).astype("float32"), y

    return make_dataset("noise", *draw(images), *draw(1_203))


def batches(trainer, data, epochs):
    """The images of every step, in the order in which the trainer takes them."""
    for epoch in range(epochs):
        for row in trainer._order(epoch):
            chosen = row[row >= 0]
            yield data.x_train[chosen], data.y_train[chosen]


def weights_of(model):
    return {w.path: np.asarray(w) for w in model.weights}


def assert_same(weights, other, **tolerance):
    assert list(weights) == list(other)
    for name in weights:
        np.testing.assert_allclose(weights[name], other[name], err_msg=name, **tolerance)


# One training of the smallest preset on real digits, which several tests look at.

MNIST_SPEC = PRESETS["classifier-tiny"].model
MNIST_TRAIN = TrainSpec(train_images=2_000, epochs=2, learning_rate=0.01, seed=3)


class Watched:
    """A finished training with its events and the times at which it asked whether to stop."""

    def __init__(self):
        self.data = load_dataset("mnist")
        self.events, self.asked = [], []
        kernels.Program(MNIST_SPEC, 64, 1).prepare()  # once on a machine
        start = time.perf_counter()
        self.model = train(MNIST_SPEC, MNIST_TRAIN, self.data, self.events.append, self._ask)
        self.seconds = time.perf_counter() - start
        self.weights = weights_of(self.model)

    def _ask(self):
        self.asked.append(time.perf_counter())
        return False


@pytest.fixture(scope="module")
def watched():
    return Watched()


NUMBERS = {
    "step",
    "total_steps",
    "epoch",
    "loss",
    "accuracy",
    "images_per_s",
    "elapsed",
    "learning_rate",
}


def test_events_obey_their_laws(watched):
    validations = [e for e in watched.events if "val_loss" in e]
    for event in watched.events:
        validated = {"val_loss", "val_accuracy"} if event in validations else set()
        assert set(event) == {"phase", "gates"} | NUMBERS | validated
        assert event["phase"] in ("training", "evaluating")
        assert event["total_steps"] == 2 * 32
        assert event["epoch"] == (1 if event["step"] <= 32 else 2)
        numbers = [event[name] for name in NUMBERS | validated]
        assert all(type(number) in (int, float) for number in numbers)
        assert np.isfinite(numbers).all()
        assert 0 <= event["accuracy"] <= 1
        assert event["images_per_s"] > 0
    assert [(e["phase"], e["epoch"], e["step"]) for e in validations] == [
        ("evaluating", 1, 32),
        ("evaluating", 2, 64),
    ]
    assert watched.events[-1] is validations[-1]


def test_events_tell_the_gates(watched):
    paths = [f"block_{i}/mixer/gate/value" for i in range(MNIST_SPEC.depth)]
    last = [float(watched.weights[path]) for path in paths]
    assert watched.events[-1]["gates"] == pytest.approx(last, abs=1e-6)
    for event in watched.events:
        assert len(event["gates"]) == len(paths)
        assert all(type(gate) is float and gate != 0 for gate in event["gates"])


def test_steps_and_time_go_forward(watched):
    steps = [e["step"] for e in watched.events]
    trained = [e["step"] for e in watched.events if e["phase"] == "training"]
    assert steps == sorted(steps)
    assert trained == sorted(set(trained))
    assert (trained[0], trained[-1]) == (1, 64)
    elapsed = [e["elapsed"] for e in watched.events]
    assert elapsed == sorted(elapsed)
    assert elapsed[-1] <= watched.seconds


def test_it_is_never_silent_and_asks_often_whether_to_stop(watched):
    silences = np.diff([e["elapsed"] for e in watched.events])
    assert max(silences) < 1.5  # 250 ms, on a machine that does nothing else
    assert max(np.diff(watched.asked)) < 1.5  # 300 ms


def test_it_learns(watched):
    first = next(e for e in watched.events if e["phase"] == "training")
    last = watched.events[-1]
    assert last["loss"] < 0.5 * first["loss"]
    assert last["val_accuracy"] > 0.6


def test_the_model_returned_has_the_accuracy_reported(watched):
    logits = watched.model.predict(watched.data.x_test, batch_size=1_000, verbose=0)
    accuracy = np.mean(logits.argmax(axis=1) == watched.data.y_test)
    assert accuracy == pytest.approx(watched.events[-1]["val_accuracy"], abs=3e-4)
    largest = logits.max(axis=1, keepdims=True)
    logp = logits - largest - np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    loss = -logp[np.arange(len(logp)), watched.data.y_test].mean()
    assert loss == pytest.approx(watched.events[-1]["val_loss"], rel=1e-4)


def test_stopped_in_every_phase_and_gone_on_with_it_ends_the_same(watched):
    trainer = Trainer(MNIST_SPEC, MNIST_TRAIN, watched.data)
    events, stops = [], []

    def stop_when(condition):
        """Runs until an event meets the condition; returns whether one did, and the delay."""
        told = []

        def on_event(event):
            events.append(event)
            if not told and condition(event):
                told.append(time.perf_counter())

        trainer.run(on_event, lambda: bool(told))
        stops.append(time.perf_counter() - told[0] if told else 0.0)
        return bool(told)

    trainer.run(events.append, lambda: True)
    assert (trainer.step, events) == (0, [])
    assert stop_when(lambda e: e["step"] >= 2)
    assert 2 <= trainer.step < 32
    assert stop_when(lambda e: e["step"] == 32)  # before the evaluation
    assert not any("val_loss" in e for e in events)
    assert stop_when(lambda e: "val_loss" in e)
    assert trainer.step == 32
    assert not trainer.finished
    assert not stop_when(lambda e: False)
    assert trainer.finished
    assert trainer.step == trainer.total_steps

    assert max(stops) < 1
    assert_same(trainer.weights(), watched.weights, rtol=0)
    whole = [e for e in watched.events if "val_loss" in e]
    parts = [e for e in events if "val_loss" in e]
    assert [e["val_loss"] for e in parts] == [e["val_loss"] for e in whole]
    elapsed = [e["elapsed"] for e in events]
    assert elapsed == sorted(elapsed)


@pytest.mark.parametrize(
    ("spec", "step"),  # 13 steps an epoch
    [(CLASSIFIER, 20), (CLASSIFIER, 0), (AUTOENCODER, 3), (AXIS_CONCAT, 26)],
)
def test_another_trainer_goes_on_from_a_state_as_if_unbroken(spec, step):
    data = noise()
    train_spec = TrainSpec(batch_size=4, epochs=3, learning_rate=0.01, seed=5)
    whole = []
    unbroken = Trainer(spec, train_spec, data)
    unbroken.run(whole.append)

    events = []
    first = Trainer(spec, train_spec.model_copy(update={"epochs": 2}), data)
    first.run(events.append, lambda: first.step >= step)
    assert step <= first.step
    state = first.state()
    second = Trainer(spec, train_spec, data)
    second.restore(state, events[-1] if events else None)
    assert_same(second.state(), state, rtol=0)
    second.run(events.append)
    assert second.finished
    assert second.step == second.total_steps == 39

    assert_same(second.state(), unbroken.state(), rtol=0)
    steps = [e["step"] for e in events]
    assert steps == sorted(steps)
    elapsed = [e["elapsed"] for e in events]
    assert elapsed == sorted(elapsed)
    assert all(set(event) >= {"loss", "elapsed"} for event in events)
    results = [{k: v for k, v in e.items() if k.startswith("val_")} for e in events]
    assert [r for r in results if r] == [
        pytest.approx({k: v for k, v in e.items() if k.startswith("val_")})
        for e in whole
        if "val_loss" in e
    ]


@pytest.mark.parametrize(
    ("spec", "condition", "reason"),
    [
        (CLASSIFIER, {"target_accuracy": 0.4}, r"reached \d\d\.\d\d % test accuracy"),
        (CLASSIFIER, {"target_accuracy": 1.0}, None),
        (AUTOENCODER, {"target_accuracy": 0.01}, None),
        (CLASSIFIER, {"max_seconds": 1e-6}, "trained for 1e-06 seconds"),
        (CLASSIFIER, {"max_seconds": 1e3}, None),
    ],
)
def test_a_condition_ends_the_training_after_an_evaluation(spec, condition, reason):
    events = []
    train_spec = TrainSpec(batch_size=4, epochs=6, learning_rate=0.01, **condition)
    trainer = Trainer(spec, train_spec, noise())
    trainer.run(events.append)
    assert trainer.finished
    if reason is None:
        assert (trainer.reason, trainer.step) == (None, trainer.total_steps)
        return
    assert re.fullmatch(reason, trainer.reason)
    assert trainer.step < trainer.total_steps
    assert "val_loss" in events[-1]
    if "target_accuracy" in condition:
        reached = [e["val_accuracy"] >= 0.4 for e in events if "val_loss" in e]
        assert reached == [False] * (len(reached) - 1) + [True]
        assert trainer.step % 13 == 0
    else:
        assert trainer.step == 1


def test_time_spent_waiting_does_not_count():
    trainer, events, waits = Trainer(CLASSIFIER, TrainSpec(epochs=2), noise()), [], []
    start = time.perf_counter()
    trainer.run(events.append, lambda: waits.append(time.sleep(0.2)))
    assert trainer.finished
    assert events[-1]["elapsed"] < time.perf_counter() - start - 0.2 * (len(waits) - 1)


@pytest.mark.parametrize("limit", [3, 13, 20])
def test_training_stops_at_an_exact_step(limit):
    trainer = Trainer(CLASSIFIER, TrainSpec(batch_size=4, epochs=2), noise())
    trainer.limit = limit
    trainer.run(lambda event: None, lambda: trainer.step >= limit)
    assert trainer.step == limit
    trainer.run(lambda event: None)
    assert trainer.step == trainer.total_steps


def test_learning_rate_may_change_between_two_bursts():
    trainer = Trainer(CLASSIFIER, TrainSpec(batch_size=16, epochs=5, learning_rate=0.01), noise())
    seen = [trainer.weights()]

    def on_event(event):
        if event["phase"] == "training":
            seen.append(trainer.weights())
            rates.append((event["step"], event["learning_rate"]))
        trainer.learning_rate = 1e-12 if event["step"] >= 8 else 0.01

    rates = []
    trainer.run(on_event)
    assert {rate for step, rate in rates if step <= 8} == {0.01}
    assert {rate for step, rate in rates if step > 8} == {1e-12}
    at_8 = seen[[step for step, _ in rates].index(8) + 1]
    assert any(np.any(seen[0][name] != at_8[name]) for name in at_8)
    assert_same(trainer.weights(), at_8, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits/bias": np.zeros(4)}, r"another model.*logits/bias of shape \(4,\), expected"),
        ({"adam/mean/more": np.zeros(1)}, "adam/mean/more of shape .* expected None"),
        ({"step": np.array(5)}, "choose more epochs. Received: step=5"),
    ],
)
def test_state_that_does_not_fit_is_refused(change, message):
    trainer = Trainer(CLASSIFIER, TrainSpec(epochs=4), noise())
    before = trainer.state()
    with pytest.raises(ValueError, match=message):
        trainer.restore(before | change)
    assert_same(trainer.state(), before, rtol=0)


CUT_SHORT = """
import threading, time
import numpy as np
from ndmixer import ModelSpec, TrainSpec
from ndmixer.datasets import make_dataset
from ndmixer.training import Trainer
x, y = np.zeros((320, 28, 28)), np.arange(320) % 10
data = make_dataset("zeros", x, y, x, y)
trainer = Trainer(ModelSpec(depth=3), TrainSpec(batch_size=16, epochs=1), data)
told = []
def on_event(event):
    if event["phase"] == "compiling" and not told:
        told.append(time.perf_counter())
trainer.run(on_event, lambda: bool(told))
print(trainer.step, time.perf_counter() - told[0])
# The end of Python does not wait for such threads, and a compiler that goes on then crashes.
assert not [thread for thread in threading.enumerate() if thread.daemon]
"""


def test_a_process_stopped_while_compiling_stops_at_once_and_ends_well(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", CUT_SHORT],
        env={
            **os.environ,
            "PYTHONPATH": os.getcwd(),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "NUMBA_CACHE_DIR": str(tmp_path),  # where nothing is compiled yet
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    step, delay = map(float, ended.stdout.split())
    assert step == 0
    assert delay < 1


@pytest.mark.parametrize(
    ("spec", "images", "batch_size", "epochs", "schedule"),
    [
        (CLASSIFIER, 50, 16, 5, "constant"),  # a smaller batch of 2 ends each epoch
        (AXIS_CONCAT, 10, 64, 18, "constant"),  # a batch larger than the data
        (AUTOENCODER, 48, 16, 6, "cosine"),
    ],
)
def test_it_is_adam_as_keras_has_it(spec, images, batch_size, epochs, schedule):
    data = noise(images)
    train_spec = TrainSpec(
        batch_size=batch_size, epochs=epochs, learning_rate=0.01, schedule=schedule, seed=5
    )
    events = []
    trainer = Trainer(spec, train_spec, data)
    trainer.run(events.append)

    keras.utils.set_random_seed(5)
    model = build_model(spec)
    falling = keras.optimizers.schedules.CosineDecay(0.01, trainer.total_steps)
    optimizer = keras.optimizers.Adam(falling if schedule == "cosine" else 0.01)
    losses = []
    for x, y in batches(trainer, data, epochs):
        with tf.GradientTape() as tape:
            output = model(x)
            if spec.task == "classifier":
                each = keras.losses.sparse_categorical_crossentropy(y, output, from_logits=True)
            else:
                each = keras.ops.mean(keras.ops.square(output - x), axis=(1, 2))
            loss = keras.ops.mean(each)
        losses.append((float(loss), len(x)))
        optimizer.apply(
            tape.gradient(loss, [v.value for v in model.trainable_weights]), model.trainable_weights
        )

    assert len(losses) == trainer.total_steps
    assert_same(trainer.weights(), weights_of(model), rtol=1e-3, atol=2e-4)
    shown = 0  # each event has the mean over the images since the one before
    for event in (e for e in events if e["phase"] == "training"):
        part = np.array(losses[shown : event["step"]])
        expected = np.sum(part[:, 0] * part[:, 1]) / np.sum(part[:, 1])
        assert event["loss"] == pytest.approx(expected, rel=2e-3)
        shown = event["step"]
    assert shown == len(losses)
    assert sum("val_loss" in event for event in events) == epochs


def test_the_autoencoder_returned_has_the_error_reported():
    data, events = noise(), []
    spec = ModelSpec(task="autoencoder", gate=False, **SMALL)
    model = train(spec, TrainSpec(epochs=3, seed=1), data, events.append)
    error = np.asarray(model(data.x_test)) - data.x_test
    assert events[-1]["val_loss"] == pytest.approx(np.mean(error**2), rel=1e-4)
    assert events[-1]["val_rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    assert all(e["rmse"] == np.sqrt(e["loss"]) for e in events)
    assert not any("accuracy" in e or "gates" in e for e in events)


@pytest.mark.parametrize("images", [48, 50])
def test_every_epoch_sees_every_image_once_in_its_own_order(images):
    trainer = Trainer(CLASSIFIER, TrainSpec(batch_size=16, seed=1), noise(images))
    again = Trainer(CLASSIFIER, TrainSpec(batch_size=16, seed=1), noise(images))
    other = Trainer(CLASSIFIER, TrainSpec(batch_size=16, seed=2), noise(images))
    orders = [trainer._order(epoch) for epoch in range(3)]
    for epoch, order in enumerate(orders):
        flat = order.ravel()
        assert sorted(flat[flat >= 0]) == list(range(images))
        assert (flat[:images] >= 0).all()
        np.testing.assert_array_equal(order, again._order(epoch))
        assert np.any(order != other._order(epoch))
    assert np.any(orders[0] != orders[1])
    assert np.any(orders[1] != orders[2])


def first_weights(spec, seed, steps):
    """Weights before training and after each of the first steps."""
    trainer = Trainer(spec, TrainSpec(batch_size=16, seed=seed, learning_rate=0.01), noise())
    after = [trainer.weights()]
    for step in range(1, steps + 1):
        trainer.limit = step
        trainer.run(lambda event: None, lambda: trainer.step >= trainer.limit)
        after.append(trainer.weights())
    return after


def test_seeds_determine_the_weights():
    one, same, other = (first_weights(CLASSIFIER, seed, 1)[1] for seed in (1, 1, 2))
    assert_same(one, same, rtol=0)
    kernels = [name for name in one if name.endswith("kernel")]
    assert all(np.any(one[name] != other[name]) for name in kernels)


@pytest.mark.parametrize("spec", [CLASSIFIER, AXIS_CONCAT, AUTOENCODER])
def test_two_steps_change_every_weight(spec):
    trainer = Trainer(spec, TrainSpec(batch_size=25, epochs=1, learning_rate=0.01), noise())
    seen = [trainer.weights()]
    trainer.run(lambda event: seen.append(trainer.weights()))
    before, first, *_, second = seen
    assert trainer.step == 2
    outside = {name for name in before if not name.startswith("block_") or "gate" in name}
    assert {name for name in before if np.any(before[name] != first[name])} == outside
    assert all(np.any(first[name] != second[name]) for name in before)
    assert_same(weights_of(trainer.model()), second, rtol=0)


@pytest.mark.parametrize(
    ("gate", "residual", "depth"),
    [(True, True, 2), (False, False, 2), (True, False, 1), (True, False, 2)],
)
def test_what_cannot_learn_does_not(gate, residual, depth):
    spec = ModelSpec(out_shape=(2, 3), **{**SMALL, "depth": depth}, gate=gate, residual=residual)
    before, *_, after = first_weights(spec, 0, 3)
    changed = {name for name in before if np.any(before[name] != after[name])}
    blocks = {name for name in before if name.startswith("block_")}
    assert changed >= {"logits/bias"}
    assert changed & blocks == (blocks if spec.cannot_learn is None else set())


@pytest.mark.parametrize("step", [1, 3, 11])
def test_divergence_is_told_with_its_step(step):
    train_spec = TrainSpec(batch_size=2, epochs=3, learning_rate=0.001)
    data = noise()
    culprit = Trainer(AUTOENCODER, train_spec, data)._order(0)[step - 1][0]
    x_train = data.x_train.copy()
    x_train[culprit] = 1e25  # its square is no float32
    data = make_dataset("huge", x_train, data.y_train, data.x_test, data.y_test)
    events = []
    with pytest.raises(TrainingDiverged, match=r"smaller learning rate\. Received: .*0\.001$") as e:
        train(AUTOENCODER, train_spec, data, events.append)
    assert e.value.step == step
    assert f"at step {step}" in str(e.value)
    assert all(event["step"] < step and np.isfinite(event["loss"]) for event in events)


def test_a_learning_rate_that_is_too_large_diverges():
    spec = ModelSpec(task="autoencoder", activation="linear", **{**SMALL, "depth": 6})
    train_spec = TrainSpec(batch_size=16, epochs=20, learning_rate=10)
    with pytest.raises(TrainingDiverged, match="learning_rate=10"):
        train(spec, train_spec, noise())


def test_divergence_on_the_test_set_is_told_as_well():
    data = noise()
    x_test = data.x_test.copy()
    x_test[-1] = 1e25
    data = make_dataset("huge", data.x_train, data.y_train, x_test, data.y_test)
    events = []
    with pytest.raises(TrainingDiverged) as caught:
        train(AUTOENCODER, TrainSpec(batch_size=25, epochs=2), data, events.append)
    assert caught.value.step == 2
    assert not any("val_loss" in event for event in events)


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"in_shape": (5, 5)}, {}, "in_shape holds 25 numbers, an image of this data set 20"),
        ({"num_classes": 2}, {}, "choose num_classes=3"),
        ({}, {"train_images": 51}, "has 50 training images; .* Received: train_images=51"),
    ],
)
def test_data_that_do_not_fit_are_refused(model, training, message):
    spec = ModelSpec(**{**SMALL, **model})
    with pytest.raises(ValueError, match=message):
        train(spec, TrainSpec(**training), noise())


@pytest.mark.parametrize(
    ("part", "labels", "message"),
    [
        ("y_train", [-1, *[0, 1, 2] * 16, 0], r"0 to 2; .* Received: -1"),
        ("y_test", [3] * 1_203, r"0 to 2; .* Received: 3"),
        ("y_train", [0, 1, 2], r"one label\. Received: 50 images, 3 labels"),
    ],
)
def test_labels_that_nobody_has_checked_are_refused(part, labels, message):
    data = replace(noise(), **{part: np.array(labels)})
    with pytest.raises(ValueError, match=message):
        Trainer(CLASSIFIER, TrainSpec(epochs=1), data)


def test_the_first_images_are_used():
    data = noise()
    cut = Dataset("cut", data.x_train[:20], data.y_train[:20], data.x_test, data.y_test)
    train_spec = TrainSpec(batch_size=8, train_images=20, epochs=1)
    trainers = Trainer(CLASSIFIER, train_spec, data), Trainer(CLASSIFIER, train_spec, cut)
    for trainer in trainers:
        trainer.run(lambda event: None)
    assert trainers[0].total_steps == 3
    assert_same(trainers[0].weights(), trainers[1].weights(), rtol=0)


def test_an_error_of_the_listener_or_the_compiler_is_not_swallowed(monkeypatch):
    def refuse(event):
        raise KeyError("listener")

    with pytest.raises(KeyError, match="listener"):
        train(CLASSIFIER, TrainSpec(), noise(), refuse)

    trainer = Trainer(CLASSIFIER, TrainSpec(), noise())
    monkeypatch.setattr(trainer._program, "prepare", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.run(lambda event: None)


@pytest.mark.parametrize("spec", [CLASSIFIER, AUTOENCODER])
def test_with_a_gpu_it_is_tensorflow_that_takes_the_same_steps(spec, monkeypatch):
    train_spec, found = TrainSpec(batch_size=16, epochs=3, learning_rate=0.01), []
    for devices in ([], ["GPU:0"]):
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind, here=devices: here)
        events = []
        trainer = Trainer(spec, train_spec, noise())
        trainer.run(events.append)
        found.append((trainer.weights(), [e["val_loss"] for e in events if "val_loss" in e]))
        assert isinstance(trainer._program, xla.Program if devices else kernels.Program)
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    (weights, losses), (others, other_losses) = found
    assert_same(others, weights, rtol=1e-3, atol=1e-4)
    assert other_losses == pytest.approx(losses, rel=1e-3)
