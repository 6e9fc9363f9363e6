import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings

from ndmixer.datasets import make_dataset

X = np.linspace(-1, 1, 6 * 4 * 3, dtype="float32").reshape(6, 4, 3)
Y = np.array([0, 1, 2, 0, 1, 2])
OBJECTS = np.array([{}] * 6, dtype=object)


def with_value(value, dtype="float64"):
    x = X.astype(dtype)
    x[2, 1, 0] = value
    return x


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x_train": OBJECTS}, "x_train holds Python objects"),
        ({"y_test": OBJECTS}, "y_test holds Python objects"),
        ({"x_train": X.astype("complex64")}, "x_train must hold real numbers"),
        ({"x_test": X.astype("U3")}, "x_test must hold real numbers"),
        ({"x_test": np.zeros((6, 4, 3), "M8[s]")}, "x_test must hold real numbers"),
        ({"x_train": np.zeros((6, 4), [("a", "f4")])}, "x_train must hold real numbers"),
        ({"y_train": Y.astype("float32")}, "y_train must hold whole numbers"),
        ({"y_test": Y > 0}, "y_test must hold whole numbers"),
        ({"x_train": X[:, 0, 0]}, "x_train needs a batch axis"),
        ({"x_test": np.float32(3)}, "x_test needs a batch axis"),
        ({"y_train": np.eye(3, dtype=int)[Y]}, "y_train must have shape .*argmax"),
        ({"y_test": np.int64(0)}, "y_test must have shape"),
        ({"y_test": Y[:, None, None]}, "y_test must have shape"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train is empty"),
        ({"x_test": X[:, :0]}, "x_test is empty"),
        ({"y_test": Y[:0]}, "y_test is empty"),
        ({"x_train": X[:5]}, "x_train and y_train must have as many"),
        ({"y_test": Y[:5]}, "x_test and y_test must have as many"),
        ({"x_test": X.transpose(0, 2, 1)}, "agree in all axes but the first"),
        ({"x_test": X[..., None]}, "agree in all axes but the first"),
        ({"y_train": Y - 1}, r"train labels must be 0..K-1.* -1..1 in 3 classes"),
        ({"y_train": Y + 1}, r"train labels must be 0..K-1.* 1..3 in 3 classes"),
        ({"y_train": Y * 2}, r"train labels must be 0..K-1.* 0..4 in 3 classes"),
        ({"y_train": Y * 0, "y_test": Y * 0}, "K >= 2"),
        ({"y_train": Y.astype("uint64") + np.uint64(2**64 - 3)}, "train labels must be"),
        ({"y_test": Y + 1}, r"among the train labels, 0..2\..* test labels 1..3"),
        ({"y_test": Y - 1}, r"among the train labels, 0..2\..* test labels -1..1"),
        ({"x_train": with_value(np.nan)}, "x_train must be finite .* 1 NaN"),
        ({"x_test": with_value(-np.inf, "float16")}, "x_test must be finite"),
        ({"x_test": with_value(1e300)}, "x_test must be finite .* too large"),
    ],
)
def test_bad_arrays(changes, words):
    arrays = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y} | changes
    with pytest.raises(ValueError, match=words) as caught:
        make_dataset("mine", **arrays)
    assert "Received: dataset='mine' with " in str(caught.value)


@pytest.mark.parametrize("dtype", ["bool", "int8", ">i4", "uint16", "float16", ">f8", "longdouble"])
def test_values_other_than_uint8_are_kept(dtype):
    x = np.asfortranarray((X * 100).astype(dtype))
    data = make_dataset("mine", x, Y, x, Y)
    assert data.x_train.dtype == np.float32
    assert data.x_train.flags.c_contiguous
    np.testing.assert_array_equal(data.x_train, x.astype("float32"))


@settings(max_examples=30, deadline=None)
@given(hnp.arrays("uint8", hnp.array_shapes(min_dims=2, max_dims=6, max_side=4)))
def test_uint8_is_scaled(x):
    x = np.concatenate([x, x])
    data = make_dataset("mine", x, np.arange(len(x)), x[:1], [0])
    np.testing.assert_array_equal(data.x_train, (x / 255.0).astype("float32"))
    assert data.sample_shape == x.shape[1:]
    assert data.num_classes == len(x)


def test_label_column_is_flattened():
    data = make_dataset("mine", X, Y[:, None].astype("uint8"), X[:1], [[2]])
    np.testing.assert_array_equal(data.y_train, Y)
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    assert data.y_test.shape == (1,)


def test_arrays_are_copies_and_read_only():
    x, y = X.copy(), Y.copy()
    data = make_dataset("mine", x, y, x, y)
    x[:], y[:] = 7, 7
    np.testing.assert_array_equal(data.x_train, X)
    np.testing.assert_array_equal(data.y_test, Y)
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
