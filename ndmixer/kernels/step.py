"""The arithmetic of a training step as compiled code.

A group of `LANES` images is worked on at a time, one image a lane of the processor's vector
registers: every number of a tensor is a vector, every weight a scalar, and mixing along any
axis is a product of a small kernel with columns of vectors, in which nothing is transposed.
`work` holds all tensors of one group, one after the other; places in it are counted in floats.
What is done in which order stands in a table of `OPERATION`, so that one compiled program
serves every architecture.

All of it lies in one file: Numba's cache of compiled code looks at a function's own file alone.
"""

import operator
import os

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, codegen, config
from numba.core.datamodel import models
from numba.extending import intrinsic, overload, register_model

# The features that Numba compiles for, which can be set to others than the machine's.
FEATURES = config.CPU_FEATURES or codegen.get_host_cpu_features()
LANES = 16 if "+avx512f" in FEATURES.split(",") else 8
ROWS, COLUMNS = 4, 3  # of the tile of a product that is held in vector registers
PATIENCE = 1_000  # looks for a task before the core is offered to others
CLAIMED, DONE, COUNTERS = 0, 8, 16  # each in a line of the cache of its own

LINEAR, MERGE = 0, 1
ACTIVATIONS = ("linear", "gelu", "relu", "silu", "tanh")  # numbered by their place
GELU, RELU, SILU, TANH = 1, 2, 3, 4

# LINEAR: output = activation(kernel^T input + bias) along the middle of (left, size, right),
#   which becomes `units` long; the derivative of the activation is kept at `slope`. Backward,
#   the gradient of the input is written, or added to what is there if `add`.
# MERGE: output = input + gate * other. Backward, the gradient of `other` is written; that of
#   the input is the output's own.
# Operations that follow one another along the same axis are done together: all of them for a
#   `part` of the left, whose tensors a core's cache holds, before the next part. Where there is
#   more than one part, what one operation hands on to the next is not kept: there is memory for
#   one part of it, and of its slope and gradient; backward it is computed again.
# -1 stands for what there is not: no input (the output is gate * other), no gate (it is 1),
# no slope to keep, no gradient of the input wanted.
OPERATION = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kind", "input", "output", "input_gradient", "output_gradient", "add"),
            *("left", "size", "right", "units", "kernel", "bias", "activation", "slope"),
            *("other", "other_gradient", "gate", "together", "part", "input_kept", "output_kept"),
        )
    ]
)

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam

# Sums may be taken in any order, a product and a sum rounded once; that there are NaN and
# infinity is not forgotten.
compiled = njit(fastmath={"contract", "reassoc", "nsz", "arcp"}, error_model="numpy")
f32 = np.float32

MACHINE = llvmlite.binding.get_process_triple().partition("-")[0]
ARM, X86 = MACHINE in ("aarch64", "arm64"), MACHINE in ("x86_64", "i686")
FLUSH = 1 << 24 if ARM else 0x8040  # bits of that word


def cached(function):
    """Compiles what Python calls, which needs no lock of Python's; kept on disk where one can."""
    options = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in
        return njit(**options)(function)


# ---- vectors --------------------------------------------------------------------------------


class Vector(types.Type):
    """One float32 for each lane, in Numba's terms."""

    def __init__(self):
        super().__init__(name=f"Vector({LANES})")


VECTOR = Vector()
FLOATS = ir.VectorType(ir.FloatType(), LANES)
INTEGERS = ir.VectorType(ir.IntType(32), LANES)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, FLOATS)


def _filled(builder, value):
    none = ir.Constant(FLOATS, ir.Undefined)
    one = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, none, ir.Constant(INTEGERS, [0] * LANES))


def _place(context, builder, array_type, array, index):
    """Pointer to the vector that begins at an index of a flat float32 array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), FLOATS.as_pointer())


def _call(builder, name, result, *arguments, **flags):
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, arguments, **flags)


@intrinsic
def load(typing, array, index):
    """The vector that begins at an index of a flat float32 array."""

    def code(context, builder, signature, arguments):
        place = _place(context, builder, signature.args[0], *arguments)
        return builder.load(place, align=4)

    return VECTOR(array, types.int64), code


@intrinsic
def store(typing, array, index, vector):
    """Writes a vector from an index of a flat float32 array on."""

    def code(context, builder, signature, arguments):
        place = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], place, align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, VECTOR), code


@intrinsic
def splat(typing, number):
    """A number in every lane."""

    def code(context, builder, signature, arguments):
        return _filled(builder, arguments[0])

    return VECTOR(types.float32), code


@intrinsic
def fma(typing, a, b, c):
    """`a * b + c`, rounded once where the processor can."""

    def code(context, builder, signature, arguments):
        return _call(builder, f"llvm.fmuladd.v{LANES}f32", FLOATS, *arguments)

    return VECTOR(VECTOR, VECTOR, VECTOR), code


@intrinsic
def total(typing, vector):
    """The sum of the lanes."""

    def code(context, builder, signature, arguments):
        name, zero = f"llvm.vector.reduce.fadd.v{LANES}f32", ir.Constant(ir.FloatType(), 0.0)
        return _call(builder, name, ir.FloatType(), zero, *arguments, fastmath=("reassoc",))

    return types.float32(VECTOR), code


@intrinsic
def where_negative(typing, vector, a, b):
    """`a` in the lanes in which the vector is below 0, else `b`."""

    def code(context, builder, signature, arguments):
        vector, a, b = arguments
        negative = builder.fcmp_ordered("<", vector, ir.Constant(FLOATS, [0.0] * LANES))
        return builder.select(negative, a, b)

    return VECTOR(VECTOR, VECTOR, VECTOR), code


@intrinsic
def power_of_two(typing, shifted):
    """2 to the whole number n, given n + 1.5 * 2**23, whose lowest bits are n."""

    def code(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], INTEGERS)
        exponent = builder.add(bits, ir.Constant(INTEGERS, [127] * LANES))
        bits = builder.shl(exponent, ir.Constant(INTEGERS, [23] * LANES))
        return builder.bitcast(bits, FLOATS)

    return VECTOR(VECTOR), code


def _infix(symbol, instruction):
    """Lets vectors, and numbers beside them, be written as in a formula."""

    @intrinsic
    def apply(typing, a, b):
        def code(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments, flags=("contract",))

        return VECTOR(VECTOR, VECTOR), code

    @overload(symbol)
    def choose(a, b):
        if a == VECTOR and b == VECTOR:
            return lambda a, b: apply(a, b)
        if a == VECTOR and isinstance(b, types.Float):
            return lambda a, b: apply(a, splat(f32(b)))
        if b == VECTOR and isinstance(a, types.Float):
            return lambda a, b: apply(splat(f32(a)), b)
        return None


_infix(operator.add, "fadd")
_infix(operator.sub, "fsub")
_infix(operator.mul, "fmul")
_infix(operator.truediv, "fdiv")


# ---- activations: value and derivative ------------------------------------------------------


@compiled
def exp(x):
    """Of x <= 0, to rounding; below -87 it is that of -87. Polynomial: Cephes, expf."""
    x = where_negative(x + 87.0, splat(f32(-87.0)), x)
    shifted = x * 1.44269504 + 12582912.0
    n = shifted - 12582912.0
    r = x - n * 0.693359375 - n * -2.12194440e-4
    p = r * 1.9875691500e-4 + 1.3981999507e-3
    p = r * p + 8.3334519073e-3
    p = r * p + 4.1665795894e-2
    p = r * p + 1.6666665459e-1
    p = r * p + 5.0000001201e-1
    return (p * (r * r) + r + 1.0) * power_of_two(shifted)


@compiled
def gelu(x):
    """`x * Phi(x)`; Phi to 1e-7, as erf by Abramowitz and Stegun, 7.1.26."""
    e = exp(x * x * -0.5)
    t = 1.0 / (where_negative(x, 0.0 - x, x) * 0.23164188 + 1.0)
    p = t * 1.061405429 + -1.453152027
    p = t * p + 1.421413741
    p = t * p + -0.284496736
    p = t * p + 0.254829592
    tail = p * t * e * 0.5
    cdf = where_negative(x, tail, 1.0 - tail)
    return x * cdf, x * e * 0.39894228 + cdf


@compiled
def relu(x):
    """`max(x, 0)`."""
    zero, one = splat(f32(0.0)), splat(f32(1.0))
    return where_negative(x, zero, x), where_negative(0.0 - x, one, zero)


@compiled
def silu(x):
    """`x * sigmoid(x)`."""
    e = exp(where_negative(x, x, 0.0 - x))
    s = where_negative(x, e, splat(f32(1.0))) / (e + 1.0)
    return x * s, s + x * s * (1.0 - s)


@compiled
def tanh(x):
    """The hyperbolic tangent, to 1e-7."""
    e = exp(where_negative(x, x, 0.0 - x) * 2.0)
    t = (1.0 - e) / (1.0 + e)
    return where_negative(x, 0.0 - t, t), 1.0 - t * t


@compiled
def activate(kind, work, at, slope, count):
    """Replaces `count` vectors from `at` on by their activation; its derivative goes to `slope`."""
    for n in range(0, count * LANES, LANES):
        x = load(work, at + n)
        if kind == GELU:
            value, derivative = gelu(x)
        elif kind == RELU:
            value, derivative = relu(x)
        elif kind == SILU:
            value, derivative = silu(x)
        else:
            value, derivative = tanh(x)
        store(work, at + n, value)
        if slope >= 0:
            store(work, slope + n, derivative)


# ---- products -------------------------------------------------------------------------------


@compiled
def column_at(column, left, size, right):
    """Where a column begins in a tensor (left, size, right); after the last it is the last."""
    i, j = divmod(min(column, left * right - 1), right)
    return (i * size * right + j) * LANES


@compiled
def load3(work, x0, x1, x2):
    """Three vectors."""
    return load(work, x0), load(work, x1), load(work, x2)


@compiled
def store3(work, x0, x1, x2, a, b, c):
    """Writes three vectors."""
    store(work, x0, a)
    store(work, x1, b)
    store(work, x2, c)


@compiled
def pack(work, x0, x1, x2, size, right, to):
    """Copies COLUMNS columns beside one another.

    Their rows may lie a power of two apart, where they drive each other out of the cache.
    """
    for k in range(0, size * right * LANES, right * LANES):
        a, b, c = load3(work, x0 + k, x1 + k, x2 + k)
        store3(work, to, to + LANES, to + 2 * LANES, a, b, c)
        to += COLUMNS * LANES


@compiled
def tile(
    weights, kernel, row_step, k_step, bias, add, r0, rows, work, packed, steps, right, y0, y1, y2
):
    """ROWS rows from r0 of a product, for COLUMNS packed columns.

    Row r is the sum over k < steps of weights[kernel + r * row_step + k * k_step] times the
    columns' k-th vector, upon the bias of the row, what was there (`add`), or 0. The columns of
    the result begin at y0, y1 and y2. A row after the last is the last once more.
    """
    r1, r2, r3 = min(r0 + 1, rows - 1), min(r0 + 2, rows - 1), min(r0 + 3, rows - 1)
    row = right * LANES
    ya, yb, yc, yd = r0 * row, r1 * row, r2 * row, r3 * row
    if add:
        a0, a1, a2 = load3(work, y0 + ya, y1 + ya, y2 + ya)
        b0, b1, b2 = load3(work, y0 + yb, y1 + yb, y2 + yb)
        c0, c1, c2 = load3(work, y0 + yc, y1 + yc, y2 + yc)
        d0, d1, d2 = load3(work, y0 + yd, y1 + yd, y2 + yd)
    elif bias >= 0:
        a0 = a1 = a2 = splat(weights[bias + r0])
        b0 = b1 = b2 = splat(weights[bias + r1])
        c0 = c1 = c2 = splat(weights[bias + r2])
        d0 = d1 = d2 = splat(weights[bias + r3])
    else:
        a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = d0 = d1 = d2 = splat(f32(0.0))
    ka, kb = kernel + r0 * row_step, kernel + r1 * row_step
    kc, kd = kernel + r2 * row_step, kernel + r3 * row_step
    for k in range(steps):
        x = packed + k * (COLUMNS * LANES)
        x0, x1, x2 = load3(work, x, x + LANES, x + 2 * LANES)
        w = splat(weights[ka + k * k_step])
        a0, a1, a2 = fma(w, x0, a0), fma(w, x1, a1), fma(w, x2, a2)
        w = splat(weights[kb + k * k_step])
        b0, b1, b2 = fma(w, x0, b0), fma(w, x1, b1), fma(w, x2, b2)
        w = splat(weights[kc + k * k_step])
        c0, c1, c2 = fma(w, x0, c0), fma(w, x1, c1), fma(w, x2, c2)
        w = splat(weights[kd + k * k_step])
        d0, d1, d2 = fma(w, x0, d0), fma(w, x1, d1), fma(w, x2, d2)
    store3(work, y0 + ya, y1 + ya, y2 + ya, a0, a1, a2)
    store3(work, y0 + yb, y1 + yb, y2 + yb, b0, b1, b2)
    store3(work, y0 + yc, y1 + yc, y2 + yc, c0, c1, c2)
    store3(work, y0 + yd, y1 + yd, y2 + yd, d0, d1, d2)


@compiled
def product(weights, kernel, bias, add, work, packed, source, target, left, right):
    """A kernel, or its transpose, along the middle of a tensor (left, size, right).

    A kernel is given by its place and by the steps in it from one row of the result to the next,
    and of the source; source and target by place and size. The rest is as for `tile`.
    """
    (place, row_step, k_step), (x, size), (y, rows) = kernel, source, target
    for column in range(0, left * right, COLUMNS):
        x0 = x + column_at(column, left, size, right)
        x1 = x + column_at(column + 1, left, size, right)
        x2 = x + column_at(column + 2, left, size, right)
        pack(work, x0, x1, x2, size, right, packed)
        y0 = y + column_at(column, left, rows, right)
        y1 = y + column_at(column + 1, left, rows, right)
        y2 = y + column_at(column + 2, left, rows, right)
        for row in range(0, rows, ROWS):
            tile(
                *(weights, place, row_step, k_step, bias, add, row, rows),
                *(work, packed, size, right, y0, y1, y2),
            )


@compiled
def part_offsets(op, first):
    """Where the part that begins at `first` of the left lies in what goes in and comes out."""
    row = first * op.right * LANES
    return row * op.size * op.input_kept, row * op.units * op.output_kept


@compiled
def linear(op, weights, work, packed, first, left):
    """Forward, for a part of the left."""
    at, to = part_offsets(op, first)
    source, target = (op.input + at, op.size), (op.output + to, op.units)
    kernel = (op.kernel, 1, op.units)
    product(weights, kernel, op.bias, False, work, packed, source, target, left, op.right)
    if op.activation:
        slope = op.slope + to if op.slope >= 0 else -1
        activate(op.activation, work, op.output + to, slope, left * op.units * op.right)


@compiled
def linear_gradient(op, weights, work, packed, gradient, first, left):
    """Backward, likewise; adds to the gradient of the weights."""
    at, to = part_offsets(op, first)
    x, g = op.input + at, op.output_gradient + to
    through_activation(op, work, gradient, g, op.slope + to if op.slope >= 0 else -1, left)
    for i in range(0, op.size, ROWS):
        for j in range(0, op.units, COLUMNS):
            kernel_tile(op, work, gradient, x, g, left, i, j)
    if op.input_gradient >= 0:
        source, target = (g, op.units), (op.input_gradient + at, op.size)
        kernel = (op.kernel, op.units, 1)
        product(weights, kernel, -1, op.add, work, packed, source, target, left, op.right)


@compiled
def kernel_tile(op, work, gradient, x, g, left, i0, j0):
    """ROWS by COLUMNS numbers of the kernel's gradient, summed over columns and lanes."""
    row = op.right * LANES
    i1, i2, i3 = min(i0 + 1, op.size - 1), min(i0 + 2, op.size - 1), min(i0 + 3, op.size - 1)
    j1, j2 = min(j0 + 1, op.units - 1), min(j0 + 2, op.units - 1)
    zero = splat(f32(0.0))
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = d0 = d1 = d2 = zero
    # Where nothing lies to the right of the axis, what lies to its left is one long loop.
    outer, inner, x_step, g_step = left, op.right, LANES, LANES
    if op.right == 1:
        outer, inner, x_step, g_step = 1, left, op.size * LANES, op.units * LANES
    for n in range(outer):
        for m in range(inner):
            u = x + n * op.size * row + m * x_step
            v = g + n * op.units * row + m * g_step
            g0, g1, g2 = load3(work, v + j0 * row, v + j1 * row, v + j2 * row)
            w = load(work, u + i0 * row)
            a0, a1, a2 = fma(w, g0, a0), fma(w, g1, a1), fma(w, g2, a2)
            w = load(work, u + i1 * row)
            b0, b1, b2 = fma(w, g0, b0), fma(w, g1, b1), fma(w, g2, b2)
            w = load(work, u + i2 * row)
            c0, c1, c2 = fma(w, g0, c0), fma(w, g1, c1), fma(w, g2, c2)
            w = load(work, u + i3 * row)
            d0, d1, d2 = fma(w, g0, d0), fma(w, g1, d1), fma(w, g2, d2)
    sums = (
        (i0, total(a0), total(a1), total(a2)),
        (i1, total(b0), total(b1), total(b2)),
        (i2, total(c0), total(c1), total(c2)),
        (i3, total(d0), total(d1), total(d2)),
    )
    for r in range(min(ROWS, op.size - i0)):
        i, s0, s1, s2 = sums[r]
        at = op.kernel + i * op.units
        gradient[at + j0] += s0
        if j1 > j0:
            gradient[at + j1] += s1
        if j2 > j1:
            gradient[at + j2] += s2


@compiled
def through_activation(op, work, gradient, at, slope, left):
    """Through the activation, in place, and on to the bias."""
    width = op.right * LANES
    for j in range(op.units):
        sums = splat(f32(0.0))
        for i in range(left):
            offset = (i * op.units + j) * width
            for n in range(offset, offset + width, LANES):
                g = load(work, at + n)
                if slope >= 0:
                    g = g * load(work, slope + n)
                    store(work, at + n, g)
                sums = sums + g
        gradient[op.bias + j] += total(sums)


@compiled
def merge(op, weights, work):
    """`input + gate * other`."""
    gate = splat(weights[op.gate] if op.gate >= 0 else f32(1.0))
    for n in range(0, op.size * LANES, LANES):
        y = gate * load(work, op.other + n)
        if op.input >= 0:
            y = load(work, op.input + n) + y
        store(work, op.output + n, y)


@compiled
def merge_gradient(op, weights, work, gradient):
    """Of `other` and of the gate."""
    gate, sums = splat(weights[op.gate] if op.gate >= 0 else f32(1.0)), splat(f32(0.0))
    for n in range(0, op.size * LANES, LANES):
        g = load(work, op.output_gradient + n)
        sums = fma(g, load(work, op.other + n), sums)
        store(work, op.other_gradient + n, gate * g)
    if op.gate >= 0:
        gradient[op.gate] += total(sums)


# ---- a group of images ----------------------------------------------------------------------


@compiled
def fetch(images, rows, work):
    """Images into the lanes, as the first tensor; where a row is -1 the first one's once more."""
    pixels = images.shape[1]
    for lane in range(LANES):
        image = images[rows[lane] if rows[lane] >= 0 else rows[0]]
        for n in range(pixels):
            work[n * LANES + lane] = image[n]


@compiled
def forward(operations, weights, work, packed):
    """Every operation in turn; those that belong together, part by part."""
    begin = 0
    while begin < len(operations):
        run = operations[begin]
        end = begin + run.together
        for first in range(0, run.left, run.part):
            left = min(run.part, run.left - first)
            for n in range(begin, end):
                op = operations[n]
                if op.kind == LINEAR:
                    linear(op, weights, work, packed, first, left)
                else:
                    merge(op, weights, work)
        begin = end


@compiled
def backward(operations, weights, work, packed, gradient):
    """Every operation in reverse, likewise; adds to the gradient of the weights."""
    end = len(operations)
    while end > 0:
        run = operations[end - 1]
        begin = end - run.together
        for first in range(0, run.left, run.part):
            left = min(run.part, run.left - first)
            for n in range(begin, end - 1):
                op = operations[n]
                if not op.output_kept:
                    linear(op, weights, work, packed, first, left)
            for n in range(end - 1, begin - 1, -1):
                op = operations[n]
                if op.kind == LINEAR:
                    linear_gradient(op, weights, work, packed, gradient, first, left)
                else:
                    merge_gradient(op, weights, work, gradient)
        end = begin


@compiled
def class_loss(labels, rows, work, at, gradient, classes, totals):
    """Softmax cross-entropy of each image; its gradient; sums of losses, right answers, images."""
    for lane in range(LANES):
        logits = work[at + lane : at + classes * LANES : LANES]
        out = work[gradient + lane : gradient + classes * LANES : LANES]
        if rows[lane] < 0:
            out[:] = f32(0.0)
            continue
        label, best, normal = labels[rows[lane]], np.argmax(logits), f32(0.0)
        for c in range(classes):
            out[c] = np.exp(logits[c] - logits[best])
            normal += out[c]
        totals[0] += np.log(normal) + logits[best] - logits[label]
        totals[1] += f32(best == label)
        totals[2] += f32(1.0)
        for c in range(classes):
            out[c] /= normal
        out[label] -= f32(1.0)


@compiled
def image_loss(rows, work, at, gradient, pixels, totals):
    """Mean squared difference of each image from the first tensor, likewise."""
    scale = f32(2.0) / pixels
    for lane in range(LANES):
        squares = f32(0.0)
        for n in range(lane, pixels * LANES, LANES):
            difference = work[at + n] - work[n]
            squares += difference * difference
            work[gradient + n] = scale * difference if rows[lane] >= 0 else f32(0.0)
        if rows[lane] >= 0:
            totals[0] += squares / pixels
            totals[2] += f32(1.0)


# ---- what several threads do together -------------------------------------------------------

_give_way = types.ExternalFunction(
    "SwitchToThread" if os.name == "nt" else "sched_yield", types.int32()
)


def _counter(context, builder, kind, array, index):
    """Pointer to an int64."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


@intrinsic
def read(typing, counters, index):
    """A counter, and with it all that was written before others counted."""

    def code(context, builder, signature, arguments):
        place = _counter(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(counters, types.int64), code


@intrinsic
def count(typing, counters, index):
    """Adds 1 to a counter, after all that this thread has written."""

    def code(context, builder, signature, arguments):
        place = _counter(context, builder, signature.args[0], *arguments)
        builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "acq_rel")
        return context.get_dummy_value()

    return types.void(counters, types.int64), code


@intrinsic
def claim(typing, counters, index, value):
    """Adds 1 to a counter if it still is `value`; whether it was."""

    def code(context, builder, signature, arguments):
        place = _counter(context, builder, signature.args[0], *arguments[:2])
        more = builder.add(arguments[2], ir.Constant(ir.IntType(64), 1))
        pair = builder.cmpxchg(place, arguments[2], more, "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(counters, types.int64, types.int64), code


@compiled
def next_task(counters, size, tasks):
    """The next task that nobody has, once all phases of `size` tasks before its own are done.

    -1 after the last one. A thread that waits has no task: the others go on without it where
    it does not run, and it lets other work have its core.
    """
    looks = 0
    while True:
        task = read(counters, CLAIMED)
        if task >= tasks:
            return -1
        if read(counters, DONE) >= task - task % size:
            if claim(counters, CLAIMED, task):
                return task
        else:
            looks += 1
            if looks > PATIENCE:
                _give_way()


@intrinsic
def rounding(typing):
    """The word that says how this thread's processor rounds."""

    def code(context, builder, signature, arguments):
        if ARM:
            return _call(builder, "llvm.aarch64.get.fpcr", ir.IntType(64))
        word = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(32), 0))
        if X86:
            place = builder.bitcast(word, ir.IntType(8).as_pointer())
            _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), place)
        return builder.zext(builder.load(word), ir.IntType(64))

    return types.int64(), code


@intrinsic
def set_rounding(typing, word):
    """Sets that word."""

    def code(context, builder, signature, arguments):
        if ARM:
            _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), *arguments)
        elif X86:
            short = builder.trunc(arguments[0], ir.IntType(32))
            place = cgutils.alloca_once_value(builder, short)
            place = builder.bitcast(place, ir.IntType(8).as_pointer())
            _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), place)
        return context.get_dummy_value()

    return types.void(types.int64), code


@compiled
def flush_to_zero():
    """Numbers below 1e-38 are 0 in this thread, as in TensorFlow's: they slow a step by far.

    Returns:
        What to give to `set_rounding` at the end.
    """
    before = rounding()
    set_rounding(before | FLUSH)
    return before


@compiled
def adam(weights, mean, variance, gradients, seen, rate, first, last):
    """A step of some of the weights, along the mean gradient of the images seen."""
    for other in range(1, len(gradients)):
        for n in range(first, last):
            gradients[0, n] += gradients[other, n]
    for n in range(first, last):
        gradient = gradients[0, n] / seen
        mean[n] = f32(BETA_1) * mean[n] + f32(1 - BETA_1) * gradient
        variance[n] = f32(BETA_2) * variance[n] + f32(1 - BETA_2) * gradient * gradient
        weights[n] -= rate * mean[n] / (np.sqrt(variance[n]) + f32(EPSILON))


@compiled
def learn(plan, weights, images, labels, rows, work, gradient, totals):
    """Adds a group's losses, right answers and images to what is there.

    And its gradient, if that is not empty.
    """
    operations, packed, output, output_gradient, classes = plan
    fetch(images, rows, work)
    forward(operations, weights, work, packed)
    if classes:
        class_loss(labels, rows, work, output, output_gradient, classes, totals)
    else:
        image_loss(rows, work, output, output_gradient, images.shape[1], totals)
    if len(gradient):
        backward(operations, weights, work, packed, gradient)


@cached
def train(
    counters, plan, state, taken, rates, images, labels, order, work, gradients, totals, sums
):
    """What each of several threads does in a burst of steps: one task after another.

    A step is a phase in which each shard of the batch is a task, and one in which Adam takes as
    many parts of the weights.

    Args:
        counters: Shape (COUNTERS,), int64, 0 at the start: tasks claimed and done by all.
        plan: Operations; places of the packed columns, of the output and of its gradient; the
            number of classes, 0 for an autoencoder.
        state: Weights and Adam's moments, which change.
        taken: Steps taken before.
        rates: Adam's step size in each step.
        images: All there are, (images, pixels).
        labels: Theirs.
        order: Rows of them, (steps, shards, groups, LANES); -1 is none, and comes last.
        work: Memory of this thread.
        gradients: Memory of each shard.
        totals: Likewise, of three numbers at least.
        sums: Of the losses, right answers and images, and the first step whose loss was not
            finite (0: none); is added to.
    """
    weights, mean, variance = state
    shards, numbers = order.shape[1], len(weights)
    before = flush_to_zero()
    while True:
        task = next_task(counters, shards, 2 * shards * len(order))
        if task < 0:
            break
        phase, shard = divmod(task, shards)
        s = phase // 2
        if phase % 2 == 0:
            gradient, own = gradients[shard], totals[shard]
            gradient[:] = f32(0.0)
            own[:] = f32(0.0)
            for rows in order[s, shard]:
                if rows[0] >= 0:
                    learn(plan, weights, images, labels, rows, work, gradient, own)
        else:
            loss = correct = seen = f32(0.0)
            for other in range(shards):
                loss += totals[other, 0]
                correct += totals[other, 1]
                seen += totals[other, 2]
            step = taken + s + 1
            rate = f32(rates[s] * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step))
            first, last = numbers * shard // shards, numbers * (shard + 1) // shards
            adam(weights, mean, variance, gradients, seen, rate, first, last)
            if shard == 0:
                sums[0] += loss
                sums[1] += correct
                sums[2] += seen
                if sums[3] == 0 and not np.isfinite(loss):
                    sums[3] = step
        count(counters, DONE)
    set_rounding(before)


@cached
def measure(plan, weights, images, labels, order, work, totals):
    """Adds up losses, right answers and images over rows (groups, LANES)."""
    before = flush_to_zero()
    for rows in order:
        learn(plan, weights, images, labels, rows, work, work[:0], totals)
    set_rounding(before)


@cached
def look(operations, packed, weights, at, given, order, work, places, sizes, starts, out):
    """Writes what some tensors hold for rows (groups, LANES) of those given at another.

    Tensor t, at places[t] and sizes[t] long, goes to `out` from starts[t] on, row after row.
    """
    before = flush_to_zero()
    for rows in order:
        fetch(given, rows, work[at:])
        forward(operations, weights, work, packed)
        for t in range(len(places)):
            place, size = places[t], sizes[t]
            for lane in range(LANES):
                if rows[lane] >= 0:
                    row = out[starts[t] + rows[lane] * size :]
                    for n in range(size):
                        row[n] = work[place + n * LANES + lane]
    set_rounding(before)
