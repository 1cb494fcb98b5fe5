"""Makes the report of a result: what the file says and what people said of it, as HTML and JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.words import Language
from phasecast.report.build import build_report
from phasecast.report.figure_files import write_data, write_figures
from phasecast.report.html import render_html
from phasecast.report.material import Chosen, GivenSurface, gather
from phasecast.results import open_result
from phasecast.results.layout import TOTAL_COLUMN
from phasecast.results.reader import Result
from phasecast.services.report_place import data_directory_of, failure_path, report_path, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPaths:
    """Where a report lies."""

    html: Path
    json: Path
    figures: Path | None = None


def write_report(
    result_path: Path, html: Path | None = None, *, language: Language = "en", figures: bool = False
) -> ReportPaths:
    """Write the report of a result as one HTML file and its JSON; both appear complete or not at all.

    Parameters
    ----------
    result_path
        The result file; only read.
    html
        The HTML file; `report_path` if None. The JSON lies beside it.
    language
        Language of the HTML.
    figures
        Whether to fill the folder of figures and data files beside it.

    Raises
    ------
    PhasecastError
        If the result cannot be read or the report not be written.
    """
    target = html or report_path(result_path)
    folder = target.with_suffix("")
    with open_result(result_path) as result:
        told = _what_people_said(result, data_directory_of(result_path))
        material = gather(result, surface=told.surface, regions=told.regions)
        report = build_report(result, material, sample=told.sample, labels=told.labels)
        total = _total(result) if not result.header.classes else None
        page = render_html(report, material, language, total=total)
        content = json.dumps(report.as_json(), ensure_ascii=False, indent=1)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, page)
            write_whole(target.with_suffix(".json"), content)
            if figures:
                write_data(result, material, folder)
                write_figures(report, material, folder, language, total=total)
            failure_path(result_path).unlink(missing_ok=True)
        except OSError as error:
            raise PhasecastError(
                f"the report cannot be written ({error.strerror})",
                where=str(target),
                remedy="make room or give another place with -o, then run phasecast report again",
            ) from error
    return ReportPaths(html=target, json=target.with_suffix(".json"), figures=folder if figures else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What people said of a scan."""

    sample: Mapping[str, str] | None = None
    surface: GivenSurface | None = None
    regions: Mapping[str, Chosen] | None = None
    labels: int = 0


def _what_people_said(result: Result, directory: DataDirectory | None) -> _Told:
    return _Told()


def _total(result: Result) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if any(column.name == TOTAL_COLUMN for column in result.header.columns):
        return np.asarray(result.column(TOTAL_COLUMN).values, dtype=np.float64)
    return np.asarray(np.nansum(result.patterns.values, axis=1), dtype=np.float64)
