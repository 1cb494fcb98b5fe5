"""Stream resources and stream datums: where frames and positions of ophyd-async runs lie, point by point."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from phasecast.core.errors import WireError
from phasecast.sources.document_resources import HDF5_DATASET, frames_a_point
from phasecast.sources.wanted_frames import FilePlace, Hdf5Place, WantedColumn

_HDF5 = "application/x-hdf5"
_MULTIPART = "multipart/related"
_TEMPLATE = re.compile(r"[^{}]{0,200}\{:0?\d{0,2}d?\}[^{}/]{0,100}")
"""One number of bounded width: formatting of a foreign template can allocate gigabytes or reach into objects."""
_MAX_POINTS_A_DATUM = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResource:
    """What later datums of a stream are read with.

    Parameters
    ----------
    uid, data_key, mimetype, uri
        As in the document.
    parameters
        How the file is laid out.
    """

    uid: str
    data_key: str
    mimetype: str
    uri: str
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, doc: Mapping[str, Any]) -> "StreamResource":
        """Read a document.

        Raises
        ------
        WireError
            If something is missing.
        """
        texts = {name: doc.get(name) for name in ("uid", "data_key", "mimetype", "uri")}
        bad = [name for name, text in texts.items() if not isinstance(text, str) or not 0 < len(text) <= 4096]
        if bad:
            raise WireError(f"{bad[0]} of the stream resource is missing or no text")
        parameters = doc.get("parameters")
        return cls(**{name: str(text) for name, text in texts.items()}, parameters=_mapping(parameters))

    def place(self, first: int, count: int, per_event: object) -> Hdf5Place | FilePlace:
        """Return where the frames of some events lie; the indices of a stream count events, not frames.

        Raises
        ------
        WireError
            If the files are not of a kind that is read.
        """
        frames = frames_a_point(per_event)
        if self.mimetype == _HDF5:
            dataset = self.parameters.get("dataset", HDF5_DATASET)
            if not isinstance(dataset, str) or not 0 < len(dataset) <= 1024:
                raise WireError("the stream resource names no dataset")
            return Hdf5Place(path=self.uri, dataset=dataset, first=first * frames, frames_per_point=frames)
        if not self.mimetype.startswith(_MULTIPART):
            raise WireError(f"files of type {self.mimetype[:60]!r} are not read")
        template = self.parameters.get("template")
        if not isinstance(template, str) or not _TEMPLATE.fullmatch(template):
            raise WireError("the template of the files' names is not one number in a text")
        if frames > 1:
            raise WireError(f"{frames} files a point: frames in files of their own are not added up")
        return FilePlace(folder=self.uri, names=tuple(template.format(first + k) for k in range(count)))


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDatum:
    """Which points a stream datum stands for, and which rows of its resource.

    Parameters
    ----------
    resource, descriptor
        Uids.
    first_seq, count
        Sequence number of the first point, and how many follow each other.
    first
        Index of the first event in the resource.
    """

    resource: str
    descriptor: str
    first_seq: int
    first: int
    count: int

    @classmethod
    def of(cls, doc: Mapping[str, Any]) -> "StreamDatum":
        """Read a document.

        Raises
        ------
        WireError
            If its ranges are none, or do not agree.
        """
        resource, descriptor = doc.get("stream_resource"), doc.get("descriptor")
        if not isinstance(resource, str) or not isinstance(descriptor, str):
            raise WireError("a stream datum names no resource or no descriptor")
        first, count = _range(doc.get("indices"), "indices", 0)
        first_seq, points = _range(doc.get("seq_nums"), "seq_nums", 1)
        if count != points:
            raise WireError(f"a stream datum has {count} indices and {points} seq_nums")
        return cls(resource=resource, descriptor=descriptor, first_seq=first_seq, first=first, count=count)


@dataclass(slots=True)
class StreamRows:
    """Which points of a descriptor without event documents are covered by all of its streams.

    Parameters
    ----------
    fields
        Its data keys.
    first_seq
        Sequence number of its first point.
    """

    fields: tuple[str, ...]
    first_seq: int = 1
    _segments: dict[str, list[tuple[StreamDatum, StreamResource]]] = field(default_factory=dict)
    _covered: dict[str, int] = field(default_factory=dict)
    _next: int = field(init=False)

    def __post_init__(self) -> None:
        self._next = self.first_seq

    def add(self, datum: StreamDatum, resource: StreamResource) -> Iterator[tuple[int, int]]:
        """Take a datum; yield (first, last) of points that its field jumped over: they never came.

        Raises
        ------
        WireError
            If it jumps over more points than one datum can bring.
        """
        name = resource.data_key
        expected = self._covered.get(name, self.first_seq)
        if datum.first_seq > expected + _MAX_POINTS_A_DATUM:
            raise WireError(f"a stream datum jumps from point {expected} to {datum.first_seq}")
        if datum.first_seq > expected:
            yield expected, datum.first_seq - 1
        self._segments.setdefault(name, []).append((datum, resource))
        self._covered[name] = max(expected, datum.first_seq + datum.count)

    def take(self, *, all_that_came: bool = False) -> tuple[int, int]:
        """Return (first seq, count) of the points that are covered now and hand them out.

        Parameters
        ----------
        all_that_came
            Whether points count that only some fields cover: at the end of a run.
        """
        ends = [self._covered.get(name, self.first_seq) for name in self.fields]
        end = max(self._next, (max if all_that_came else min)(ends, default=self._next))
        first, self._next = self._next, end
        return first, end - first

    def columns(self, fields: tuple[str, ...], first_seq: int, count: int) -> Iterator[WantedColumn]:
        """Yield where the numbers of some fields lie for some points.

        Raises
        ------
        WireError
            If they lie in no HDF5 file.
        """
        for name in fields:
            for datum, resource in self._segments.get(name, []):
                begin = max(first_seq, datum.first_seq)
                end = min(first_seq + count, datum.first_seq + datum.count)
                if begin >= end:
                    continue
                place = resource.place(datum.first + begin - datum.first_seq, end - begin, 1)
                if not isinstance(place, Hdf5Place):
                    raise WireError(f"numbers of {name[:60]} lie in no HDF5 file")
                yield WantedColumn(name=name, skip=begin - first_seq, count=end - begin, place=place)
            kept = self._segments.get(name, [])
            self._segments[name] = [pair for pair in kept if pair[0].first_seq + pair[0].count > first_seq + count]


def _range(value: object, name: str, least: int) -> tuple[int, int]:
    match value:
        case {"start": int() as start, "stop": int() as stop} if (
            least <= start < stop < 2**40 and stop - start <= _MAX_POINTS_A_DATUM
        ):
            return start, stop - start
    raise WireError(f"{name} of a stream datum are no range of 1 to {_MAX_POINTS_A_DATUM} from {least}")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
