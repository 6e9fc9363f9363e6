import gzip
import hashlib
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ndmixer.datasets import DATASETS, catalog, dataset_info, dataset_names, load_dataset, mnist

IDX_MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_FILES = [
    f"{split}-{kind}-ubyte.gz"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]


@pytest.fixture
def no_memory():
    """Forgets named datasets before and after, so that a test's own do not stay."""
    catalog._load_named.cache_clear()
    yield
    catalog._load_named.cache_clear()


@pytest.fixture
def fake_keras(monkeypatch, no_memory, tmp_path):
    """Puts a stand-in for Keras, whose loaders are given, in place of the real one."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def put(name, load_data):
        datasets = SimpleNamespace(**{name: SimpleNamespace(load_data=load_data)})
        monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(datasets=datasets))

    return put


def idx(array):
    """The bytes of the IDX file of a `uint8` array."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("part", IDX_MD5)
def test_mnist_is_the_canonical_one(part):
    array = getattr(load_dataset("mnist"), part)
    raw = np.rint(array * 255).astype("uint8") if part[0] == "x" else array.astype("uint8")
    assert hashlib.md5(idx(raw)).hexdigest() == IDX_MD5[part]


def test_mnist_is_as_its_info_says():
    data, info = load_dataset("mnist"), dataset_info("mnist")
    assert data.sample_shape == info.sample_shape == (28, 28)
    assert data.num_classes == info.num_classes == 10
    assert (len(data.x_train), len(data.x_test)) == (info.train_images, info.test_images)
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    assert not data.x_train.flags.writeable
    assert load_dataset("mnist") is data


def test_mnist_note_states_the_checksums():
    note = mnist.PATH.with_suffix(".md").read_text()
    assert all(sum_ in note for sum_ in (mnist.SHA256, *IDX_MD5.values()))


def test_mnist_damaged(monkeypatch, no_memory, tmp_path):
    content = bytearray(mnist.PATH.read_bytes())
    content[5_000_000] ^= 1
    path = tmp_path / "mnist.npz"
    monkeypatch.setattr(mnist, "PATH", path)
    with pytest.raises(ValueError, match=r"cannot be read; reinstall.*Received: .*No such file"):
        load_dataset("mnist")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"damaged; reinstall.*{mnist.SHA256}.*Received: "):
        load_dataset("mnist")


@pytest.mark.parametrize("ask", [load_dataset, dataset_info])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mnits", "Did you mean 'mnist'?"),
        ("MNIST", "Did you mean 'mnist'?"),
        ("fashion-mnist", "Did you mean 'fashion_mnist'?"),
        ("", "of an .npz file."),
        ("imagenet22k", "of an .npz file."),
        (None, "of an .npz file."),
        (3, "of an .npz file."),
    ],
)
def test_unknown_name(name, hint, ask):
    ending = re.escape(f"{hint} Received: name_or_path={name!r}")
    with pytest.raises(ValueError, match=f"'mnist', 'fashion_mnist', 'cifar10', .*{ending}$"):
        ask(name)


@pytest.mark.parametrize("path", ["no.npz", "./mnist", "no/mnist", "~nobody/no.npz", Path("mnist")])
def test_paths_are_no_names(path):
    with pytest.raises(ValueError, match="no such file"):
        dataset_info(path)


def test_infos():
    assert dataset_names() == tuple(DATASETS) == ("mnist", "fashion_mnist", "cifar10")
    for name, info in DATASETS.items():
        assert info is dataset_info(name)
        assert info.name == name
        assert info.num_classes == len(set(info.class_names)) == 10
        assert info.description.count("\n") == 0


def test_fashion_mnist_from_the_cache(monkeypatch, no_memory, tmp_path):
    """Keras itself reads the files that the error names, and asks no network."""
    from keras.src.backend import config

    x = np.random.default_rng(0).integers(0, 256, (10, 28, 28), "uint8")
    y = np.arange(10, dtype="uint8")
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for file in FASHION_FILES:
        (folder / file).write_bytes(gzip.compress(idx(x if "images" in file else y)))
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    data = load_dataset("fashion_mnist")
    np.testing.assert_array_equal(data.x_test, x / np.float32(255))
    np.testing.assert_array_equal(data.y_train, y)

    catalog._load_named.cache_clear()
    torn = folder / FASHION_FILES[0]
    torn.write_bytes(torn.read_bytes()[:1000])
    with pytest.raises(ValueError, match=rf"{torn} \(there now; delete it if damaged\)"):
        load_dataset("fashion_mnist")


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("fashion_mnist", [f"datasets/fashion-mnist/{file}" for file in FASHION_FILES]),
        ("cifar10", ["datasets/cifar-10-batches-py-target_archive"]),
    ],
)
def test_no_network(fake_keras, tmp_path, name, files):
    def load_data():
        raise Exception("URL fetch failure on https://...: None -- unreachable")

    fake_keras(name, load_data)
    with pytest.raises(ValueError, match=rf"unreachable.*Received: name='{name}'") as caught:
        load_dataset(name)
    for file in files:
        assert f" as {tmp_path / file}" in str(caught.value)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_cifar10_has_channels_last(fake_keras, axes):
    x = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), "uint8")
    y = np.arange(10, dtype="uint8")[:, None]
    split = x.transpose(axes), y
    fake_keras("cifar10", lambda: (split, split))
    data = load_dataset("cifar10")
    np.testing.assert_array_equal(data.x_train, x / np.float32(255))
    assert data.y_train.shape == (10,)


def test_threads_load_once(fake_keras):
    calls = []

    def load_data():
        calls.append(1)
        split = np.zeros((2, 28, 28), "uint8"), np.array([0, 1])
        return split, split

    fake_keras("fashion_mnist", load_data)
    threads = [threading.Thread(target=load_dataset, args=["fashion_mnist"]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_imports_no_framework():
    code = (
        "import sys; from ndmixer.datasets import load_dataset; load_dataset('mnist'); "
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
