"""Stages beside stages, and a training from moment to moment; usable in a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ndmixer.figures import LIGHT, Theme, _dress, _range, matrix

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_NUMBERS = 12  # rows of a table whose cells have room for their numbers
FRAME_MILLISECONDS = 700
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")


def stage_similarity_matrix(
    similarity: ArrayLike, stages: Sequence[str], theme: Theme = LIGHT
) -> "Figure":
    """How alike all stages are, in colours from 0 to 1, with numbers where they have room.

    Args:
        similarity: Shape `(stages, stages)`; NaN is shown as a dash.
        stages: Their names, in order.
        theme: `LIGHT` or `DARK`.
    """
    names = [_plain(name) for name in stages]
    figure = matrix(similarity, names, theme, axes=("stage", "stage"), top=1.0)
    if len(names) > MOST_NUMBERS:
        figure.data[1].mode = "markers"  # the mouse tells them
    figure.update_xaxes(tickangle=-45, automargin=True, title=None)
    figure.update_yaxes(automargin=True, title=None)
    return figure


def distances_over_time(
    distances: ArrayLike,
    moments: Sequence[str],
    titles: Sequence[str],
    names: Sequence[str],
    theme: Theme = LIGHT,
) -> "Figure":
    """A distance matrix that a slider and a button lead through time, in one colour scale.

    It moves in the browser alone. At first it stands at the last moment; Play starts with the
    first.

    Args:
        distances: Shape `(moments, classes, classes)`; NaN is shown as a dash.
        moments: What the slider says, one a moment.
        titles: What stands above the matrix, one a moment.
        names: One a class.
        theme: `LIGHT` or `DARK`.
    """
    import plotly.graph_objects as go

    tables = np.asarray(distances, np.float64)
    top = _range(tables)
    figures = [matrix(table, names, theme, top=top) for table in tables]
    figure = figures[-1]
    figure.frames = [
        go.Frame(
            name=str(i),
            traces=[0, 1],
            data=[
                {"type": "heatmap", "z": one.data[0].z},
                {
                    "type": "scatter",
                    "text": one.data[1].text,
                    "textfont": one.data[1].textfont,
                    "customdata": one.data[1].customdata,
                },
            ],
            layout={"title": {"text": title}},
        )
        for i, (one, title) in enumerate(zip(figures, titles, strict=True))
    ]
    still = {"mode": "immediate", "transition": {"duration": 0}}
    step = still | {"frame": {"duration": 0, "redraw": True}}
    play = still | {"frame": {"duration": FRAME_MILLISECONDS, "redraw": True}}
    # Plotly lightens a button under the mouse: its letters must be legible on white, too.
    ink = {"color": theme.lines[0] if theme is LIGHT else "#6a7bf0", "size": 12}
    clear, fill = "rgba(0, 0, 0, 0)", f"rgb{theme.zero}"
    figure.update_layout(
        height=540,
        margin={"t": 36, "b": 110},
        title={"text": titles[-1], "font": {"size": 13}, "x": 0, "xanchor": "left", "y": 0.985},
        updatemenus=[
            {
                "type": "buttons",
                "direction": "right",
                "showactive": False,
                **{"x": 0, "xanchor": "left", "y": -0.1, "yanchor": "top"},
                "pad": {"t": 26, "l": 0},
                **{"bgcolor": fill, "bordercolor": theme.grid, "font": ink},
                "buttons": [
                    {"label": "Play", "method": "animate", "args": [None, play]},
                    {"label": "Pause", "method": "animate", "args": [[None], step]},
                ],
            }
        ],
        sliders=[
            {
                "active": len(moments) - 1,
                **{"x": 0.36, "len": 0.64, "xanchor": "left", "y": -0.1, "yanchor": "top"},
                "pad": {"t": 26, "l": 0, "r": 8},
                "currentvalue": {"visible": False},
                "bgcolor": theme.grid,
                "activebgcolor": theme.lines[0],
                "bordercolor": clear,
                "tickcolor": theme.grid,
                "font": {"color": theme.text, "size": 10},
                "steps": [
                    {"label": text, "method": "animate", "args": [[str(i)], step]}
                    for i, text in enumerate(moments)
                ],
            }
        ],
    )
    return figure


def stages_over_time(
    shares: ArrayLike, stages: Sequence[str], moments: Sequence[str], theme: Theme = LIGHT
) -> "Figure":
    """A share for each stage and moment, in per cent; colours from 0 to 100 %.

    Args:
        shares: Shape `(moments, stages)`, from 0 to 1; NaN is left blank.
        stages: Their names; the first is drawn lowest, as the bottom of a deep model.
        moments: What stands below each column.
        theme: `LIGHT` or `DARK`.
    """
    import plotly.graph_objects as go

    values = 100 * np.asarray(shares, np.float64).T
    rows = [_plain(name) for name in stages]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(moments),
            y=rows,
            coloraxis="coloraxis",
            xgap=1,
            ygap=1,
            hovertemplate="%{y}, after step %{x}: %{z:.1f} %<extra></extra>",
        )
    )
    if len(stages) <= MOST_NUMBERS:
        # Letters of a heat map are grey on some colours; those of points have a colour each.
        cells = [(r, c) for r in range(len(rows)) for c in range(len(moments))]
        shown = [values[cell] for cell in cells]
        strong = "#ffffff" if theme is LIGHT else "#0f1217"
        figure.add_scatter(
            x=[moments[c] for _, c in cells],
            y=[rows[r] for r, _ in cells],
            mode="text",
            text=[f"{value:.0f}" if np.isfinite(value) else "" for value in shown],
            textfont={"size": 10, "color": [strong if v > 60 else theme.text for v in shown]},
            hoverinfo="skip",
        )
    figure.update_xaxes(title="step", type="category", showgrid=False, ticks="", automargin=True)
    figure.update_yaxes(type="category", showgrid=False, ticks="", automargin=True)
    _dress(figure, theme, 460, 100.0)
    figure.update_layout(coloraxis_showscale=False, margin={"l": 50, "b": 60, "t": 10})
    return figure


def block_curves(
    x: Sequence[float] | Sequence[str] | np.ndarray,
    values: ArrayLike,
    theme: Theme = LIGHT,
    *,
    unit: str,
    marks: bool = False,
) -> "Figure":
    """One line a block, told apart by colour, dashes and marks.

    Args:
        x: Steps as numbers, or as words that stand at equal distances.
        values: Shape `(moments, blocks)`.
        theme: `LIGHT` or `DARK`.
        unit: What the numbers are; the title of their axis.
        marks: Whether each number has a mark.
    """
    import plotly.graph_objects as go

    table = np.asarray(values, np.float64)
    figure = go.Figure()
    words = len(x) > 0 and isinstance(x[0], str)
    for block, line in enumerate(table.T):
        round_, colour = divmod(block, len(theme.palette))
        look: dict[str, Any] = {"mode": "lines"}
        if marks:
            symbol = SYMBOLS[(block + round_) % len(SYMBOLS)]
            look = {"mode": "lines+markers", "marker": {"symbol": symbol, "size": 7}}
        figure.add_trace(
            go.Scatter(
                x=x,
                y=line,
                name=f"block {block}",
                line={
                    "color": theme.palette[colour],
                    "dash": DASHES[(block + round_) % len(DASHES)],
                    "width": 2,
                },
                hovertemplate=f"block {block}, after step %{{x}}: %{{y:.3g}}<extra></extra>",
                **look,
            )
        )
    figure.update_xaxes(title="step", showgrid=False, zeroline=False)
    if words:
        figure.update_xaxes(type="category", automargin=True)
    else:
        figure.update_xaxes(tickformat=",", rangemode="tozero")
    figure.update_yaxes(title=unit, gridcolor=theme.grid, zerolinecolor=theme.grid)
    _dress(figure, theme, 340, 1.0)
    figure.update_layout(
        margin={"l": 60, "b": 60, "t": 10},
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


def _plain(name: str) -> str:
    return name.replace("_", " ")
