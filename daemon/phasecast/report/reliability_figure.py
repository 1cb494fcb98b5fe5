"""The reliability diagram of a model as a figure for documents."""

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasecast.core.words import Words
from phasecast.records.reliability import HIGHEST, LOWEST, TICKS, Reliability, ReliabilityCurve, on_logit, tick_texts
from phasecast.report.fonts import figure_style, writable
from phasecast.report.map_figures import MM

_ROOM = 0.35
_SIDE_MM = 85
_TITLE_LETTERS = 48
_COLOURS = {"before": "#98A2B3", "after": "#1849A9", "stated": "#1849A9"}
_GRID = "#EAECF0"
_INK = "#344054"
_DPI = 200


def reliability_figure(found: Sequence[Reliability], say: Words, *, title: str) -> Figure:
    """Draw diagrams side by side: each dot a group of equal size, the line where confidences are right.

    Parameters
    ----------
    found
        Those that hold a diagram, at least one.
    say
        Words of the language to write in.
    title
        Stands above all of them.
    """
    figure = Figure(figsize=(len(found) * _SIDE_MM * MM, (_SIDE_MM + 12) * MM), layout="constrained")
    for axes, one in zip(figure.subplots(1, len(found), squeeze=False).ravel(), found, strict=True):
        _draw(axes, one, say)
    figure.suptitle(writable(title), fontsize=9)
    return figure


def write_reliability(found: Sequence[Reliability], path: Path, say: Words, *, title: str, about: str) -> None:
    """Write the figure as SVG or PNG, by the name of the file; the same card gives the same bytes of SVG.

    ``about`` says inside the file where the figures come from.
    """
    partial = path.with_name(f"{path.name}.part")
    # the text as outlines: documents are read without our font. Ids in SVG are random but for the salt.
    with figure_style(text_as_paths=True), matplotlib.rc_context({"svg.hashsalt": "reliability"}):
        figure = reliability_figure(found, say, title=title)
        stamp = {"Title": title, "Description": about} | ({"Date": None} if path.suffix == ".svg" else {})
        figure.savefig(partial, format=path.suffix[1:], dpi=_DPI, facecolor="white", metadata=stamp)
    os.replace(partial, path)


def _draw(axes: Axes, one: Reliability, say: Words) -> None:
    low, high = on_logit((LOWEST, HIGHEST))
    axes.plot((low, high), (low, high), color=_INK, linewidth=0.8, linestyle=(0, (4, 2)))
    for curve in one.curves:
        _dots(axes, curve, writable(say(f"model.reliability_{curve.when}", ece=one.error_text(curve))))
    at, texts = on_logit(TICKS), tick_texts()
    axes.set_xticks(at, texts, rotation=45, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_yticks(at, texts, fontsize=7)
    span = low - _ROOM, high + _ROOM
    axes.set(xlim=span, ylim=span, aspect="equal")
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(writable(say("model.reliability_said")), fontsize=8)
    axes.set_ylabel(writable(say("model.reliability_true")), fontsize=8)
    on = say(f"model.reliability_on_{one.on}", patterns=f"{one.patterns:,}" if one.patterns else "–")
    axes.set_title(textwrap.fill(writable(on), _TITLE_LETTERS), fontsize=7, loc="left")
    axes.legend(loc="upper left", fontsize=7, frameon=False)


def _dots(axes: Axes, curve: ReliabilityCurve, label: str) -> None:
    if not curve.confidence:
        return
    colour = _COLOURS[curve.when]
    x, y = on_logit(curve.confidence), on_logit(curve.frequency)
    if curve.low:
        axes.vlines(x, on_logit(curve.low), on_logit(curve.high), color=colour, linewidth=0.9, alpha=0.7)
    fill, size = ("white", 6.5) if curve.when == "before" else (colour, 4.5)
    axes.plot(
        x, y, "o", markersize=size, markeredgecolor=colour, markerfacecolor=fill, label=label, clip_on=False,
    )  # fmt: skip
