"""What later documents of a bluesky run are read with: the run, and the streams that its descriptors describe."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeVar

import numpy as np

from phasecast.core.scan import ScanStart, ScanUid
from phasecast.sources.document_scan import number_of
from phasecast.sources.document_streams import StreamRows

_Value = TypeVar("_Value")


class Bounded(OrderedDict[str, _Value]):
    """A dict that forgets its oldest entries: what never ends must not fill the memory."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def put(self, key: str, value: _Value) -> list[str]:
        """Set an entry and return the keys of those that were forgotten."""
        self[key] = value
        self.move_to_end(key)
        return [self.popitem(last=False)[0] for _ in range(len(self) - self._limit)]


@dataclass(slots=True, kw_only=True)
class Run:
    """One run.

    Parameters
    ----------
    uid
        Of its start document.
    stream
        Name of the stream whose rows are its points.
    stream_is_stated
        Whether the start document names that stream.
    axes
        Event fields of its scanned axes.
    position_fields
        Event fields that are positions: its axes and the instrument's stage.
    nominal
        Where the plan says that each point lies; None if it does not.
    is_own
        Whether it is a result of ours.
    """

    uid: ScanUid
    stream: str
    stream_is_stated: bool
    axes: tuple[str, ...]
    position_fields: tuple[str, ...]
    nominal: "NominalGrid | None"
    is_own: bool = False
    last_seq: int = 0
    has_points: bool = False
    said: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What a descriptor says.

    Parameters
    ----------
    uid
        Of the descriptor.
    run
        Its run.
    is_points
        Whether its rows are the points of the scan.
    external
        Fields whose values are datum ids.
    image
        Field of the detector's frames; empty if there is none, or no telling which.
    frames_per_point
        As the detector describes it: frames of one event.
    image_is_streamed
        Whether its frames come as stream datums.
    numbers
        Fields that are streamed and hold one number a point.
    rows
        Which points its streams cover; None where events say so.
    """

    uid: str
    run: Run
    is_points: bool
    external: frozenset[str]
    image: str
    frames_per_point: object
    image_is_streamed: bool
    numbers: tuple[str, ...]
    rows: StreamRows | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKeys:
    """The data keys of a descriptor, sorted by what they are.

    Parameters
    ----------
    external
        Fields whose values are datum ids.
    streamed
        Fields that stream datums bring.
    images
        External or streamed fields with two dimensions or more.
    numbers
        Streamed fields with one number a point.
    count
        Number of all fields.
    """

    external: frozenset[str]
    streamed: frozenset[str]
    images: tuple[str, ...]
    numbers: tuple[str, ...]
    count: int

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> "DataKeys":
        """Sort the data keys of a descriptor; malformed ones are plain fields."""
        outside = {
            name: key for name, key in keys.items() if isinstance(key, dict) and isinstance(key.get("external"), str)
        }
        streamed = {name for name, key in outside.items() if key["external"].startswith("STREAM:")}
        shapes = {name: _shape(key) for name, key in outside.items()}
        return cls(
            external=frozenset(outside) - streamed,
            streamed=frozenset(streamed),
            images=tuple(name for name, shape in shapes.items() if len(shape) > 1 and min(shape[-2:]) > 1),
            numbers=tuple(name for name in outside if name in streamed and prod(shapes[name]) == 1),
            count=len(keys),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NominalGrid:
    """Where a plan says that its points lie: measured positions are better.

    Parameters
    ----------
    fields, shape, snaking
        The axes, slow to fast.
    extents
        (first, last) position of each.
    """

    fields: tuple[str, ...]
    shape: tuple[int, ...]
    snaking: tuple[bool, ...]
    extents: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, doc: Mapping[str, Any], scan: ScanStart) -> "NominalGrid | None":
        """Read a start document; None where it does not tell: extents of relative plans are relative."""
        extents = doc.get("extents")
        if scan.shape is None or scan.plan_name.startswith("rel_") or not isinstance(extents, list | np.ndarray):
            return None
        ends = []
        for extent in extents:
            pair = [number_of(value) for value in extent] if isinstance(extent, list | tuple | np.ndarray) else []
            match pair:
                case [float() as first, float() as last]:
                    ends.append((first, last))
        if len(ends) != len(scan.axes):
            return None
        fields = tuple(axis.field for axis in scan.axes)
        return cls(fields=fields, shape=scan.shape, snaking=scan.snaking, extents=tuple(ends))

    def position(self, seq: int) -> dict[str, float]:
        """Return the place of the point with a sequence number from 1; empty beyond the grid."""
        rest, cells = seq - 1, []
        for size in reversed(self.shape):
            rest, cell = divmod(rest, size)
            cells.append(cell)
        if rest:
            return {}
        cells.reverse()
        position, row = {}, 0
        for name, cell, size, snakes, (first, last) in zip(
            self.fields, cells, self.shape, self.snaking, self.extents, strict=True
        ):
            # a snaking axis runs backwards in every second sweep, counted over all slower axes
            place = size - 1 - cell if snakes and row % 2 else cell
            position[name] = first + (last - first) * place / (size - 1) if size > 1 else first
            row = row * size + cell
        return position


def _shape(key: Mapping[str, Any]) -> tuple[int, ...]:
    shape = key.get("shape")
    if not isinstance(shape, list | tuple):
        return ()
    # a length that the detector leaves open counts as one
    return tuple(n if isinstance(n, int) and 0 < n < 2**24 else 1 for n in shape)[:8]
