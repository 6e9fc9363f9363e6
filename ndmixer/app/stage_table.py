"""The stages of a model as a table: what accounting says, for people."""

from html import escape
from itertools import groupby
from pathlib import Path

from ndmixer.accounting import Accounting, Stage

_STYLE = f"<style>{Path(__file__).with_suffix('.css').read_text('utf-8')}</style>"


def stage_table(account: Accounting) -> str:
    """HTML of one row a stage; equal blocks share a row.

    Args:
        account: The accounting of a model.
    """
    rows = [_row(group) for group in _grouped(account.stages)]
    total = f"<td>All</td><td></td><td></td>{_numbers(account.parameters, account.flops)}"
    return (
        f'{_STYLE}<div class="stages-scroll"><table class="stages"><thead><tr>'
        "<th>Stage</th><th>Shape</th><th>Equation</th>"
        "<th>Parameters</th><th>FLOPs an image</th></tr></thead>"
        f"<tbody>{''.join(rows)}<tr>{total}</tr></tbody></table></div>"
    )


def _grouped(stages: tuple[Stage, ...]) -> list[tuple[Stage, ...]]:
    blocks = tuple(stage for stage in stages if stage.axes)
    first = stages.index(blocks[0]) if blocks else len(stages)
    groups = [(stage,) for stage in stages if not stage.axes]
    return groups[:first] + ([blocks] if blocks else []) + groups[first:]


def _row(group: tuple[Stage, ...]) -> str:
    stage = group[0]
    name = stage.name if len(group) == 1 else f"{stage.name} … {group[-1].name}"
    notes = [f"<code>{escape(text)}</code>" for text in _equations(stage)]
    if stage.gate:
        notes.append("<small>times a gate that starts at 0</small>")
    note = "".join(notes)
    parameters = sum(s.parameters for s in group)
    flops = 2 * sum(s.multiply_adds for s in group)
    shape = " × ".join(map(str, stage.shape))
    return f"<tr><td>{name}</td><td>{shape}</td><td>{note}</td>{_numbers(parameters, flops)}</tr>"


def _equations(stage: Stage) -> list[str]:
    """One line a map; the two of an MLP share one."""
    return [
        f"{equation}  {'twice, an MLP' if len(list(same)) == 2 else ''}".rstrip()
        for (_, equation), same in groupby(
            stage.linears, lambda linear: (linear.axis, linear.equation)
        )
    ]


def _numbers(parameters: int, flops: int) -> str:
    return f"<td>{parameters:,}</td><td>{flops:,}</td>"
