"""Maps as figures: composite and confidence maps in sample coordinates, with scale bar and beam footprint."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Patch, Rectangle
from numpy.typing import NDArray

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.report.fonts import writable
from phasecast.report.names import label_of, name_of, subscripts
from phasecast.results.composite import CROSSED, MISSING_COLOURS, UNSURE_COLOUR, composite
from phasecast.results.grid import Floats
from phasecast.results.scene import Scene

MM = 1 / 25.4
_NO_VALUE = "#F2F4F7"
_FINE_CELLS = 80
"""In maps with more cells along a side a crossed cell is too small to be seen."""
_FLATTEST, _TALLEST = 0.18, 1.25
"""Limits of a panel's height over its width: very long scans are drawn with their true aspect inside them."""


def composite_figure(
    scene: Scene,
    say: Words,
    *,
    width_mm: float,
    total: Floats | None = None,
    beam_um: tuple[float, float] | None = None,
    legend: bool = False,
) -> Figure:
    """Draw all classes at or above the threshold on one map; the total intensity where nothing is classified.

    Parameters
    ----------
    scene
        What to draw.
    say
        Words of the axes.
    width_mm
        Width of the figure.
    total
        Total counts of each point, (n,), for results without classes.
    beam_um
        Size of the beam (horizontal, vertical); its footprint is drawn where it is known.
    legend
        Whether to name the colours below the map, for a figure that stands alone.
    """
    size = _font(width_mm)
    figure = Figure(
        figsize=(width_mm * MM, width_mm * MM * (_flatness(scene) * 0.88) + 0.55 + (1.2 if legend else 0.0)),
        layout="compressed",
    )
    axes = figure.add_subplot()
    if not scene.classes:
        values = np.full(scene.x_um.size, np.nan) if total is None else total
        image = paint_values(axes, scene, values, "gray", None)
        bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
        bar.set_label(say("report.total_intensity"), fontsize=size)
        bar.ax.tick_params(labelsize=size)
    elif scene.placement is not None:
        colours = [phase.colour for phase in scene.classes]
        picture = composite(scene.placement, scene.present(), scene.state, colours, classified=scene.classified)
        axes.imshow(picture, origin="lower", extent=scene.extent, interpolation="antialiased", aspect="equal")
        if max(scene.placement.x_um.size, scene.placement.y_um.size) > _FINE_CELLS:
            _mark_missing(axes, scene)
    else:
        _scatter_composite(axes, scene)
    _dress(axes, scene, say, size)
    _scale_bar(axes, scene, say, size)
    if beam_um is not None:
        _footprint(axes, scene, beam_um)
    if legend and scene.classes:
        handles = [
            Patch(facecolor=phase.colour, edgecolor="#667085", linewidth=0.5, label=writable(label_of(phase, say)))
            for phase in scene.classes
        ]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=3 if width_mm > 120 else 2, fontsize=size, frameon=False,
            handlelength=1.2, handleheight=1.0, columnspacing=1.2,
        )  # fmt: skip
    return _cut_to_height(figure)


def confidence_figure(scene: Scene, say: Words, *, width_mm: float) -> Figure:
    """Draw one confidence map for each class, on one scale from 0 to 1."""
    size = _font(width_mm)
    count = len(scene.classes)
    columns = min(3 if scene.ratio < 4 and width_mm > 120 else 2, count)
    rows = math.ceil(count / columns)
    height = width_mm * MM * 0.9 / columns * _flatness(scene)
    figure = Figure(figsize=(width_mm * MM, rows * (height + 0.3) + 0.35), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    image: Any = None
    for k, axes in enumerate(panels.ravel()):
        if k >= count:
            axes.set_axis_off()
            continue
        image = paint_values(axes, scene, scene.confidence[:, k].astype(np.float64), "viridis", (0.0, 1.0))
        _dress(axes, scene, say, size, few=True)
        axes.set_xlabel(scene_label(scene, say, "x") if k + columns >= count else "", fontsize=size)
        axes.set_ylabel(scene_label(scene, say, "y") if k % columns == 0 else "", fontsize=size)
        axes.tick_params(labelbottom=k + columns >= count)
        axes.set_title(writable(_two_lines(scene.classes[k], say)), fontsize=size, pad=3, linespacing=1.15)
        if k == 0:
            _scale_bar(axes, scene, say, size * 0.9)
    bar = figure.colorbar(image, ax=panels, shrink=0.6, pad=0.015, aspect=28)
    bar.set_label(say("common.confidence"), fontsize=size)
    bar.ax.tick_params(labelsize=size)
    return _cut_to_height(figure)


def scene_label(scene: Scene, say: Words, axis: str) -> str:
    """Return the label of an axis; without positions x is the number of the point."""
    if "µm" in scene.x_label:
        return say(f"common.{axis}_um")
    return say("report.point_number") if axis == "x" else ""


def _two_lines(phase: PhaseClass, say: Words) -> str:
    """Name and formula one below the other: side by side they are longer than a small map."""
    name, label = name_of(phase, say), label_of(phase, say)
    return name if label == name else f"{name}\n{subscripts(phase.formula)}"


def _cut_to_height(figure: Figure) -> Figure:
    """Take away the height that maps of true aspect leave empty; the width stays what was asked for."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_figheight(max(figure.get_tightbbox().height + 0.08, 0.5))
    return figure


def _font(width_mm: float) -> float:
    return 6.5 if width_mm < 120 else 8.0


def _flatness(scene: Scene) -> float:
    return float(np.clip(1 / scene.ratio, _FLATTEST, _TALLEST))


def _dress(axes: Axes, scene: Scene, say: Words, size: float, *, few: bool = False) -> None:
    left, right, low, high = scene.extent
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.tick_params(labelsize=size)
    axes.locator_params(nbins=4 if few else 7)
    if scene.ratio > 6:
        axes.set_yticks([(low + high) / 2])
    elif scene.ratio < 1 / 6:
        axes.set_xticks([(left + right) / 2])
    axes.set_xlabel(scene_label(scene, say, "x"), fontsize=size)
    axes.set_ylabel(scene_label(scene, say, "y"), fontsize=size)
    placed = scene.placement.inside if scene.placement is not None else np.isfinite(scene.x_um + scene.y_um)
    doubtful = scene.doubtful & placed
    if doubtful.any():
        squares = list(squares_of(scene, doubtful))
        # Black on white: either alone vanishes on some colour of a confidence map.
        for colour, width in (("#FFFFFF", 2.0), ("#000000", 0.7)):
            axes.add_collection(
                PatchCollection(
                    squares, facecolor="none", edgecolor=colour, linewidth=0, hatch="///", hatch_linewidth=width
                )
            )


def _scale_bar(axes: Axes, scene: Scene, say: Words, size: float) -> None:
    """A bar of a round length, about a fifth of the width, in the lower right corner."""
    if "µm" not in scene.x_label:
        return
    left, right, low, high = scene.extent
    length = _round_length((right - left) / 5)
    x, y = right - (right - left) * 0.04 - length, low + (high - low) * 0.06
    text = say("report.scale_bar", length=f"{length:g}")
    box = {"boxstyle": "round,pad=0.25", "facecolor": "#FFFFFF", "edgecolor": "none", "alpha": 0.85}
    axes.annotate(
        text, (x + length / 2, y), xytext=(0, size * 0.45), textcoords="offset points", ha="center", va="bottom",
        fontsize=size, color="#101828", bbox=box, zorder=6,
    )  # fmt: skip
    axes.plot([x, x + length], [y, y], color="#FFFFFF", linewidth=size * 0.55, solid_capstyle="butt", zorder=6.5)
    axes.plot([x, x + length], [y, y], color="#101828", linewidth=size * 0.3, solid_capstyle="butt", zorder=7)


def _footprint(axes: Axes, scene: Scene, beam_um: tuple[float, float]) -> None:
    """The beam at its true size in the lower left corner."""
    left, right, low, high = scene.extent
    place = (left + (right - left) * 0.05 + beam_um[0] / 2, low + (high - low) * 0.08 + beam_um[1] / 2)
    for colour, width in (("#FFFFFF", 2.4), ("#101828", 1.0)):
        axes.add_patch(Ellipse(place, *beam_um, facecolor="none", edgecolor=colour, linewidth=width, zorder=7))


def _round_length(length: float) -> float:
    power = 10.0 ** math.floor(math.log10(length)) if length > 0 else 1.0
    return max((step * power for step in (1, 2, 5) if step * power <= length), default=power)


def paint_values(
    axes: Axes,
    scene: Scene,
    values: Floats,
    colour_map: str,
    limits: tuple[float, float] | None,
    *,
    ground: str = _NO_VALUE,
) -> Any:
    """Draw one value a point, (n,), and return what a colour bar needs.

    Parameters
    ----------
    limits
        Values of the end colours; those of the data if None.
    ground
        Colour where no point is done.
    """
    axes.set_facecolor(ground)
    low, high = limits if limits else (None, None)
    if scene.placement is not None:
        picture = scene.placement.paint(values, select=scene.done, fill=np.nan)
        return axes.imshow(
            np.ma.masked_invalid(picture), origin="lower", extent=scene.extent, cmap=colour_map, vmin=low, vmax=high,
            interpolation="nearest", aspect="equal",
        )  # fmt: skip
    shown = scene.done & np.isfinite(scene.x_um) & np.isfinite(scene.y_um)
    squares = PatchCollection(list(squares_of(scene, shown)), cmap=colour_map, rasterized=True)
    squares.set_array(values[shown])
    squares.set_clim(low, high)
    axes.add_collection(squares)
    return squares


def _scatter_composite(axes: Axes, scene: Scene) -> None:
    colours = [phase.colour for phase in scene.classes]
    present = scene.present()
    shown = np.flatnonzero(scene.classified & np.isfinite(scene.x_um) & np.isfinite(scene.y_um))
    patches, faces = [], []
    for point in shown:
        classes: Sequence[int] = np.flatnonzero(present[point]).tolist()
        whole, height = scene.size_of(int(point))
        corner = (scene.x_um[point] - whole / 2, scene.y_um[point] - height / 2)
        width = whole / max(len(classes), 1)
        for k, index in enumerate(classes):
            patches.append(Rectangle((corner[0] + k * width, corner[1]), width, height))
            faces.append(colours[index])
        if not classes:
            patches.append(Rectangle(corner, whole, height))
            faces.append("#FFFFFF")
    axes.add_collection(PatchCollection(patches, facecolors=faces, linewidths=0, rasterized=True))
    frames = PatchCollection(list(squares_of(scene, np.isin(np.arange(scene.state.size), shown))), rasterized=True)
    frames.set(facecolor="none", edgecolor=UNSURE_COLOUR, linewidth=0.4)
    axes.add_collection(frames)
    _mark_missing(axes, scene)


def _mark_missing(axes: Axes, scene: Scene) -> None:
    """Crosses of a size that is seen however small the cells are, where the stage was but nothing is shown."""
    for state in CROSSED:
        chosen = scene.state == state
        if chosen.any():
            axes.scatter(
                scene.x_um[chosen], scene.y_um[chosen], marker="x", color=MISSING_COLOURS[state], s=16, linewidth=0.9
            )


def squares_of(scene: Scene, chosen: NDArray[np.bool_]) -> Iterator[Rectangle]:
    """Yield the square of each chosen point."""
    for point in np.flatnonzero(chosen):
        x, y = scene.x_um[point], scene.y_um[point]
        if scene.placement is not None:
            x = scene.placement.x_um[scene.placement.columns[point]]
            y = scene.placement.y_um[scene.placement.rows[point]]
        width, height = scene.size_of(int(point))
        yield Rectangle((x - width / 2, y - height / 2), width, height)
