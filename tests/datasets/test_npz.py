import io
import pickle
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndmixer.datasets import dataset_info, load_dataset

Y = np.array([0, 1, 2, 0])


def arrays_of(shape=(3, 2), dtype="float32", **changes):
    size = len(Y) * int(np.prod(shape))
    x = np.arange(size).reshape(len(Y), *shape).astype(dtype)
    return {"x_train": x, "y_train": Y, "x_test": x[:2], "y_test": Y[:2]} | changes


def content(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in members.items():
            archive.writestr(f"{name}.npy", value)
    return file.getvalue()


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(7,), (3, 2), (4, 3, 2), (2, 3, 2, 1, 2)])
@pytest.mark.parametrize("as_type", [str, lambda path: path])
def test_round_trip(tmp_path, shape, save, as_type):
    path = tmp_path / "mine.npz"
    arrays = arrays_of(shape)
    save(path, **arrays, extra=np.zeros(3))
    data, info = load_dataset(as_type(path)), dataset_info(as_type(path))
    for part, array in arrays.items():
        np.testing.assert_array_equal(getattr(data, part), array)
    assert data.name == info.name == str(path)
    assert data.sample_shape == info.sample_shape == shape
    assert data.num_classes == info.num_classes == 3
    assert (info.train_images, info.test_images) == (4, 2)
    assert info.class_names == ("0", "1", "2")


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_npy_versions(tmp_path, version):
    path = tmp_path / "mine.npz"
    parts = arrays_of()
    path.write_bytes(zipped(**{p: npy(a, version=version) for p, a in parts.items()}))
    np.testing.assert_array_equal(load_dataset(path).x_train, parts["x_train"])


def test_a_changed_file_is_read_anew(tmp_path):
    path = tmp_path / "mine.npz"
    for shape in [(3, 2), (5,)]:
        np.savez(path, **arrays_of(shape))
        assert load_dataset(path).sample_shape == shape


GOOD = content(**arrays_of())
WHOLE = {part: npy(array) for part, array in arrays_of().items()}


@pytest.mark.parametrize("load", [load_dataset, dataset_info])
@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "there is no such file; paths start from"),
        (b"", "the file is not an .npz, or write"),
        (b"x_train,y_train\n1,2\n", "the file is not an .npz"),
        (npy(np.zeros(3)), "the file is not an .npz"),
        (pickle.dumps(Trap()), "the file is not an .npz"),
        (GOOD[:-30], "the file is a damaged or incomplete .npz"),
        (GOOD[: len(GOOD) // 2], "the file is a damaged or incomplete .npz"),
        (content(images=Y, y_test=Y), r"lacks x_train, y_train, x_test; .*'images', 'y_test'\]"),
        (zipped(readme=b"hello"), "lacks x_train, .*with arrays .'readme'"),
        (zipped(**WHOLE | {"x_test": b"hello"}), "x_test is damaged .*magic string"),
        (zipped(**WHOLE | {"x_test": WHOLE["x_test"][:-4]}), "x_test is damaged .*its size"),
        (zipped(**WHOLE | {"y_test": WHOLE["y_test"][:30]}), "y_test is damaged"),
        (zipped(**WHOLE | {"x_test": npy(Y, version=(3, 0))}), r"npy version \(3, 0\)"),
        (content(**arrays_of(x_train=np.array([Trap()] * 4))), "x_train holds Python objects"),
        (content(**arrays_of(y_test=np.array([Trap()] * 2))), "y_test holds Python objects"),
        (content(**arrays_of((3,), x_test=np.zeros((2, 4)))), "agree in all axes"),
        (content(**arrays_of(y_train=Y + 1)), "train labels must be 0..K-1"),
    ],
)
def test_bad_files(tmp_path, written, words, load):
    path = tmp_path / "mine.npz"
    if written is not None:
        path.write_bytes(written)
    with pytest.raises(ValueError, match=words) as caught:
        load(path)
    assert re.search(r"Received: (path|dataset)='.*mine\.npz'", str(caught.value))


def test_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read: Is a directory\. Received: path="):
        load_dataset(tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_raises_or_is_harmless(tmp_path_factory, data):
    """Bytes changed or cut off never change an image without a word."""
    save = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
    arrays = arrays_of()
    damaged = bytearray(content(save, **arrays))
    place = data.draw(st.integers(0, len(damaged) - 1))
    if data.draw(st.booleans()):
        del damaged[place:]
    else:
        damaged[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)
    try:
        outcome = load_dataset(path)
    except ValueError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert "Received: " in outcome
    else:
        for part, array in arrays.items():
            np.testing.assert_array_equal(getattr(outcome, part), array)
