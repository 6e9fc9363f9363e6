"""Arrays as pictures and as Plotly figures; usable in a notebook.

Plotly is imported by the functions that need it: pages without such a figure start sooner.
"""

from collections.abc import Mapping, Sequence
from math import ceil, isfinite, log10, prod, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LONGEST_ROW = 32
COLUMNS = 5  # of a grid of maps
ROW_OF_KERNELS = 230  # pixels
GAP = np.nan  # what stands between the tiles of a tensor of more than two axes


def as_image(tensor: ArrayLike) -> NDArray[np.floating]:
    """Lays a tensor of any rank out as one matrix.

    A matrix stays as it is. A vector is one row; one of more than `LONGEST_ROW` numbers is
    folded, row by row, into a nearly square matrix. Of more axes the last two make tiles,
    in a grid that is as nearly square as their number permits, one column or row of NaN
    between two tiles.

    Args:
        tensor: Any shape, any real dtype.

    Returns:
        A matrix, floating; NaN where there is nothing.
    """
    values = np.asarray(tensor)
    values = values.astype(np.result_type(values.dtype, np.float16), copy=False)
    if values.ndim == 2:
        return values
    if values.ndim < 2:
        return _folded(values.reshape(-1))
    height, width = values.shape[-2:]
    tiles = values.reshape(prod(values.shape[:-2]), height, width)
    columns = max(1, round(sqrt(len(tiles) * height / width)))
    columns = min(len(tiles), columns)
    rows = ceil(len(tiles) / columns)
    image = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), GAP, values.dtype)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = row * (height + 1), column * (width + 1)
        image[top : top + height, left : left + width] = tile
    return image


def as_bytes(image: ArrayLike) -> NDArray[np.uint8]:
    """An image as it is seen: 0 is black and 1 is white.

    Args:
        image: Any shape, any real dtype; one of shape `(rows, columns, 3)` is in colour.

    Returns:
        Shape `(rows, columns)` or `(rows, columns, 3)`; numbers below 0 or above 1 make the
        range wider, so that nothing is cut.
    """
    values = np.asarray(image)
    colour = values.ndim == 3 and values.shape[-1] == 3
    flat = values if colour else np.nan_to_num(as_image(values))
    low, high = min(0.0, float(flat.min())), max(1.0, float(flat.max()))
    return np.rint(255 * (flat - low) / (high - low)).astype(np.uint8)


def _folded(vector: NDArray[np.floating]) -> NDArray[np.floating]:
    if vector.size <= LONGEST_ROW:
        return vector[None]
    width = ceil(sqrt(vector.size))
    # A divisor close to the root leaves no gap: 784 is 28 by 28, 32 is 4 by 8.
    width = next(
        (w for w in range(width, min(2 * width, vector.size) + 1) if vector.size % w == 0), width
    )
    padded = np.full(ceil(vector.size / width) * width, GAP, vector.dtype)
    padded[: vector.size] = vector
    return padded.reshape(-1, width)


def layout_note(shape: Sequence[int]) -> str:
    """How `as_image` lays out a tensor of this shape, in a sentence; empty for a matrix."""
    sizes = " × ".join(map(str, shape))
    if len(shape) == 2:
        return ""
    if len(shape) < 2:
        return f"The {sizes} numbers have no rows and columns of their own; they read like text."
    tiles, tile = prod(shape[:-2]), " × ".join(map(str, shape[-2:]))
    if tiles == 1:
        return f"The {sizes} tensor is one tile of {tile}."
    before = " and ".join(f"axis {axis}" for axis in range(1, len(shape) - 1))
    return (
        f"The {sizes} tensor is laid out as {tiles} tiles of {tile}, its last two axes; one tile "
        f"for each index of {before}, row by row."
    )


class Theme(NamedTuple):
    """Colours of a figure: text, what stands for 0, the two ends, the lines, and many things.

    `palette` is that of `.streamlit/config.toml`.
    """

    text: str
    grid: str
    zero: tuple[int, int, int]
    below: tuple[int, int, int]
    above: tuple[int, int, int]
    lines: tuple[str, ...]
    palette: tuple[str, ...]


# The maps of the Train page have the same ends and the same curve between them: maps.js.
LIGHT = Theme(
    *("#1d2129", "#d5d8d3", (241, 242, 239), (29, 78, 216), (194, 65, 12)),
    ("#3d4fc4", "#c2540a", "#5c6370"),
    (
        *("#3d4fc4", "#c2540a", "#00805f", "#b03a80", "#0079b8"),
        *("#8f6a00", "#5b3a9e", "#b3261e", "#3c7a1e", "#5c6370"),
    ),
)
DARK = Theme(
    *("#e6e9ef", "#343b48", (26, 31, 40), (96, 165, 250), (251, 146, 60)),
    ("#8c9eff", "#f0975a", "#a9b1bd"),
    (
        *("#8c9eff", "#f0975a", "#4cc9a0", "#e58bbd", "#62b8ea"),
        *("#e0bb4f", "#b79cf0", "#f28b82", "#97cc73", "#a9b1bd"),
    ),
)


def colour_scale(theme: Theme = LIGHT) -> list[tuple[float, str]]:
    """Blue below 0, orange above; told apart by people who see no red or no green as well."""
    scale = []
    for place in np.linspace(0, 1, 33):
        t = 2 * place - 1
        end = theme.below if t < 0 else theme.above
        mixed = (z + (e - z) * abs(t) ** 0.8 for z, e in zip(theme.zero, end, strict=True))
        scale.append((float(place), f"rgb({', '.join(str(round(c)) for c in mixed)})"))
    return scale


def map_grid(
    tensors: Sequence[ArrayLike] | NDArray[Any],
    titles: Sequence[str],
    theme: Theme = LIGHT,
    *,
    top: float | None = None,
    own: bool = False,
) -> "Figure":
    """Maps side by side in one colour scale, symmetric around 0, its range printed.

    Args:
        tensors: Of any shapes; each is laid out by `as_image`; NaN is left blank.
        titles: One a map.
        theme: `LIGHT` or `DARK`.
        top: The end of the scale, for several figures of one scale; None is the largest
            magnitude.
        own: Whether each map has a scale of its own instead, its range in its title.
    """
    from plotly.subplots import make_subplots

    images = [as_image(tensor) for tensor in tensors]
    if own:
        ranges = [_range(image) for image in images]
        titles = [f"{t}{_beside(t)}±{_number(r)}" for t, r in zip(titles, ranges, strict=True)]
    top = _range(np.concatenate([image.ravel() for image in images])) if top is None else top
    columns = min(COLUMNS, len(images))
    rows = ceil(len(images) / columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=list(titles),
        horizontal_spacing=0.012,
        vertical_spacing=0.16 / rows,
    )
    for index, image in enumerate(images):
        height, width = image.shape
        place = {"row": index // columns + 1, "col": index % columns + 1}
        hover = f"{titles[index]}<br>row %{{y}}, column %{{x}}: %{{z:.4g}}<extra></extra>"
        scale: dict[str, Any] = {"coloraxis": "coloraxis"}
        if own:
            end = ranges[index] or 1.0
            scale = {"colorscale": colour_scale(theme), "zmin": -end, "zmax": end}
        figure.add_heatmap(z=image, showscale=False, hovertemplate=hover, **scale, **place)
        hidden = {"visible": False, "constrain": "domain"}
        square = 0.4 <= height / width <= 2.5
        figure.update_xaxes(**hidden, **place)
        figure.update_yaxes(
            **hidden,
            autorange="reversed",
            constraintoward="top",
            scaleanchor=f"x{index + 1 if index else ''}" if square else None,
            **place,
        )
    figure.update_annotations(font={"size": 11, "color": theme.text})
    _dress(figure, theme, 40 + rows * (190 if len(images) > 1 else 260), top)
    if not own:
        _print_range(figure, top)
    return figure


def class_average_maps(
    averages: ArrayLike, deviations: ArrayLike, names: Sequence[str], theme: Theme = LIGHT
) -> "Figure":
    """The average of each class as a map, the standard deviation σ within it in the title.

    Args:
        averages: Shape `(classes, ...)`.
        deviations: Of the same shape; σ is the root of the mean of their squares.
        names: One a class.
        theme: `LIGHT` or `DARK`.
    """
    spread = np.asarray(deviations, np.float64).reshape(len(names), -1)
    sigmas = np.sqrt(np.mean(spread**2, axis=1))
    titles = [
        f"{name}{_beside(name)}" + (f"σ {sigma:.2g}" if isfinite(sigma) else "no image")
        for name, sigma in zip(names, sigmas, strict=True)
    ]
    return map_grid(np.asarray(averages), titles, theme)


def matrix(
    values: ArrayLike,
    names: Sequence[str],
    theme: Theme = LIGHT,
    *,
    coloured: ArrayLike | None = None,
    axes: tuple[str, str] = ("class", "class"),
    pair: tuple[str, str] | None = None,
    top: float | None = None,
) -> "Figure":
    """A square table with its numbers, coloured by size; its cells can be selected.

    Args:
        values: Shape `(classes, classes)`; NaN is shown as a dash.
        names: One a class, in the order of the rows and columns.
        theme: `LIGHT` or `DARK`.
        coloured: What the colours tell, of the same shape; None is the values themselves.
        axes: What a row and what a column is.
        pair: Two names whose cells are framed.
        top: The end of the scale, for several figures of one scale; None is the largest
            magnitude.
    """
    import plotly.graph_objects as go

    table = np.asarray(values)
    colours = np.asarray(table if coloured is None else coloured, np.float64)
    top = _range(colours) if top is None else top
    cells = [(r, c) for r in range(len(names)) for c in range(len(names))]
    whole = np.issubdtype(table.dtype, np.integer)
    text = [f"{table[cell]:,}" if whole else _fixed(table[cell], _range(table)) for cell in cells]
    size = min(10.0, 45 / max(map(len, text)))  # or long numbers would run into one another
    strong = [top > 0 and abs(colours[cell]) > 0.6 * top for cell in cells]
    ink = ["#ffffff" if theme is LIGHT else "#0f1217", theme.text]
    figure = go.Figure(
        [
            go.Heatmap(
                z=colours,
                x=list(names),
                y=list(names),
                coloraxis="coloraxis",
                hoverinfo="skip",
                xgap=1,
                ygap=1,
            ),
            # A heat map tells nobody which cell was clicked; points on top of it do.
            go.Scatter(
                x=[names[c] for _, c in cells],
                y=[names[r] for r, _ in cells],
                mode="markers+text",
                marker={"size": 22, "symbol": "square", "opacity": 0},
                selected={"marker": {"opacity": 0}},
                unselected={"marker": {"opacity": 0}},
                text=text,
                textfont={"size": size, "color": [ink[0] if s else ink[1] for s in strong]},
                customdata=[float(table[cell]) for cell in cells],
                hovertemplate=f"{axes[0]} %{{y}}, {axes[1]} %{{x}}: "
                f"%{{customdata:{',' if whole else '.4g'}}}<extra></extra>",
            ),
        ]
    )
    for row, column in (pair, pair[::-1]) if pair and set(pair) <= set(names) else ():
        x, y = list(names).index(column), list(names).index(row)
        edges = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
        figure.add_shape(type="rect", **edges, line={"color": theme.text, "width": 2})
    for update, title in ((figure.update_yaxes, axes[0]), (figure.update_xaxes, axes[1])):
        update(title=title, type="category", showgrid=False, constrain="domain", ticks="")
    figure.update_yaxes(autorange="reversed", scaleanchor="x", constraintoward="top")
    _dress(figure, theme, 460, top)
    figure.update_layout(coloraxis_showscale=False, margin={"l": 50, "b": 50, "t": 10})
    return figure


def layer_curves(
    stages: Sequence[str],
    curves: Mapping[str, ArrayLike],
    theme: Theme = LIGHT,
    *,
    unit: str = "",
    at: str | None = None,
) -> "Figure":
    """Numbers stage by stage, as lines from the input to the output.

    Args:
        stages: Their names, in order.
        curves: A name and a number for each stage; the first is drawn strongest.
        theme: `LIGHT` or `DARK`.
        unit: What the numbers are; the title of their axis.
        at: A stage that is marked.
    """
    import plotly.graph_objects as go

    dashes = ("solid", "dash", "dot")
    figure = go.Figure(
        [
            go.Scatter(
                x=[name.replace("_", " ") for name in stages],
                y=np.asarray(values, np.float64),
                name=name,
                mode="lines+markers",
                line={"color": theme.lines[i % 3], "dash": dashes[i % 3], "width": 2},
                hovertemplate="%{x}: %{y:.4g}",
            )
            for i, (name, values) in enumerate(curves.items())
        ]
    )
    if at is not None and at in stages:
        mark = {"color": theme.text, "width": 1, "dash": "dot"}
        figure.add_vline(x=list(stages).index(at), line=mark)
    figure.update_xaxes(type="category", showgrid=False, tickangle=-45)
    figure.update_yaxes(title=unit, rangemode="tozero", gridcolor=theme.grid, zeroline=False)
    _dress(figure, theme, 340, 1.0)
    figure.update_layout(
        hovermode="x unified",
        margin={"l": 60, "b": 70},
        showlegend=len(curves) > 1,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    return figure


class Kernel(NamedTuple):
    """What `kernel_maps` draws: its title, a matrix, and the bias if there is one."""

    title: str
    values: NDArray[np.floating]
    bias: NDArray[np.floating] | None = None


def kernel_maps(
    rows: Sequence[Sequence[Kernel]],
    theme: Theme = LIGHT,
    *,
    singular: Sequence[ArrayLike] = (),
) -> "Figure":
    """Kernels in rows, in one colour scale symmetric around 0, its range printed.

    In each map a row is an index before and a column an index after; a bias, which has a number
    for each index after, is a thin row below its kernel.

    Args:
        rows: What stands side by side, row by row; as many as in the first one.
        theme: `LIGHT` or `DARK`.
        singular: For each row its singular values, drawn as bars behind the maps; or nothing.
    """
    from plotly.subplots import make_subplots

    width = len(rows[0]) + bool(len(singular))
    behind = ["singular values"] if len(singular) else []
    figure = make_subplots(
        len(rows),
        width,
        subplot_titles=[t for row in rows for t in [*(kernel.title for kernel in row), *behind]],
        horizontal_spacing=0.16 / width,
        vertical_spacing=0.2 / len(rows),
    )
    top = 0.0
    for row, kernels in enumerate(rows, start=1):
        for column, kernel in enumerate(kernels, start=1):
            place = {"row": row, "col": column}
            end = _add_kernel(figure, kernel, place)
            top = max(
                top, _range(np.append(kernel.values, 0 if kernel.bias is None else kernel.bias))
            )
            square = 0.4 <= kernel.values.shape[0] / kernel.values.shape[1] <= 2.5
            number = (row - 1) * width + column
            figure.update_xaxes(visible=False, constrain="domain", **place)
            figure.update_yaxes(
                visible=False,
                constrain="domain",
                constraintoward="top",
                range=[end, -0.5],
                scaleanchor=f"x{number if number > 1 else ''}" if square else None,
                **place,
            )
    for row, values in enumerate(singular, start=1):
        place, found = {"row": row, "col": width}, np.asarray(values, np.float64)
        figure.add_bar(
            x=np.arange(1, len(found) + 1),
            y=found,
            width=0.85,
            marker={"color": theme.lines[0], "line": {"width": 0}},
            hovertemplate="number %{x}: %{y:.4g}<extra></extra>",
            **place,
        )
        ticks = {"tick0": 1, "dtick": ceil(len(found) / 5)}
        figure.update_xaxes(showgrid=False, range=[0.3, len(found) + 0.7], **ticks, **place)
        grid = {"gridcolor": theme.grid, "zeroline": False}
        figure.update_yaxes(rangemode="tozero", nticks=5, **grid, **place)
    figure.update_annotations(font={"size": 11, "color": theme.text})
    _dress(figure, theme, 80 + ROW_OF_KERNELS * len(rows), top)
    _print_range(figure, top)
    share = len(rows[0]) / width
    figure.layout.coloraxis.colorbar.update(x=share / 2, len=0.5 * share, tickangle=0)
    return figure


def _add_kernel(figure: "Figure", kernel: Kernel, place: dict[str, int]) -> float:
    """Adds a kernel and the bias below it; where on the axis of rows they end."""
    height = len(kernel.values)
    hover = "%{y} → %{x}: %{z:.4g}<extra></extra>"
    figure.add_heatmap(z=kernel.values, coloraxis="coloraxis", hovertemplate=hover, **place)
    if kernel.bias is None:
        return height - 0.5
    thick = max(0.06 * height, 0.3)
    edges = [height - 0.5 + thick / 2, height - 0.5 + 1.5 * thick]
    hover = "bias of %{x}: %{z:.4g}<extra></extra>"
    bias = kernel.bias[None]
    figure.add_heatmap(z=bias, y=edges, coloraxis="coloraxis", hovertemplate=hover, **place)
    return edges[1]


def _dress(figure: "Figure", theme: Theme, height: int, top: float) -> None:
    clear = "rgba(0, 0, 0, 0)"
    top = top or 1.0
    layout: dict[str, Any] = {
        "template": "none",
        "height": height,
        "showlegend": False,
        "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
        "paper_bgcolor": clear,
        "plot_bgcolor": clear,
        "font": {"color": theme.text, "family": "sans-serif", "size": 12},
        "hoverlabel": {"font": {"family": "sans-serif"}},
        "modebar": {"bgcolor": clear, "color": theme.text},
        "dragmode": False,
        "coloraxis": {"colorscale": colour_scale(theme), "cmin": -top, "cmax": top},
    }
    figure.update_layout(layout)


def _print_range(figure: "Figure", top: float) -> None:
    """The colours below the figure, with the numbers of their ends."""
    figure.layout.coloraxis.colorbar.update(
        orientation="h",
        y=-0.02,
        yanchor="top",
        thickness=8,
        len=0.5,
        outlinewidth=0,
        tickvals=[-top, 0, top],
        ticktext=[f"−{_number(top)}", "0", f"+{_number(top)}"],
    )
    figure.update_layout(margin={"b": 44})


def _range(values: NDArray[Any]) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def _beside(name: str) -> str:
    """What stands between a name and its number: a long name has a line of its own."""
    return "<br>" if len(name) > 3 else " · "


def _number(value: float) -> str:
    """Three digits."""
    return f"{value:.2e}" if value and not 0.001 <= abs(value) < 10_000 else f"{value:.3g}"


def _fixed(value: float, largest: float) -> str:
    """As many decimals as give the largest of a table two or three digits; a dash for NaN."""
    if not isfinite(value):
        return "–"
    power = int(np.floor(log10(largest))) if largest > 0 else 2
    decimals = max(0, 2 - power if power >= 0 else 1 - power)
    return f"{value:.{decimals}f}"
