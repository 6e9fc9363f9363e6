import threading

import numpy as np
import pytest


@pytest.mark.parametrize("step", [None, 0, 123])
def test_weights_come_back_as_they_were(run, step):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    weights = {"a/kernel": kernel.T, "a/bias": kernel[:, 1], "gate": np.array(0.5, np.float32)}
    if step is None:
        run.save_weights(weights, 7)
    else:
        run.save_snapshot(weights, step)
    loaded = run.load_weights(step)
    assert loaded.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert not list(run.folder.rglob(".*"))


def test_interrupted_run_has_the_weights_of_its_last_snapshot(run):
    for step in (0, 50, 1_000):
        run.save_snapshot({"w": np.full(3, step)}, step)
    (run.folder / "snapshots" / "notes.txt").touch()
    assert run.snapshots() == [0, 50, 1_000]
    assert run.load_weights()["w"][0] == 1_000
    run.save_weights({"w": np.full(3, 1_017)}, 1_017)
    assert run.load_weights()["w"][0] == 1_017


def test_weights_that_are_missing_or_damaged_are_named(run):
    with pytest.raises(ValueError, match="the run has no weights"):
        run.load_weights()
    run.save_snapshot({"w": np.zeros(3)}, 50)
    with pytest.raises(ValueError, match="snapshots 50"):
        run.load_weights(51)
    path = run.folder / "snapshots" / "00000050.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="missing or damaged"):
        run.load_weights(50)


def test_reader_never_sees_half_of_the_weights(run):
    run.save_weights({"w": np.zeros(100_000)}, 0)
    done = threading.Event()

    def write() -> None:
        for step in range(100):
            run.save_weights({"w": np.full(100_000, step)}, step)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert len(set(run.load_weights()["w"])) == 1
    thread.join()
