"""JAX: `jit` of a `scan` over 32 steps, which gathers their batches itself.

The batch is the last axis inside, as in `ndmixer.models.forward`: that is 1.5 times as fast as
the axis moved last for `x @ kernel`.
"""

from functools import partial

import jax
import jax.numpy as jnp

from ndmixer import ModelSpec, accounting
from peers import BETA_1, BETA_2, EPSILON, LEARNING_RATE, SIZE
from peers.problem import Problem, Weights


def outputs(spec: ModelSpec, weights: Weights, x: jax.Array) -> jax.Array:
    """Shape (..., batch), from (*spec.in_shape, batch)."""
    for stage in accounting(spec).stages[1:]:
        if stage.name == "logits":
            x = x.reshape(-1, x.shape[-1])
        mixed = x
        for linear in stage.linears:
            kernel, bias = weights[f"{linear.name}/kernel"], weights[f"{linear.name}/bias"]
            mixed = jnp.moveaxis(mixed, linear.axis - 1, 0)
            shape = (linear.units, *mixed.shape[1:])
            mixed = kernel.T @ mixed.reshape(len(mixed), -1) + bias[:, None]
            if linear.activation == "gelu":
                mixed = jax.nn.gelu(mixed, approximate=False)
            mixed = jnp.moveaxis(mixed.reshape(shape), 0, linear.axis - 1)
        if stage.gate:
            mixed = weights[stage.gate] * mixed
        x = x + mixed if stage.axes and spec.residual else mixed
    return x


def loss(spec: ModelSpec, weights: Weights, x: jax.Array, y: jax.Array) -> jax.Array:
    found = jnp.moveaxis(outputs(spec, weights, jnp.moveaxis(x, 0, -1)), -1, 0)
    if spec.task == "autoencoder":
        return jnp.mean((found - y) ** 2)
    right = jnp.take_along_axis(found, y[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(found, axis=1) - right)


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def steps(
    spec: ModelSpec, state: tuple, x: jax.Array, y: jax.Array, order: jax.Array
) -> tuple[tuple, jax.Array]:
    """One step of Adam for each row of `order`, and their losses."""

    def step(state: tuple, rows: jax.Array) -> tuple[tuple, jax.Array]:
        weights, mean, variance, count = state
        value, gradient = jax.value_and_grad(partial(loss, spec))(weights, x[rows], y[rows])
        count += 1
        mean = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, mean, gradient)
        variance = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, variance, gradient)
        rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, mean, variance
        )
        return (weights, mean, variance, count), value

    return jax.lax.scan(step, state, order)


class Scan:
    chunk = 32

    def __init__(self, problem: Problem, weights: Weights) -> None:
        self._problem = problem
        self._x = jnp.asarray(problem.x)
        self._y = jnp.asarray(problem.y) if problem.classifier else self._x
        start = {name: jnp.asarray(value) for name, value in weights.items()}
        self._state = start, *(jax.tree.map(jnp.zeros_like, start) for _ in range(2)), 0.0

    def train(self, first: int, count: int) -> float:
        order = self._problem.order(first, count)
        losses = []
        for begin in range(0, count, self.chunk):
            rows = order[begin : begin + self.chunk]
            self._state, values = steps(self._problem.spec, self._state, self._x, self._y, rows)
            losses.append(values)
        return float(jnp.concatenate(losses).mean())

    def weights(self) -> Weights:
        return {name: jax.device_get(value) for name, value in self._state[0].items()}

    def multiply(self) -> None:
        a = jnp.ones((SIZE, SIZE))
        jnp.matmul(a, a).block_until_ready()
