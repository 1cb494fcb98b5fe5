"""Figures for publication: the right width, resolution and fonts, read back by other programs."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phasecast.core.words import words
from phasecast.report.fonts import figure_style
from phasecast.report.map_figures import composite_figure, confidence_figure
from phasecast.results import open_result
from phasecast.results.scene import scene_of
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan


@pytest.fixture(scope="module")
def result_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sink = NexusSink(tmp_path_factory.mktemp("figures") / "scan.nxs")
    for document in raster_scan((6, 9)).documents():
        sink(*document)
    return sink.path


def test_figures_have_the_width_of_a_journal_at_600_dpi(result_path: Path, tmp_path: Path) -> None:
    from phasecast.report.build import build_report
    from phasecast.report.figure_files import write_data, write_figures
    from phasecast.report.material import gather

    with open_result(result_path) as result:
        material = gather(result)
        report = build_report(result, material)
        write_data(result, material, tmp_path)
        paths = write_figures(report, material, tmp_path, "ja", only={"composite", "fractions"})
    assert {path.name for path in paths} == {
        f"{name}_{width}mm.{suffix}"
        for name in ("composite", "fractions")
        for width in (85, 170)
        for suffix in ("svg", "pdf", "tif")
    }
    for width_mm in (85, 170):
        with Image.open(tmp_path / f"composite_{width_mm}mm.tif") as image:
            assert image.info["dpi"] == pytest.approx((600, 600))
            assert image.width / 600 * 25.4 == pytest.approx(width_mm, abs=0.1)
        svg = (tmp_path / f"composite_{width_mm}mm.svg").read_text(encoding="utf-8")
        points = float(re.search(r'<svg [^>]*width="([\d.]+)pt"', svg)[1])  # type: ignore[index]
        assert points / 72 * 25.4 == pytest.approx(width_mm, abs=0.1)
        assert "<text" not in svg  # outlines: it looks the same without our font
        assert (tmp_path / f"composite_{width_mm}mm.pdf").read_bytes().startswith(b"%PDF")
    assert len(list((tmp_path / "maps").glob("*.tif"))) == 11
    assert (tmp_path / "patterns" / "region_all.xye").is_file()
    assert (tmp_path / "patterns" / "phase_goethite.xye").is_file()
    assert (tmp_path / "points.csv").is_file()
    assert not list(tmp_path.rglob("*.part"))


def test_maps_have_equal_aspect_y_up_a_scale_bar_of_true_length_and_the_beam(result_path: Path) -> None:
    with open_result(result_path) as result:
        scene = scene_of(result)
    with figure_style():
        figure = composite_figure(scene, words("en"), width_mm=170, beam_um=(2.0, 1.25))
        small = confidence_figure(scene, words("ja"), width_mm=85)
    (axes,) = figure.axes
    assert axes.get_aspect() == 1
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    bar = axes.lines[-1].get_xdata()
    text = next(one.get_text() for one in axes.texts)
    assert float(np.ptp(bar)) == pytest.approx(float(text.split()[0]))
    beam = axes.patches[-1]
    assert (beam.width, beam.height) == (2.0, 1.25)  # type: ignore[attr-defined]
    maps = [panel for panel in small.axes if panel.images]
    assert len(maps) == 9
    assert all(panel.get_ylim()[0] < panel.get_ylim()[1] and panel.get_aspect() == 1 for panel in maps)
