"""The flow against the accounting, read back as a document."""

import re
from xml.etree import ElementTree

import pytest

from ndmixer import PRESETS, ModelSpec, accounting
from ndmixer.app.flow import flow_svg

SPECS = {
    **{name: preset.model for name, preset in PRESETS.items()},
    "no blocks": ModelSpec(depth=0),
    "deepest": ModelSpec(depth=256),
    "each axis alone": ModelSpec(head="axis_concat", gate=False),
    "bare": ModelSpec(embedding=False, residual=False, depth=1),
    "of 25 axes": ModelSpec(in_shape=(1,) * 24 + (784,), repr_shape=(2,) * 25),
}


def read(spec: ModelSpec) -> ElementTree.Element:
    return ElementTree.fromstring(re.sub(' xmlns="[^"]*"', "", flow_svg(spec)))


def texts(spec: ModelSpec) -> list[str]:
    return [element.text for element in read(spec).iter("text")]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_flow_says_all_that_accounting_says(spec):
    account, said = accounting(spec), texts(spec)
    stages = {g.get("data-stage"): g.get("aria-label") for g in read(spec).iter("g")}
    assert list(stages) == [stage.name for stage in account.stages]
    for stage in account.stages:
        assert stages[stage.name].endswith(" × ".join(map(str, stage.shape)))
        assert set(stage.equations) <= set(said)

    def total(unit: str) -> int:
        found = (re.fullmatch(rf"(?:(\d+) × )?([\d,]+) {unit}", line) for line in said)
        return sum(int(m[1] or 1) * int(m[2].replace(",", "")) for m in found if m)

    assert total("parameters") == account.parameters
    assert total("FLOPs") == account.flops


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_nothing_lies_outside_or_on_another_stage(spec):
    svg = read(spec)
    width, height = float(svg.get("width")), float(svg.get("height"))
    boxes = []
    for rect in svg.iter("rect"):
        x, y, w, h = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
        if rect.get("class") != "frame":
            boxes.append((x, y, x + w, y + h))
    for text in svg.iter("text"):
        assert 0 < float(text.get("x")) < width
        assert 8 < float(text.get("y")) < height
    for i, (left, top, right, bottom) in enumerate(boxes):
        for x, y, x_end, y_end in boxes[:i]:
            assert x_end <= left or right <= x or y_end <= top or bottom <= y


@pytest.mark.parametrize(
    ("change", "formula"),
    [
        ({}, "h + gate × mixer(h)"),
        ({"gate": False}, "h + mixer(h)"),
        ({"residual": False}, "gate × mixer(h)"),
        ({"gate": False, "residual": False}, "mixer(h)"),
    ],
)
def test_the_frame_of_the_blocks_says_how_they_work(change, formula):
    said = texts(ModelSpec(depth=3, hidden_size=64, **change))
    assert {"3 blocks, 28 × 28", formula, "axis 1: 28 → 64 → 28, gelu"} <= set(said)
