"""PyTorch: each axis moved last for a contiguous `Linear`, and the fused Adam."""

import os
from math import sqrt

os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # else a second start would not be fresh

import torch
from torch.nn import functional

from ndmixer import ModelSpec, accounting
from peers import BETA_1, BETA_2, EPSILON, LEARNING_RATE, SIZE
from peers.problem import Problem, Weights

ACTIVATIONS = {"gelu": functional.gelu, None: torch.nn.Identity()}


class Mixer(torch.nn.Module):
    def __init__(self, spec: ModelSpec, weights: Weights) -> None:
        super().__init__()
        self.spec, self.stages = spec, accounting(spec).stages[1:]
        self.linears, self.gates = torch.nn.ModuleDict(), torch.nn.ParameterDict()
        for stage in self.stages:
            for linear in stage.linears:
                layer = torch.nn.Linear(*linear.kernel_shape)
                kernel, bias = weights[f"{linear.name}/kernel"], weights[f"{linear.name}/bias"]
                layer.weight.data = torch.tensor(kernel.T).contiguous()
                layer.bias.data = torch.tensor(bias)
                self.linears[linear.name] = layer
            if stage.gate:
                self.gates[stage.gate] = torch.nn.Parameter(torch.tensor(weights[stage.gate]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            if stage.name == "logits":
                x = x.flatten(1)
            mixed = x
            for linear in stage.linears:
                mixed = self.linears[linear.name](mixed.movedim(linear.axis, -1))
                mixed = ACTIVATIONS[linear.activation](mixed).movedim(-1, linear.axis)
            if stage.gate:
                mixed = self.gates[stage.gate] * mixed
            x = x + mixed if stage.axes and self.spec.residual else mixed
        return x


class Eager:
    chunk = 1

    def __init__(self, problem: Problem, weights: Weights) -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        torch.set_num_interop_threads(os.cpu_count() or 1)
        self._problem = problem
        self._model = Mixer(problem.spec, weights)
        self._adam = torch.optim.Adam(
            self._model.parameters(), LEARNING_RATE, (BETA_1, BETA_2), EPSILON, fused=True
        )
        self._x = torch.from_numpy(problem.x.copy())
        self._y = torch.from_numpy(problem.y.copy()).long() if problem.classifier else self._x
        self._measure = functional.cross_entropy if problem.classifier else functional.mse_loss

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._measure(self._model(x), y)

    def train(self, first: int, count: int) -> float:
        total = torch.zeros(())
        for step, rows in enumerate(torch.from_numpy(self._problem.order(first, count)), first + 1):
            self._adam.param_groups[0]["eps"] = EPSILON / sqrt(1 - BETA_2**step)  # as in Keras
            loss = self.loss(self._x[rows], self._y[rows])
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()
            total += loss.detach()
        return total.item() / count

    def weights(self) -> Weights:
        found = {}
        for name, layer in self._model.linears.items():
            found[f"{name}/kernel"] = layer.weight.detach().numpy().T.copy()
            found[f"{name}/bias"] = layer.bias.detach().numpy().copy()
        return found | {name: g.detach().numpy().copy() for name, g in self._model.gates.items()}

    def multiply(self) -> None:
        a = torch.ones(SIZE, SIZE)
        a @ a


class Compiled(Eager):
    def __init__(self, problem: Problem, weights: Weights) -> None:
        super().__init__(problem, weights)
        self.loss = torch.compile(self.loss, fullgraph=True, dynamic=False)
