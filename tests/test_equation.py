import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ndmixer.equation
from ndmixer.equation import axis_equation, normalize_axis


@pytest.mark.parametrize(
    ("ndim", "axis", "expected"),
    [
        (2, 1, "ab,bc->ac"),
        (2, -1, "ab,bc->ac"),
        (3, 1, "abc,bd->adc"),
        (3, 2, "abc,cd->abd"),
        (3, -2, "abc,bd->adc"),
        (5, 3, "abcde,df->abcfe"),
        (25, 24, "abcdefghijklmnopqrstuvwxy,yz->abcdefghijklmnopqrstuvwxz"),
        (26, 1, "abcdefghijklmnopqrstuvwxyz,bA->aAcdefghijklmnopqrstuvwxyz"),
        (26, -1, "abcdefghijklmnopqrstuvwxyz,zA->abcdefghijklmnopqrstuvwxyA"),
    ],
)
def test_axis_equation(ndim, axis, expected):
    assert axis_equation(ndim, axis) == expected


@given(st.integers(2, 26), st.data())
def test_only_the_axis_changes(ndim, data):
    axis = data.draw(st.integers(1, ndim - 1))
    equation = axis_equation(ndim, axis)
    assert equation == axis_equation(ndim, axis - ndim)
    inputs, output = equation.split("->")
    x, kernel = inputs.split(",")
    assert len(x) == len(output) == len(set(x)) == len(set(output)) == ndim
    assert [i for i in range(ndim) if x[i] != output[i]] == [axis]
    assert kernel == x[axis] + output[axis]
    assert output[axis] not in x


def test_numpy_agrees():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(4, 6))
    expected = np.moveaxis(np.tensordot(x, kernel, (2, 0)), -1, 2)
    np.testing.assert_allclose(np.einsum(axis_equation(4, 2), x, kernel), expected)


@pytest.mark.parametrize(("axis", "expected"), [(1, 1), (3, 3), (-1, 3), (-3, 1), (np.int64(2), 2)])
def test_normalize_axis(axis, expected):
    assert normalize_axis(axis, 4) == expected


@pytest.mark.parametrize(
    ("axis", "ndim", "message"),
    [
        (0, 3, r"axis 0 is the batch axis; choose 1\.\.2\. Received: axis=0, ndim=3"),
        (-3, 3, r"axis 0 is the batch axis.*Received: axis=-3, ndim=3"),
        (3, 3, r"no such axis; choose 1\.\.2, or -2\.\.-1\. Received: axis=3, ndim=3"),
        (-4, 3, r"no such axis.*Received: axis=-4, ndim=3"),
        (1, 1, r"at least one axis.*Received: axis=1, ndim=1"),
        (-1, 0, r"at least one axis.*Received: axis=-1, ndim=0"),
        (1.0, 3, r"must be integers\. Received: axis=1\.0, ndim=3"),
        (None, 3, r"must be integers\. Received: axis=None, ndim=3"),
        (1, 27, r"at most 25 axes.*Received: axis=1, ndim=27"),
    ],
)
def test_errors(axis, ndim, message):
    with pytest.raises(ValueError, match=message):
        axis_equation(ndim, axis)


def test_imports_only_the_standard_library():
    tree = ast.parse(Path(ndmixer.equation.__file__).read_text(encoding="utf-8"))
    imports = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imports |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert imports <= sys.stdlib_module_names
