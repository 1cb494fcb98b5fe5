"""Reading the runs of a catalog: for people, and for a replay."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import CatalogError
from phasecast.records.results_list import ResultsList
from phasecast.services.catalog import capture_start
from phasecast.sinks.tiled_catalog import CatalogRun, TiledCatalog, open_catalog
from phasecast.sources.document_lines import SUFFIX
from phasecast.sources.run_documents import archive_path, is_whole, read_run, write_run


def list_runs(directory: DataDirectory, uri: str = "") -> list[CatalogRun]:
    """Return the runs of a catalog, oldest first.

    Raises
    ------
    CatalogError
        If it cannot be opened or read.
    """
    with open_catalog(directory, uri) as catalog:
        return sorted(catalog.runs(), key=lambda run: float(run.start.get("time", 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContent:
    """A run of a catalog and what can be read of it.

    Parameters
    ----------
    run
        The run.
    streams
        Stream to name and shape of its arrays.
    documents
        Its documents as JSON lines; None if they are not in the data directory.
    """

    run: CatalogRun
    streams: Mapping[str, Mapping[str, tuple[int, ...]]]
    documents: Path | None


def show_run(directory: DataDirectory, uid: str, uri: str = "") -> RunContent:
    """Return a run of a catalog by its uid, or by the beginning of it.

    Raises
    ------
    CatalogError
        If the catalog cannot be opened, or there is no such run, or several.
    """
    with open_catalog(directory, uri) as catalog:
        run = _match(catalog, uid)
        path = archive_path(directory, run.uid)
        return RunContent(run=run, streams=catalog.arrays(run.uid), documents=path if path.is_file() else None)


def documents_of_run(directory: DataDirectory, uid: str, uri: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents of a run, for a replay: our own archive's if it is there, else what the catalog says.

    The archive has every document as it came, those of ophyd-async included. A catalog gives its own account:
    good for runs of classic ophyd that were recorded without phasecast.

    Parameters
    ----------
    directory
        The data directory whose archive and embedded catalog are meant.
    uid
        The run; its beginning is enough where that is unique.
    uri
        A Tiled server; empty for the embedded catalog.

    Raises
    ------
    CatalogError
        If neither has the run.
    """
    found = sorted(path for path in directory.documents.glob(f"{Path(uid).name}*{SUFFIX}") if is_whole(path))
    if len(found) == 1:
        yield from read_run(found[0])
        return
    if len(found) > 1:
        raise _ambiguous(uid, [path.stem for path in found], str(directory.documents))
    with open_catalog(directory, uri) as catalog:
        yield from catalog.documents(_match(catalog, uid).uid)


def fetch_run(source: DataDirectory, uid: str, target: DataDirectory, uri: str = "") -> Path:
    """Return what a run is replayed from: its result, whose capture has its frames too, or its documents.

    Parameters
    ----------
    source
        The data directory that has the run, if there is one.
    uid
        The run; its beginning is enough where that is unique.
    target
        Where documents that a catalog gave are written, as JSON lines.
    uri
        A Tiled server; empty for the catalog of `source`.

    Raises
    ------
    CatalogError
        If nobody has the run.
    """
    if not uri:
        entries = [entry for entry in ResultsList(source).read() if uid and entry.raw_uid.startswith(uid)]
        for entry in entries:
            place = capture_start(entry) if entry.is_readable else None
            if place is not None and (source.captures / place.segment).is_file():
                return entry.path
    run = list(documents_of_run(source, uid, uri))
    path = archive_path(target, str(run[0][1].get("uid", ""))) if run else target.documents
    if not run or run[0][0] != "start":
        raise CatalogError("its documents have no start", where=f"run {uid}", remedy="it cannot be replayed")
    write_run(path, run)
    return path


def _match(catalog: TiledCatalog, uid: str) -> CatalogRun:
    exact = catalog.find(uid)
    if exact is not None:
        return exact
    found = [run for run in catalog.runs() if run.uid.startswith(uid)]
    if not found:
        raise CatalogError(
            f"no run {uid!r}", where=catalog.name, remedy="`phasecast catalog list` names those that are there"
        )
    if len(found) > 1:
        raise _ambiguous(uid, [run.uid for run in found], catalog.name)
    return found[0]


def _ambiguous(uid: str, found: list[str], where: str) -> CatalogError:
    return CatalogError(f"{len(found)} runs begin with {uid!r}", where=where, remedy=f"give more of {found[0]}")
