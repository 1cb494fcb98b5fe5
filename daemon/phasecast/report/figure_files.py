"""Figures for publication and data files of a report: SVG, PDF and 600 dpi TIFF, maps, tables and patterns."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phasecast.core.words import Language, words
from phasecast.report.fonts import figure_style
from phasecast.report.html import figures_of
from phasecast.report.material import Material, MeanPattern
from phasecast.report.model import Report
from phasecast.results.export import write_maps, write_pattern_xye, write_points_csv
from phasecast.results.reader import Result

WIDTHS_MM = (85, 170)
TIFF_DPI = 600
_UNSAFE = re.compile(r"[^\w.-]+")


def write_figures(
    report: Report,
    material: Material,
    folder: Path,
    language: Language,
    *,
    total: Any = None,
    only: Collection[str] | None = None,
) -> list[Path]:
    """Write the figures of a report as SVG, PDF and TIFF at both widths of a journal; return the files.

    Parameters
    ----------
    only
        Names of the figures; all if None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    with figure_style():
        for width_mm in WIDTHS_MM:
            figures = figures_of(report, material, words(language), width_mm=width_mm, total=total, alone=True)
            for name, (_, draw) in figures.items():
                if only is not None and name not in only:
                    continue
                figure = draw()
                stem = f"{name}_{width_mm}mm"
                for suffix in ("svg", "pdf", "tif"):
                    paths.append(folder / f"{stem}.{suffix}")
                    _save(figure, paths[-1])
    return paths


def write_data(result: Result, material: Material, folder: Path) -> list[Path]:
    """Write maps (float32 TIFF), the table of points (CSV) and mean patterns (.xye); return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = write_maps(result, folder / "maps")
    write_points_csv(result, folder / "points.csv")
    paths.append(folder / "points.csv")
    patterns = folder / "patterns"
    means: dict[str, tuple[str, MeanPattern]] = {
        f"phase_{name}": (f"points with {name} at or above the threshold", mean)
        for name, mean in material.class_means.items()
    }
    for name, mean in material.region_means.items():
        about = {"all": "all points", **dict.fromkeys(("steel", "rust", "outside"), f"proposed part: {name}")}
        means[f"region_{_UNSAFE.sub('_', name.removeprefix('region '))}"] = (about.get(name, name), mean)
    for stem, (what, mean) in means.items():
        patterns.mkdir(exist_ok=True)
        paths.append(patterns / f"{stem}.xye")
        write_pattern_xye(
            paths[-1],
            material.tth_deg,
            mean.intensity,
            mean.sigma,
            about={"result": result.path.name, "mean of": what, "points": mean.points},
        )
    return paths


def _save(figure: Figure, path: Path) -> None:
    partial = path.with_name(f"{path.name}.part")
    if path.suffix == ".tif":
        FigureCanvasAgg(figure)
        options = {"compression": "tiff_lzw", "dpi": (TIFF_DPI, TIFF_DPI)}
        figure.savefig(partial, format="tiff", dpi=TIFF_DPI, pil_kwargs=options)
    else:
        # text of a figure that leaves the report must not depend on the reader's fonts
        with figure_style(text_as_paths=True):
            figure.savefig(partial, format=path.suffix[1:], dpi=TIFF_DPI)
    os.replace(partial, path)
