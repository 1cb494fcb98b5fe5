"""The picture of a result: a composite of all classes and one confidence map for each."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from phasecast.core.ledger import PointState
from phasecast.core.words import Language, Words, words
from phasecast.report.fonts import figure_style, writable
from phasecast.report.map_figures import paint_values, scene_label, squares_of
from phasecast.report.map_text import shifts_of
from phasecast.report.methods import validation_text
from phasecast.report.names import label_of
from phasecast.results.composed_map import ComposedMap
from phasecast.results.composite import CROSSED, MISSING_COLOURS, UNSURE_COLOUR, composite
from phasecast.results.layout import THRESHOLD, TOTAL_COLUMN
from phasecast.results.reader import Result
from phasecast.results.scene import Scene, scene_of

_NO_VALUE = "#F4F4F4"
_FINE_CELLS = 80
"""In maps with more cells along a side a crossed cell is too small to be seen."""


def draw_map(result: Result, path: str | os.PathLike[str], language: Language = "en") -> None:
    """Draw the composite and the confidence maps of a result as a PNG.

    The composite shows every class with a confidence of at least 0.5: mixtures as stripes of their colours.
    Points whose position is doubtful are hatched, missing ones are marked and counted in the legend.

    Parameters
    ----------
    result
        Open, growing or closed.
    path
        The PNG; replaced in one step.
    language
        Language of its words.
    """
    with figure_style():
        _draw(result, path, words(language))


def _draw(result: Result, path: str | os.PathLike[str], say: Words) -> None:
    scene = scene_of(result)
    wide = scene.ratio > 1.7
    flat = max(1 / scene.ratio, 0.1)
    above, below = 11 * flat + 2.8, 3 * (3.3 * flat + 0.75)
    figure = Figure(figsize=(12, above + below) if wide else (16.5, 8.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 0.02, 1, 0.98))  # type: ignore[call-arg]  # below lies the footer
    if wide:
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=(above, below))
    else:
        parts = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.35))
    left, right = parts.ravel()
    figure.suptitle(_title(result, say), fontsize=13)
    _draw_composite(left, scene, result, say)
    _draw_confidences(right, scene, result, say)
    figure.text(0.995, 0.003, _footer(result, say), ha="right", va="bottom", fontsize=8, color="#555555")
    partial = f"{os.fspath(path)}.part"
    figure.savefig(partial, format="png")
    os.replace(partial, path)


def _draw_composite(figure: SubFigure, scene: Scene, result: Result, say: Words) -> None:
    axes = figure.add_subplot()
    colours = [phase.colour for phase in scene.classes]
    title = say("map_png.classes", threshold=THRESHOLD)
    if not scene.classes:
        column = result.column(TOTAL_COLUMN if _has_column(result, TOTAL_COLUMN) else "intensity").values
        values = column if column.ndim == 1 else np.nansum(column, axis=1)
        image = paint_values(axes, scene, values.astype(np.float64), "gray", None, ground=_NO_VALUE)
        figure.colorbar(image, ax=axes, label=say("report.total_intensity"), shrink=0.8)
        title = say("page.total_layer")
    elif scene.placement is not None:
        picture = composite(scene.placement, scene.present(), scene.state, colours, classified=scene.classified)
        axes.imshow(picture, origin="lower", extent=scene.extent, interpolation="antialiased", aspect="equal")
        if max(scene.placement.x_um.size, scene.placement.y_um.size) > _FINE_CELLS:
            _mark_missing(axes, scene)
    else:
        _scatter_composite(axes, scene, colours)
    _dress(axes, scene, say)
    axes.set_title(title, fontsize=11)
    handles = list(_legend(scene, say))
    if not handles:
        return
    figure.legend(
        handles=handles, loc="outside lower center", ncols=2, fontsize=9, frameon=False, title=say("map_png.counts"),
        handlelength=1.6, handleheight=1.2,
    )  # fmt: skip


def _scatter_composite(axes: Axes, scene: Scene, colours: Sequence[str]) -> None:
    for point in np.flatnonzero(scene.classified & np.isfinite(scene.x_um) & np.isfinite(scene.y_um)):
        classes = np.flatnonzero(scene.present()[point])
        whole, height = scene.size_of(int(point))
        corner = (scene.x_um[point] - whole / 2, scene.y_um[point] - height / 2)
        if not classes.size:
            # opaque: of a coarse point below nothing may look through
            axes.add_patch(Rectangle(corner, whole, height, facecolor="white"))
        for k, index in enumerate(classes):
            width = whole / len(classes)
            axes.add_patch(Rectangle((corner[0] + k * width, corner[1]), width, height, facecolor=colours[int(index)]))
        axes.add_patch(Rectangle(corner, whole, height, fill=False, edgecolor=UNSURE_COLOUR, linewidth=0.8))
    _mark_missing(axes, scene)


def _mark_missing(axes: Axes, scene: Scene) -> None:
    """Crosses of a size that is seen however small the cells are, where the stage was but nothing is shown."""
    for state in CROSSED:
        chosen = scene.state == state
        axes.scatter(
            scene.x_um[chosen], scene.y_um[chosen], marker="x", color=MISSING_COLOURS[state], s=36, linewidth=1.2
        )


def _draw_confidences(figure: SubFigure, scene: Scene, result: Result, say: Words) -> None:
    if not scene.classes:
        figure.text(0.5, 0.5, say("map_png.not_classified"), ha="center", va="center", fontsize=14)
        return
    columns = math.ceil(math.sqrt(len(scene.classes)))
    panels = figure.subplots(math.ceil(len(scene.classes) / columns), columns, squeeze=False)
    image: Any = None
    for k, axes in enumerate(panels.ravel()):
        if k >= len(scene.classes):
            axes.set_axis_off()
            continue
        image = paint_values(
            axes, scene, scene.confidence[:, k].astype(np.float64), "viridis", (0.0, 1.0), ground=_NO_VALUE
        )
        _dress(axes, scene, say, small=True)
        if k % columns:
            axes.set_ylabel("")
        if k + columns < len(scene.classes):
            axes.set_xlabel("")
        axes.set_title(label_of(scene.classes[k], say), fontsize=9.5)
    model = result.main_model
    note = say("common.confidence")
    if model is not None:
        note = say("map_png.confidence", calibrated=validation_text(model.calibrated_on, say))
    figure.colorbar(image, ax=panels, label=note, shrink=0.7, pad=0.02)


def _dress(axes: Axes, scene: Scene, say: Words, *, small: bool = False) -> None:
    left, right, low, high = scene.extent
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.tick_params(labelsize=7 if small else 9)
    axes.locator_params(nbins=4 if small else 7)
    if scene.ratio > 6:
        axes.set_yticks([(low + high) / 2])
    elif scene.ratio < 1 / 6:
        axes.set_xticks([(left + right) / 2])
    axes.set_xlabel(scene_label(scene, say, "x"), fontsize=7.5 if small else 10, labelpad=1)
    axes.set_ylabel(scene_label(scene, say, "y"), fontsize=7.5 if small else 10, labelpad=1)
    placed = scene.placement.inside if scene.placement is not None else np.isfinite(scene.x_um + scene.y_um)
    doubtful = scene.doubtful & placed
    if doubtful.any():
        squares = list(squares_of(scene, doubtful))
        # Black on white: either alone vanishes on some colour of a confidence map.
        for colour, width in (("#FFFFFF", 2.6), ("#000000", 0.9)):
            axes.add_collection(
                PatchCollection(
                    squares, facecolor="none", edgecolor=colour, linewidth=0, hatch="///", hatch_linewidth=width
                )
            )


def _legend(scene: Scene, say: Words) -> Iterator[Patch | Line2D]:
    counts = scene.present()[scene.done].sum(axis=0)
    for phase, count in zip(scene.classes, counts, strict=True):
        yield Patch(
            facecolor=phase.colour, edgecolor="#666666", linewidth=0.5, label=f"{label_of(phase, say)}: {count}"
        )
    if scene.classes:
        unsure = int(np.count_nonzero(scene.classified & ~scene.present().any(axis=1)))
        yield Patch(
            facecolor="white",
            edgecolor=UNSURE_COLOUR,
            linewidth=2,
            label=f"{say('page.no_class', threshold=THRESHOLD)}: {unsure}",
        )
    for state, colour in MISSING_COLOURS.items():
        count = int(np.count_nonzero(scene.state == state))
        if count:
            crossed = state in CROSSED
            yield Line2D(
                [], [], linestyle="none", marker="x" if crossed else ".", color=colour, markersize=8,
                label=f"{say(f'state.{state.label}')}: {count}",
            )  # fmt: skip
    doubtful = int(np.count_nonzero(scene.doubtful))
    if doubtful:
        yield Patch(
            facecolor="white", edgecolor="#000000", hatch="///", label=f"{say('flag.position_doubtful')}: {doubtful}"
        )


def _title(result: Result, say: Words) -> str:
    header = result.header
    sample = header.metadata.get("sample_name") or header.metadata.get("sample") or header.plan_name
    if isinstance(sample, Mapping):
        sample = sample.get("name", header.plan_name)
    name = writable(str(sample))
    places = result.points - result.ledger_sums[PointState.SUPERSEDED.label]
    scan = f", {say('report.scan_number', number=header.scan_id)}" if header.scan_id else ""
    return f"{name}{scan}: {say('map_png.points', done=result.points_done, points=places)}"


def _footer(result: Result, say: Words) -> str:
    header = result.header
    when = say("map_png.ended", time=result.end_time) if result.end_time else say("map_png.running")
    if isinstance(result, ComposedMap):
        when = " | ".join([*shifts_of(result, say), when])
    model = result.main_model
    if model is None:
        return f"phasecast, {header.device} | {when}"
    named = f"{say('common.model')} {model.name} {model.version} ({model.sha256[:8]})"
    return f"phasecast | {named}, {validation_text(model.calibrated_on, say)} | {header.device} | {when}"


def _has_column(result: Result, name: str) -> bool:
    return any(column.name == name for column in result.header.columns)
