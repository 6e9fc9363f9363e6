"""The flow of a model, from image to output: a box for each stage, an arrow for its maps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from itertools import groupby

import streamlit as st

from ndmixer.accounting import Stage, accounting
from ndmixer.app import source
from ndmixer.spec import ModelSpec

_component = st.components.v2.component(
    "ndmixer_flow",
    html='<figure class="flow"><div class="scroll"></div><figcaption><span></span>'
    '<span class="save"></span></figcaption></figure>',
    css=source("save.css", "flow.css"),
    js=source("save.js", "flow.js"),
)

# In pixels. The width of a text is reckoned from its letters, as no browser is here to ask.
LETTER, LINE = 6.4, 13
BOX, BOX_HEIGHT = 58, 40
SQUARE, ROW_OF = 24, 8
GAP, PAD = 18, 10
LEAST = 0.85  # of its size, to which it is drawn smaller before it has to be scrolled


def show_flow(spec: ModelSpec, chosen: str, on_choose: Callable[[str], None]) -> None:
    """Draws the strip; a click, Enter or an arrow key chooses a stage.

    Args:
        spec: The model.
        chosen: Name of the stage that is marked.
        on_choose: Called with the name of another stage that a person chose.
    """
    account = accounting(spec)
    total = (
        f"The model in the controls: {account.parameters:,} parameters, "
        f"{account.flops:,} FLOPs an image (forward)"
    )
    _component(
        key="flow",
        data={"svg": flow_svg(spec), "total": total, "chosen": chosen},
        on_stage_change=lambda: on_choose(str(st.session_state.flow.get("stage") or "")),
    )


def flow_svg(spec: ModelSpec) -> str:
    """The strip as SVG: all that `accounting` says, from the input to the output.

    The blocks share one frame, for they are alike: their equations stand there once, and
    each has a square of its own. Whatever can be chosen is a group of class `stage` with
    the attribute `data-stage`.

    Args:
        spec: The model.

    Returns:
        One `<svg>` element, as wide and high as it needs to be.
    """
    stages = accounting(spec).stages
    blocks = tuple(stage for stage in stages if stage.axes)
    maps = [_equations(stage) for stage in stages]
    above = max([len(lines) for lines in maps] + [len(maps[stages.index(s)]) + 2 for s in blocks])
    canvas = _Canvas(middle=above * LINE + 23)
    for stage in stages:
        if stage in blocks:
            if stage == blocks[0]:
                canvas.arrow([], [])
                canvas.frame(_formula(spec), blocks)
        else:
            if stage != stages[0]:
                note = ["each alone, side by side"] if _alone(stage, spec) else []
                canvas.arrow(_equations(stage), note + _costs(stage, ""))
            canvas.box(stage)
    return canvas.svg()


@dataclass
class _Canvas:
    """What is drawn so far, and where the next thing goes; `middle` is the arrows' height."""

    middle: int
    x: float = 1.0
    bottom: float = 0.0
    parts: list[str] = field(default_factory=list)

    def text(self, lines: list[str], x: float, y: float, kind: str = "small") -> None:
        for i, line in enumerate(lines):
            name = "map" if "->" in line else kind
            self.parts.append(
                f'<text class="{name}" x="{x:g}" y="{y + i * LINE:g}">{escape(line)}</text>'
            )
        self.bottom = max(self.bottom, y + len(lines) * LINE)

    def arrow(self, over: list[str], under: list[str]) -> None:
        length = max([_width([*over, *under]) + 12, GAP])
        end, y = self.x + length, self.middle
        self.parts.append(
            f'<path class="arrow" d="M{self.x + 2:g} {y}H{end - 3:g}m-5 -4l5 4l-5 4"/>'
        )
        middle = self.x + length / 2 - 1
        self.text(over, middle, y - 8 - (len(over) - 1) * LINE)
        self.text(under, middle, y + 16)
        self.x = end

    def box(self, stage: Stage) -> None:
        name, shape = stage.name, _shape(stage)
        width = max(BOX, _width([shape]) + PAD)
        y = self.middle - BOX_HEIGHT / 2
        self._stage(
            stage,
            f'<rect x="{self.x:g}" y="{y:g}" width="{width:g}" height="{BOX_HEIGHT}" rx="4"/>'
            f'<text class="name" x="{self.x + width / 2:g}" y="{y + 17:g}">{name}</text>'
            f'<text class="small" x="{self.x + width / 2:g}" y="{y + 31:g}">{shape}</text>',
        )
        self.bottom = max(self.bottom, y + BOX_HEIGHT)
        self.x += width

    def frame(self, formula: str, blocks: tuple[Stage, ...]) -> None:
        count, first = len(blocks), blocks[0]
        title = f"{count} block{'s' if count > 1 else ''}, {_shape(first)}"
        equations, each = _equations(first), f"{count} × " if count > 1 else ""
        costs = _costs(first, each)
        columns = min(count, ROW_OF)
        texts = _width([title, formula, *equations, *costs])
        width = max(texts, columns * SQUARE) + 2 * PAD
        left, middle = self.x, self.x + width / 2
        top = self.middle - 21 - (len(equations) + 2) * LINE
        self.text([title], middle, top + LINE, "name")
        self.text([formula, *equations], middle, top + 2 * LINE)
        for i, block in enumerate(blocks):
            row, column = divmod(i, ROW_OF)
            x = middle - columns * SQUARE / 2 + column * SQUARE + 1
            y = self.middle - SQUARE / 2 + row * SQUARE + 1
            size = SQUARE - 2
            self._stage(
                block,
                f'<rect x="{x:g}" y="{y:g}" width="{size}" height="{size}" rx="3"/>'
                f'<text class="name" x="{x + size / 2:g}" y="{y + 15:g}">{i}</text>',
            )
        below = self.middle - SQUARE / 2 + -(-count // ROW_OF) * SQUARE
        self.text(costs, middle, below + 14)
        self.bottom = max(self.bottom, below + 14 + len(costs) * LINE)
        self.parts.insert(
            0,
            f'<rect class="frame" x="{left:g}" y="{top:g}" width="{width:g}" '
            f'height="{self.bottom - top:g}" rx="6"/>',
        )
        self.x += width

    def _stage(self, stage: Stage, content: str) -> None:
        label = f"{stage.name.replace('_', ' ')}, shape {_shape(stage)}"
        self.parts.append(
            f'<g class="stage" data-stage="{stage.name}" role="button" tabindex="-1" '
            f'aria-label="{label}"><title>{label}</title>{content}</g>'
        )

    def svg(self) -> str:
        width, height = self.x + 1, self.bottom + 2
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'style="min-width:{LEAST * width:g}px" '
            f'viewBox="0 0 {width:g} {height:g}" role="group" '
            f'aria-label="The flow of the model">{"".join(self.parts)}</svg>'
        )


def _equations(stage: Stage) -> list[str]:
    """Two lines an axis: the einsum of its one or two maps, the sizes that they change."""
    lines = []
    for (axis, equation), group in groupby(stage.linears, lambda m: (m.axis, m.equation)):
        maps = list(group)
        sizes = " → ".join(map(str, [maps[0].kernel_shape[0], *(m.units for m in maps)]))
        activation = f", {maps[0].activation}" if maps[0].activation else ""
        place = "" if stage.name == "logits" else f"axis {axis}: "
        lines += [equation, f"{place}{sizes}{activation}"]
    return lines


def _costs(stage: Stage, times: str) -> list[str]:
    return [f"{times}{stage.parameters:,} parameters", f"{times}{2 * stage.multiply_adds:,} FLOPs"]


def _formula(spec: ModelSpec) -> str:
    return ("h + " if spec.residual else "") + ("gate × " if spec.gate else "") + "mixer(h)"


def _alone(stage: Stage, spec: ModelSpec) -> bool:
    return stage.name == "head" and spec.head == "axis_concat"


def _shape(stage: Stage) -> str:
    return " × ".join(map(str, stage.shape))


def _width(lines: list[str]) -> float:
    return max(map(len, lines), default=0) * LETTER
