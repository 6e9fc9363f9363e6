"""Runs beside one another as curves; usable in a notebook."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ndmixer.comparing import History, Over
from ndmixer.figures import LIGHT, Theme, _dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Measure = Literal["loss", "score"]
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
AXES: dict[Over, str] = {"step": "steps", "images": "images seen", "seconds": "seconds of training"}


def run_curves(
    runs: Mapping[str, tuple[int, History]],
    what: Measure,
    over: Over,
    theme: Theme = LIGHT,
    *,
    unit: str = "",
    percent: bool = False,
) -> "Figure":
    """One measure of several runs: thin lines for training, thick ones with marks for the test.

    Args:
        runs: By name, the number that chooses colour, dashes and mark, and what was measured.
        what: Which measure; a loss has a logarithmic axis.
        over: What stands on the other axis.
        theme: `LIGHT` or `DARK`.
        unit: Title of the axis.
        percent: Whether the numbers are shares.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    form = ".2%" if percent else ".4g"
    for name, (number, history) in runs.items():
        colour = theme.palette[number % len(theme.palette)]
        dash, symbol = (kinds[number % len(kinds)] for kinds in (DASHES, SYMBOLS))
        for kind, curve in (("training", history.train), ("test", history.test)):
            test = kind == "test"
            mark: dict[str, Any] = {"marker": {"symbol": symbol, "size": 8}} if test else {}
            figure.add_trace(
                go.Scatter(
                    x=getattr(curve, over),
                    y=getattr(curve, what),
                    name=name,
                    legendgroup=name,
                    showlegend=test,
                    mode="lines+markers" if test else "lines",
                    line={"color": colour, "dash": dash, "width": 2 if test else 1},
                    opacity=1 if test else 0.55,
                    hovertemplate=f"{kind}: %{{y:{form}}} at %{{x:,.4~g}}",
                    **mark,
                )
            )
    figure.update_xaxes(title=AXES[over], showgrid=False, rangemode="tozero", zeroline=False)
    figure.update_yaxes(title=unit, gridcolor=theme.grid, zeroline=False)
    if what == "loss":
        # In full: Plotly would write 0.5 and 5 both as 5.
        ticks = [mark * 10.0**power for power in range(-9, 7) for mark in (1, 2, 5)]
        text = [f"{tick:g}" for tick in ticks]
        figure.update_yaxes(type="log", tickmode="array", tickvals=ticks, ticktext=text)
    elif percent:
        figure.update_yaxes(tickformat=".0%")
    _dress(figure, theme, 380, 1.0)
    figure.update_layout(
        margin={"l": 60, "b": 50, "t": 20},
        showlegend=True,
        legend={"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0},
    )
    return figure
