"""One self-contained HTML file of a report: it opens from a USB stick and asks nobody for anything."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from phasecast.core.words import Language, Words, words
from phasecast.report.chart_figures import (
    drift_figure,
    fraction_figure,
    mean_pattern_figure,
    profile_figure,
    unsure_figure,
)
from phasecast.report.embed import png_of, svg_of
from phasecast.report.fonts import embedded_font, figure_style, font_family
from phasecast.report.map_figures import composite_figure, confidence_figure
from phasecast.report.material import Material
from phasecast.report.model import Report
from phasecast.report.text import page_text

WIDTH_MM = 170.0
_FONT_HOLE = "data:font/hole"


def render_html(report: Report, material: Material, language: Language, *, total: Any = None) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    report
        What it says.
    material
        What its figures are drawn from.
    language
        ``en`` or ``ja``.
    total
        Total counts of each point, (n,), for results without classes.
    """
    say = words(language)
    with figure_style():
        figures = {
            name: svg_of(draw(), name) if kind == "svg" else png_of(draw())
            for name, (kind, draw) in figures_of(report, material, say, width_mm=WIDTH_MM, total=total).items()
        }
    context = page_text(report, material.scene, say)
    html: str = _template().render(
        **context,
        report=report,
        say=say,
        language=language,
        family=font_family(),
        font=_FONT_HOLE,
        figures={name: figures.get(name, "") for name in FIGURES},
    )
    # without the pictures' own letters, which would ask for the whole Latin alphabet anyway
    visible = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    return html.replace(_FONT_HOLE, embedded_font("".join(sorted(set(visible)))))


FIGURES = ("composite", "confidence", "fractions", "profile", "patterns", "unsure", "drift")


def figures_of(
    report: Report, material: Material, say: Words, *, width_mm: float, total: Any = None, alone: bool = False
) -> dict[str, tuple[str, Callable[[], Figure]]]:
    """Return the figures that this report has: name to how it is embedded (``svg`` or ``png``) and how it is drawn.

    Parameters
    ----------
    alone
        Whether they stand outside the report, and so need a legend of their own.
    """
    figures: dict[str, tuple[str, Callable[[], Figure]]] = {}
    scene = material.scene
    if scene.x_um.size:
        beam = report.scan.beam_um
        figures["composite"] = (
            "png",
            lambda: composite_figure(scene, say, width_mm=width_mm, total=total, beam_um=beam, legend=alone),
        )
    if scene.classes and scene.x_um.size:
        figures["confidence"] = ("png", lambda: confidence_figure(scene, say, width_mm=width_mm))
    if report.regions:
        figures["fractions"] = ("svg", lambda: fraction_figure(report, say, width_mm=width_mm))
    if report.profile is not None:
        figures["profile"] = ("svg", lambda: profile_figure(report, say, width_mm=width_mm))
    if material.class_means:
        figures["patterns"] = ("svg", lambda: mean_pattern_figure(report, material, say, width_mm=width_mm))
    if report.least_sure:
        figures["unsure"] = ("svg", lambda: unsure_figure(report, material, say, width_mm=width_mm))
    if material.line is not None or (material.i0 is not None and np.isfinite(material.i0.mean) and material.i0.mean):
        figures["drift"] = ("svg", lambda: drift_figure(report, material, say, width_mm=width_mm))
    return figures


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("phasecast.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2")
