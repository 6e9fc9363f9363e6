"""Images as points in a plane or in space; usable in a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ndmixer.figures import LIGHT, Theme, _dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FLAT_SYMBOLS = (
    *("circle", "square", "diamond", "triangle-up", "x"),
    *("star", "cross", "triangle-down", "pentagon", "hourglass"),
)
SOLID_SYMBOLS = (  # in space; its cross and x are letters that a computer may not have
    *("circle", "square", "diamond"),
    *("circle-open", "square-open", "diamond-open"),
)


def point_map(
    points: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    theme: Theme = LIGHT,
    *,
    predictions: ArrayLike | None = None,
    correctness: bool = False,
    axes: Sequence[str] = (),
) -> "Figure":
    """A point for each image, its class told by colour, symbol and a name in the middle.

    A point's `customdata` is its row, and it can be selected.

    Args:
        points: Shape `(images, 2)` or `(images, 3)`.
        labels: Shape `(images,)`, whole numbers below `len(names)`.
        names: One a class; those without an image are left out.
        theme: `LIGHT` or `DARK`.
        predictions: What a model takes the images for, of the same shape as the labels.
        correctness: Whether colour and symbol tell right from wrong predictions instead.
        axes: What a direction is, one for each; empty if they have no meaning of their own.
    """
    import plotly.graph_objects as go

    places, classes = np.asarray(points, np.float64), np.asarray(labels)
    named = None if predictions is None else np.asarray(predictions)
    space = places.shape[1] == 3
    symbols = SOLID_SYMBOLS if space else FLAT_SYMBOLS
    scatter = go.Scatter3d if space else go.Scatter
    groups: list[tuple[str, Any, dict[str, Any]]]
    if correctness and named is not None:
        wrong = classes != named
        quiet = {"color": theme.lines[2], "symbol": "circle", "size": 3 if space else 6}
        loud = {
            "color": theme.lines[1],
            "symbol": "diamond" if space else "x",
            "size": 5 if space else 9,
        }
        groups = [("right", ~wrong, quiet | {"opacity": 0.45}), ("wrong", wrong, loud)]
    else:
        groups = [
            (
                name,
                classes == c,
                {
                    "color": theme.palette[c % len(theme.palette)],
                    "symbol": symbols[(c + c // len(theme.palette)) % len(symbols)],
                    "size": 4 if space else 7,
                    "opacity": 0.8,
                },
            )
            for c, name in enumerate(names)
            if (classes == c).any()
        ]
    figure = go.Figure()
    for title, chosen, marker in groups:
        rows = np.flatnonzero(chosen)
        told = [
            f"image {row}<br>it is {names[classes[row]]}"
            + ("" if named is None else f", taken for {names[named[row]]}")
            for row in rows
        ]
        look: dict[str, Any] = {"marker": marker}
        if not space:  # the one that was clicked; the others stay as they are
            look["selected"] = {"marker": {"size": 15, "opacity": 1}}
            look["unselected"] = {"marker": {"opacity": marker.get("opacity", 1)}}
        figure.add_trace(
            scatter(
                **dict(zip("xyz", places[rows].T, strict=False)),
                mode="markers",
                name=f"{title} ({len(rows):,})" if correctness else title,
                customdata=[int(row) for row in rows],
                text=told,
                hovertemplate="%{text}<extra></extra>",
                **look,
            )
        )
    boxes: list[dict[str, Any]] = [
        {
            **dict(zip("xyz", np.median(places[classes == c], axis=0), strict=False)),
            "text": f"<b>{name}</b>",
            "font": {"size": 15, "color": theme.text},
            "bgcolor": f"rgba{(*theme.zero, 0.8)}",
            "borderpad": 1,
            "showarrow": False,
        }
        for c, name in enumerate(names)
        if (classes == c).any()
    ]
    _dress(figure, theme, 600, 1.0)
    figure.update_layout(
        dragmode="turntable" if space else "zoom",
        showlegend=True,
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0,
            "itemsizing": "constant",
        },
        margin={"l": 8, "r": 8, "t": 60, "b": 8},
    )
    if space:
        plain: dict[str, Any] = {
            "showticklabels": False,
            "showbackground": False,
            "gridcolor": theme.grid,
        }
        titles = axes or ("", "", "")
        scene: dict[str, Any] = {"aspectmode": "data", "annotations": boxes}
        for letter, title in zip("xyz", titles, strict=True):
            scene[f"{letter}axis"] = {**plain, "title": title, "zerolinecolor": theme.grid}
        figure.update_layout(scene=scene)
    else:
        line = {"showticklabels": bool(axes), "gridcolor": theme.grid, "zeroline": False}
        figure.update_layout(annotations=boxes)
        figure.update_xaxes(**line, title=axes[0] if axes else None)
        figure.update_yaxes(**line, title=axes[1] if axes else None, scaleanchor="x")
        if axes:
            figure.update_layout(margin={"l": 60, "b": 50})
    return figure
