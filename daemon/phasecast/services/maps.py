"""Several results as one map: picture, report and the list of points to measure again."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phasecast.core.errors import PhasecastError
from phasecast.core.words import Language, words
from phasecast.report.map_png import draw_map
from phasecast.report.map_text import interruption_text, map_of
from phasecast.report.model import MapFact
from phasecast.results import open_result
from phasecast.results.composed_map import open_map
from phasecast.results.export import write_points_csv
from phasecast.results.map_identity import map_name_of
from phasecast.results.map_part import Offsets
from phasecast.results.reader import Result
from phasecast.results.repair_list import RepairList, repair_list
from phasecast.services.report import ReportPaths, write_report
from phasecast.services.report_place import report_path, write_whole

_OFFSET = re.compile(r"^(?P<file>.+)=(?P<x>[-+.\deE]+),(?P<y>[-+.\deE]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSummary:
    """What a map holds.

    Parameters
    ----------
    name
        Its name.
    ledger
        Points in each state.
    complete
        Whether every place has a result.
    fact
        Its scans and interruptions; None for a single scan without any.
    files
        What was written: picture, points.
    """

    name: str
    ledger: Mapping[str, int]
    complete: bool
    fact: MapFact | None
    files: tuple[Path, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What the command prints: scans, ledger and interruptions with their estimated offsets."""
        say, lines = words("en"), [f"map: {self.name or 'without a name'}"]
        if self.fact is not None:
            for file, number, counting, points in self.fact.scans:
                lines.append("  " + say("map.scan_line", file=file, number=number, counting=counting, points=points))
        lines.append("ledger: " + ", ".join(f"{count} {state}" for state, count in self.ledger.items() if count))
        if self.fact is not None:
            lines += [interruption_text(one, say) for one in self.fact.interruptions]
        return lines + [f"{path.suffix.removeprefix('.')}: {path}" for path in self.files]


def draw_map_of(
    paths: Sequence[Path],
    picture: Path | None = None,
    *,
    name: str = "",
    offsets: Sequence[str] = (),
    language: Language = "en",
) -> MapSummary:
    """Draw the map of a result, or of several as one, with a table of its points beside the picture.

    Parameters
    ----------
    paths
        Result files; only read.
    picture
        The PNG; its CSV lies beside it. Nothing is written if None.
    name
        Name of the map; that of its scans if empty.
    offsets
        ``FILE=X,Y``: um to add to the positions of a result.
    language
        Language of the picture.

    Raises
    ------
    PhasecastError
        If a result cannot be read, they are no parts of one map, or nothing can be written.
    """
    with open_map(paths, name=name, offsets_um=read_offsets(offsets, paths)) as result:
        files: tuple[Path, ...] = ()
        if picture is not None:
            table = picture.with_suffix(".csv")
            try:
                picture.parent.mkdir(parents=True, exist_ok=True)
                draw_map(result, picture, language)
                write_points_csv(result, table)
            except OSError as error:
                raise PhasecastError(
                    f"the map cannot be written ({error.strerror})", where=str(picture), remedy="give another place"
                ) from error
            files = (picture, table)
        return summary_of(result, files)


def summary_of(result: Result, files: tuple[Path, ...] = ()) -> MapSummary:
    """Return what the command prints of an open result, or of several as one."""
    sums = result.ledger_sums
    fact = map_of(result)
    return MapSummary(
        name=fact.name if fact is not None else map_name_of(result.header),
        ledger=sums,
        complete=result.points_done + sums["superseded"] == result.points,
        fact=fact,
        files=files,
    )


def write_map_report(
    paths: Sequence[Path],
    html: Path | None = None,
    *,
    name: str = "",
    offsets: Sequence[str] = (),
    language: Language = "en",
    figures: bool = False,
) -> ReportPaths:
    """Write the report of a result, or of several as one map.

    The report of a map lies beside those of its scans, under the name of its newest scan and ``-map``.

    Raises
    ------
    PhasecastError
        If a result cannot be read, they are no parts of one map, or the report cannot be written.
    """
    chosen = read_offsets(offsets, paths)
    if html is None and (len(paths) > 1 or chosen):
        newest = max(paths, key=_started)
        html = report_path(newest).with_name(f"{newest.stem}-map.html")
    return write_report(paths, html, language=language, figures=figures, name=name, offsets_um=chosen)


def write_repair_list(
    paths: Sequence[Path], output: Path | None = None, *, name: str = "", offsets: Sequence[str] = ()
) -> tuple[RepairList, tuple[Path, ...]]:
    """Write the points to measure again as a table, as data and as a bluesky plan: ``.csv``, ``.json``, ``.py``.

    Parameters
    ----------
    paths
        Result files; only read.
    output
        Path of the three files without its ending; beside the newest result, ending in ``-repair``, if None.
    name, offsets
        As for `draw_map_of`.

    Raises
    ------
    PhasecastError
        If a result cannot be read, does not say which motors move the sample, or nothing can be written.
    """
    with open_map(paths, name=name, offsets_um=read_offsets(offsets, paths)) as result:
        found = repair_list(result)
    newest = max(paths, key=_started)
    stem = output or report_path(newest).with_name(f"{newest.stem}-repair")
    # not with_suffix: the name may hold a dot
    targets = {ending: stem.with_name(stem.name + ending) for ending in (".csv", ".json", ".py")}
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        # Japanese Excel needs the byte order mark to see that it is UTF-8
        write_whole(targets[".csv"], "\ufeff" + found.as_csv())
        write_whole(targets[".json"], found.as_json())
        write_whole(targets[".py"], found.as_plan())
    except OSError as error:
        raise PhasecastError(
            f"the repair list cannot be written ({error.strerror})", where=str(stem), remedy="give a place with -o"
        ) from error
    return found, tuple(targets.values())


def read_offsets(texts: Sequence[str], paths: Sequence[str | os.PathLike[str]]) -> Offsets:
    """Read ``FILE=X,Y``, um to add to the positions of a result; FILE is its path, its name or its stem.

    Raises
    ------
    PhasecastError
        If a text cannot be read or names none, or several, of the results.
    """
    offsets: dict[str, tuple[float, float]] = {}
    for text in texts:
        match = _OFFSET.match(text)
        try:
            added = (float(match["x"]), float(match["y"])) if match else None
        except ValueError:
            added = None
        if match is None or added is None:
            raise PhasecastError(f"cannot read {text!r}", where="--offset", remedy="write it as scan.nxs=3.0,-1.5 (um)")
        named = [path for path in map(Path, paths) if match["file"] in (str(path), path.name, path.stem)]
        if len(named) != 1:
            raise PhasecastError(
                f"{match['file']!r} names {len(named)} of the results", where="--offset", remedy="name one of them"
            )
        with open_result(named[0]) as result:
            offsets[result.header.raw_uid] = added
    return offsets


def _started(path: Path) -> float:
    with open_result(path) as result:
        return result.header.started_s
