"""Makes the report of a result: what the file says and what people said of it, as HTML and JSON."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.region_requests import Points
from phasecast.core.words import Language
from phasecast.records.labels import read_labels
from phasecast.records.notes import read_notes
from phasecast.records.regions import Region, read_regions, region_mask
from phasecast.records.sample_scans import note_sample_files
from phasecast.records.samples import sample_for
from phasecast.records.surfaces import read_surface
from phasecast.report.blind_check import blind_fact
from phasecast.report.build import build_report
from phasecast.report.figure_files import write_data, write_figures
from phasecast.report.html import render_html
from phasecast.report.material import Chosen, GivenSurface, gather
from phasecast.report.model import BlindFact
from phasecast.results.composed_map import ComposedMap, open_map
from phasecast.results.layout import TOTAL_COLUMN, UNSURE
from phasecast.results.map_part import Offsets
from phasecast.results.partition import STEEL, UNKNOWN
from phasecast.results.reader import Result
from phasecast.services.report_place import data_directory_of, forget_failure, report_path, write_whole

logger = logging.getLogger(__name__)

_Said = TypeVar("_Said")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPaths:
    """Where a report lies."""

    html: Path
    json: Path
    folder: Path


def write_report(
    results: Path | Sequence[Path],
    html: Path | None = None,
    *,
    language: Language = "en",
    figures: bool = False,
    name: str = "",
    offsets_um: Offsets | None = None,
) -> ReportPaths:
    """Write the report of a result, or of several as one map: HTML, JSON, and a folder of maps, points and patterns.

    HTML and JSON appear complete or not at all.

    Parameters
    ----------
    results
        The result file, or those of one map, the one that the report is filed under first; only read.
    html
        The HTML file; `report_path` if None. The JSON lies beside it.
    language
        Language of the HTML.
    figures
        Whether to write figure files too, into the folder of maps and patterns beside it.
    name, offsets_um
        As for `open_map`.

    Raises
    ------
    PhasecastError
        If the result cannot be read or the report not be written.
    """
    paths = [results] if isinstance(results, Path) else list(results)
    result_path = paths[0]
    target = html or report_path(result_path)
    folder = target.with_suffix("")
    with open_map(paths, name=name, offsets_um=offsets_um) as result:
        directory = data_directory_of(result_path) or DataDirectory(result_path.resolve().parent)
        told = _what_people_said(result, directory, paths if data_directory_of(result_path) is not None else ())
        material = gather(result, surface=told.surface, regions=told.regions, parts=told.parts)
        report = build_report(
            result, material, sample=told.sample, labels_given=told.labels, unread=told.unread, blind=told.blind
        )
        total = _total(result) if not result.header.classes else None
        page = render_html(report, material, language, total=total)
        content = json.dumps(report.as_json(), ensure_ascii=False, indent=1)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, page)
            write_whole(target.with_suffix(".json"), content)
            write_data(result, material, folder)
            if figures:
                write_figures(report, material, folder, language, total=total)
            if html is None:
                forget_failure(result_path)
        except OSError as error:
            raise PhasecastError(
                f"the report cannot be written ({error.strerror})",
                where=str(target),
                remedy="make room or give another place with -o, then run phasecast report again",
            ) from error
    return ReportPaths(html=target, json=target.with_suffix(".json"), folder=folder)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """What people said of a scan."""

    sample: Mapping[str, str] | None = None
    surface: GivenSurface | None = None
    regions: Mapping[str, Chosen] | None = None
    parts: NDArray[np.str_] | None = None
    labels: int = 0
    unread: tuple[str, ...] = ()
    blind: BlindFact | None = None


def _what_people_said(result: Result, directory: DataDirectory, paths: Sequence[Path]) -> _Told:
    """Read forms, surface, regions and labels; what cannot be read is named in the report and costs nothing else.

    What the sample files say of the results at these paths is written down first, where no page has done so.
    """
    uid, unread = result.header.raw_uid, []

    def read(what: Callable[[], _Said]) -> _Said | None:
        try:
            return what()
        except PhasecastError as error:
            logger.warning("%s", error)
            unread.append(str(error))
            return None

    for path in paths:
        unread += read(partial(note_sample_files, directory, path)) or ()
    surface = read(lambda: read_surface(directory, uid))
    regions = read(lambda: read_regions(directory)) or []
    # a check is of one scan, and says nothing of a map of several
    notes = (read(lambda: read_notes(result.path)) or []) if not isinstance(result, ComposedMap) else []
    chosen = _points_of(result, regions, unread) if regions else {}
    parts = _confirmed_parts(result, regions, chosen)
    shown_as_part = {region.name for region in regions if region.role} if parts is not None else set()
    return _Told(
        sample=read(lambda: sample_for(directory, uid, result.header)),
        surface=None if surface is None else GivenSurface(vertices_um=surface.vertices_um, confirmed=surface.confirmed),
        regions={name: points for name, points in chosen.items() if name not in shown_as_part},
        parts=parts,
        labels=len(read(lambda: read_labels(directory, uid)) or []),
        unread=tuple(unread),
        blind=blind_fact(notes),
    )


def _points_of(result: Result, regions: Sequence[Region], unread: list[str]) -> dict[str, Chosen]:
    """Points of each region, by name; single points belong to the scan that they were chosen on."""
    uid, ledger = result.header.raw_uid, result.ledger
    confidence = result.confidences.values
    layers: dict[str, NDArray[Any]] = {phase.id: confidence[:, k] for k, phase in enumerate(result.header.classes)}
    layers["total_intensity"] = _total(result)
    low, high = UNSURE
    layers["unsure"] = np.asarray(((confidence > low) & (confidence < high)).any(axis=1), dtype=np.float64)
    chosen: dict[str, Chosen] = {}
    for region in regions:
        if isinstance(region.definition, Points) and region.definition.scan_raw_uid != uid:
            continue
        try:
            chosen[region.name] = region_mask(
                region, raw_uid=uid, x_um=ledger["x_um"].values, y_um=ledger["y_um"].values, layers=layers
            )
        except PhasecastError as error:
            unread.append(f"{region.name}: {error}")
    return chosen


def _confirmed_parts(
    result: Result, regions: Sequence[Region], chosen: Mapping[str, Chosen]
) -> NDArray[np.str_] | None:
    """The part of every point as people said, (n,); None where nobody named the steel."""
    parts = np.full(result.points, UNKNOWN, dtype="U7")
    for region in regions:
        if region.role and region.name in chosen:
            parts[chosen[region.name]] = region.role
    return parts if np.any(parts == STEEL) else None


def _total(result: Result) -> NDArray[np.float64]:
    if any(column.name == TOTAL_COLUMN for column in result.header.columns):
        total = result.column(TOTAL_COLUMN).values.astype(np.float64)
    else:
        total = np.nansum(result.patterns.values, axis=1, dtype=np.float64)
    return np.where(result.done[: total.size], total, np.nan)
