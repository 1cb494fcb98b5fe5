"""Which scans the sample files of a data directory may speak of: what they are called, and where their frames lie."""

from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.results_list import ResultEntry, ResultsList
from phasecast.records.sample_files import KnownScan, SampleFiles
from phasecast.results import open_result

NEWEST = 50
"""Scans that are looked after while the page runs; a report looks after its own scan whatever its age."""


class KnownScans:
    """Scans of a data directory; each result is opened until its frames' folder is known, then never again.

    Parameters
    ----------
    results
        The list of results.
    """

    def __init__(self, results: ResultsList) -> None:
        self._results = results
        self._known: dict[Path, KnownScan] = {}

    def newest(self, count: int = NEWEST) -> list[KnownScan]:
        """Return the scans that began last, those being written among them."""
        entries = [entry for entry in self._results.read() if entry.raw_uid]
        scans = (self._scan(entry) for entry in sorted(entries, key=lambda entry: -entry.started_s)[:count])
        return [scan for scan in scans if scan is not None]

    def _scan(self, entry: ResultEntry) -> KnownScan | None:
        known = self._known.get(entry.path)
        if known is not None:
            return known
        try:
            found = known_scan(entry.path)
        except (PhasecastError, OSError, KeyError):
            return None
        if found.has_frames or entry.state == "closed":
            self._known[entry.path] = found
        return found


def known_scan(path: Path) -> KnownScan:
    """Return what a result's scan may be called, and where its frames lie.

    Raises
    ------
    PhasecastError
        If the result cannot be read.
    """
    with open_result(path) as result:
        header = result.header
        first = next((row for row in range(min(result.points, 20)) if result.frame_reference(row) is not None), None)
        reference = result.frame_reference(first) if first is not None else None
    names = {path.stem, path.name, header.raw_uid}
    names |= {str(header.scan_id)} if header.scan_id else set()
    series = header.metadata.get("series")
    if isinstance(series, str):
        names |= {series, series.rpartition("/")[2], series.rpartition("/")[0]} - {""}
    folder = Path(reference.path).parent if reference is not None and reference.store == "file" else None
    return KnownScan(
        raw_uid=header.raw_uid, result=path, names=frozenset(names), folder=folder, has_frames=reference is not None
    )


def note_sample_files(directory: DataDirectory, result: Path) -> tuple[str, ...]:
    """Write down what the sample files say of one result now, where no page runs that would; return the problems.

    Raises
    ------
    PhasecastError
        If the result or the journal cannot be read or written.
    """
    files = SampleFiles(directory)
    files.look([known_scan(result)])
    return tuple(files.problems.values())
