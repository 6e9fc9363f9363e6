"""Reads the sources and holds which module may import which."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# An upper line may import a lower one, never the other way.
LINES = (
    ("app", "pages"),
    ("ndmixer.__main__",),
    ("ndmixer.app",),
    ("ndmixer.jobs",),
    ("ndmixer.training",),
    ("ndmixer.xla",),
    ("ndmixer.models",),
    ("ndmixer.layers",),
    # Below this line nothing imports TensorFlow or Keras.
    ("ndmixer.exchange",),
    ("ndmixer.runs",),
    ("ndmixer.depth",),
    ("ndmixer.inspection",),
    ("ndmixer.representations",),
    ("ndmixer.figures_depth",),
    ("ndmixer.figures_points",),
    ("ndmixer.figures_runs",),
    ("ndmixer.tensors",),
    ("ndmixer.figures",),
    ("ndmixer.comparing",),
    ("ndmixer.embedding",),
    ("ndmixer.probing",),
    ("ndmixer.geometry",),
    ("ndmixer.images",),
    ("ndmixer.digits",),
    ("ndmixer.reconstruction",),
    ("ndmixer.surgery",),
    ("ndmixer.kernels",),
    ("ndmixer.datasets",),
    ("ndmixer.presets",),
    ("ndmixer.accounting",),
    ("ndmixer.spec",),
    ("ndmixer.equation",),
)
LOWEST_WITH_TENSORFLOW = 7
LAZY_KERAS = {"ndmixer.datasets.keras_cached"}  # downloads through Keras, in a function
TENSORFLOW = {"tensorflow", "keras"}


def read_sources(root):
    """The text of every module, by dotted name; a package is named as its folder."""
    paths = [root / "app.py", *root.glob("pages/*.py"), *root.glob("ndmixer/**/*.py")]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]
    return {
        name.removesuffix(".__init__"): path.read_text(encoding="utf-8")
        for name, path in zip(names, paths, strict=True)
    }


SOURCES = read_sources(ROOT)


def line_of(module):
    """Number of a module's line from the top; None if it has none."""
    return next(
        (
            number
            for number, names in enumerate(LINES)
            if any(module == name or module.startswith(f"{name}.") for name in names)
        ),
        None,
    )


def public_names(sources):
    """Which module each name of the package itself comes from."""
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.parse(sources["ndmixer"]))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("ndmixer.")
        for alias in node.names
    }


def runs_later(node):
    """Whether a statement's body is not run by an import."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def imports(module, sources, *, at_import_time=False):
    """What a module imports, anywhere or when it is imported itself."""
    public, found = public_names(sources), set()

    def resolve(base, name):
        if f"{base}.{name}" in sources:
            return f"{base}.{name}"
        return public.get(name, base) if base == "ndmixer" else base

    def visit(node):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports in full"
            found.update(resolve(node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ndmixer":
            found.add(resolve("ndmixer", node.attr))
        elif at_import_time and runs_later(node):
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(sources[module]))
    return found - {module}


def reached(module, sources):
    """All that is imported once a module is, packages above each included."""
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        if name in sources:
            waiting += imports(name, sources, at_import_time=True)
    return seen


def wrong_imports(sources):
    """Every import against the order, as `module -> imported`."""
    wrong = []
    for module in sources:
        if module == "ndmixer":
            continue  # hands on the public names of all lines
        for imported in sorted(imports(module, sources)):
            top = imported.partition(".")[0]
            below = line_of(module) > LOWEST_WITH_TENSORFLOW
            upwards = imported != "ndmixer" and (line_of(imported) or 99) < line_of(module)
            too_heavy = top in TENSORFLOW and below and module not in LAZY_KERAS
            if (
                (upwards or too_heavy)
                or (line_of(imported) == 0)
                or (top == "streamlit" and line_of(module) not in (0, line_of("ndmixer.app")))
            ):
                wrong.append(f"{module} -> {imported}")
    return wrong


def test_every_module_has_a_line():
    without = [m for m in SOURCES if m != "ndmixer" and line_of(m) is None]
    assert not without, "say in LINES and in the documents where it belongs"
    assert {"app", "ndmixer.spec", "ndmixer.models.build", "ndmixer.datasets"} <= set(SOURCES)


def test_imports_point_downwards():
    assert wrong_imports(SOURCES) == []


TRAINS = range(line_of("ndmixer.training"), LOWEST_WITH_TENSORFLOW + 1)


@pytest.mark.parametrize("module", [m for m in sorted(SOURCES) if line_of(m) not in TRAINS])
def test_only_what_trains_loads_tensorflow(module):
    heavy = {name for name in reached(module, SOURCES) if name.partition(".")[0] in TENSORFLOW}
    assert not heavy, "the web process never imports TensorFlow or Keras"


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        ("ndmixer.spec", "from ndmixer.models import build_model", "ndmixer.models"),
        ("ndmixer.spec", "from ndmixer import accounting", "ndmixer.accounting"),
        ("ndmixer.layers.layers", "def f():\n    from ndmixer import train", "ndmixer.training"),
        ("ndmixer.geometry", "import ndmixer\nndmixer.train", "ndmixer.training"),
        ("ndmixer.geometry", "import ndmixer.runs as r", "ndmixer.runs"),
        ("ndmixer.accounting", "import tensorflow as tf", "tensorflow"),
        ("ndmixer.runs", "def f():\n    from keras.saving import load_model", "keras.saving"),
        ("ndmixer.jobs", "import streamlit as st", "streamlit"),
        ("ndmixer.jobs", "from ndmixer.app import live", "ndmixer.app.live"),
        ("ndmixer.app.live", "import pages.train", "pages.train"),
        ("pages.train", "import app", "app"),
    ],
)
def test_an_import_against_the_order_is_found(module, line, wrong):
    found = wrong_imports({**SOURCES, module: line})
    assert f"{module} -> {wrong}" in found


@pytest.mark.parametrize(
    ("line", "heavy"),
    [
        ("from ndmixer import build_model", True),
        ("import ndmixer.models.build", True),
        ("from ndmixer.representations import representations", False),
        ("def f():\n    from ndmixer import build_model", False),
        ("if TYPE_CHECKING:\n    import keras", False),
        ("from ndmixer import accounting, load_dataset", False),
    ],
)
def test_what_is_loaded_through_others_is_found(line, heavy):
    names = {name.partition(".")[0] for name in reached("app", {**SOURCES, "app": line})}
    assert bool(names & TENSORFLOW) == heavy


LIGHT_THEN_HEAVY = """
import importlib, sys
import ndmixer
for name in sys.argv[1:]:
    importlib.import_module(name)
for preset in ndmixer.PRESETS.values():
    assert ndmixer.accounting(preset.model).flops > 0
    assert ndmixer.stages(preset.model)[0] == "input"
    type(preset.model).from_query(preset.model.to_query())
assert ndmixer.load_dataset("mnist").num_classes == 10
loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras"})
assert not loaded, loaded

assert set(ndmixer.__all__) <= set(dir(ndmixer))
try:
    ndmixer.no_such_name
except AttributeError as error:
    assert "no_such_name" in str(error)
else:
    raise AssertionError
model = ndmixer.build_model(ndmixer.ModelSpec(depth=0))
assert "tensorflow" in sys.modules
assert model.output_shape == (None, 10)
for name in ndmixer.__all__:
    assert getattr(ndmixer, name) is not None, name
    exec(f"from ndmixer import {name}")
print("all reachable")
"""


def test_the_package_is_light_until_a_model_is_asked_for():
    light = [m for m in SOURCES if (line_of(m) or 0) > LOWEST_WITH_TENSORFLOW]
    light += [m for m in SOURCES if m == "ndmixer.jobs" or m.startswith("ndmixer.app")]
    assert len(light) > 8
    ended = subprocess.run(
        [sys.executable, "-c", LIGHT_THEN_HEAVY, *light],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stdout.splitlines()[-1:] == ["all reachable"], ended.stderr
    assert ended.returncode == 0
