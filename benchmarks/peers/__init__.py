"""The contenders of `benchmarks/training.py`, one a file: the same training in other hands.

Every contender is a class with

- `__init__(problem, weights)`: from these weights, ready to train but nothing compiled;
- `train(first, count) -> float`: takes the steps `first ... first + count - 1` of
  `problem.order` and returns their mean loss, once they are done;
- `weights()`: as they are now, by the names of `accounting(spec).weights`;
- `chunk`: how many steps one call of the framework takes; `count` is a multiple of it;
- `warm()`, if it has one: compiles what training meets later only;
- `multiply()`, if it has one: a product of two float32 matrices, `SIZE` x `SIZE`.

Each lives in a process of its own, so that no framework takes another's threads or memory.
"""

CONTENDERS = {
    "train": "this_project:Train",
    "keras": "stock_keras:Keras",
    "keras-jit": "stock_keras:KerasJit",
    "keras-jit-32": "stock_keras:KerasJit32",
    "torch": "pytorch:Eager",
    "torch-compile": "pytorch:Compiled",
    "jax": "jax_scan:Scan",
}
OURS = "train"
LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7  # Keras's Adam
SIZE = 2_048  # of the matrices that tell what arithmetic the machine can do
