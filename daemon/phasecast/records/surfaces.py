"""Surfaces: the line on each scan from which distances into rust and steel are measured."""

from dataclasses import dataclass
from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.region_requests import SaveSurface
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The surface of the steel on one scan.

    Parameters
    ----------
    raw_uid
        The scan.
    vertices_um
        Corners (x, y) of the open line in sample coordinates; none where a person says there is no surface.
    confirmed
        Whether a person has looked at it.
    who, time_s
        Who saved it, and when (POSIX s).
    """

    raw_uid: str
    vertices_um: tuple[tuple[float, float], ...]
    confirmed: bool
    who: str
    time_s: float


class SurfaceBook(Book):
    """Surfaces of a data directory: `refresh` takes what is new, `surfaces` is what is in force."""

    @property
    def surfaces(self) -> dict[str, Surface]:
        """Raw uid to the newest surface."""
        return dict(self._surfaces)

    def _clear(self) -> None:
        self._surfaces: dict[str, Surface] = {}

    def _take(self, entry: Entry) -> None:
        surface = Surface(
            raw_uid=str(entry["raw_uid"]),
            vertices_um=tuple((float(x), float(y)) for x, y in entry["vertices_um"]),
            confirmed=bool(entry["confirmed"]),
            who=str(entry["who"]),
            time_s=float(entry["time_s"]),
        )
        self._surfaces[surface.raw_uid] = surface


def surfaces_path(directory: DataDirectory) -> Path:
    """Return the journal of the surfaces."""
    return directory.notebook / "surfaces.jsonl"


def read_surface(directory: DataDirectory, raw_uid: str) -> Surface | None:
    """Return the newest surface of a scan; None if nobody gave one.

    Raises
    ------
    RecordsError
        If it cannot be read.
    """
    book = SurfaceBook(surfaces_path(directory))
    book.refresh()
    return book.surfaces.get(raw_uid)


def surface_entry(request: SaveSurface, request_id: str, *, time_s: float) -> Entry:
    """Return the entry that saves a surface."""
    return {
        **stamp(request_id, request.who, time_s),
        "kind": "surface",
        "raw_uid": request.scan_raw_uid,
        "vertices_um": [list(vertex) for vertex in request.vertices_um],
        "confirmed": request.confirmed,
    }
