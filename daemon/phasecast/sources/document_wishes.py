"""What documents say of frames and positions in files, as wishes for somebody who fetches them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from phasecast.core.errors import WireError
from phasecast.core.frame import FrameKey, datum_key
from phasecast.sources.document_files import datum_file_keys
from phasecast.sources.document_resources import place_of_datum
from phasecast.sources.document_runs import Bounded, Stream
from phasecast.sources.document_scan import read_uid
from phasecast.sources.document_streams import StreamDatum, StreamResource
from phasecast.sources.wanted_frames import FilePlace, RunEnded, Wanted, WantedFrames, WantedRows

_MAX_RESOURCES = 1_000
_MAX_DATUMS = 20_000


class DocumentWishes:
    """Keeps resources and datums, and asks for what events and stream datums name.

    Parameters
    ----------
    want
        Takes the wishes; None where nobody fetches.
    """

    def __init__(self, want: Callable[[Wanted], None] | None) -> None:
        self._want = want
        self._resources: Bounded[Mapping[str, Any]] = Bounded(_MAX_RESOURCES)
        self._datums: Bounded[tuple[str, Mapping[str, Any]]] = Bounded(_MAX_DATUMS)
        self._unresolved: Bounded[tuple[str, float]] = Bounded(_MAX_DATUMS)
        self._streams: Bounded[StreamResource] = Bounded(_MAX_RESOURCES)

    def add_resource(self, doc: Mapping[str, Any]) -> None:
        """Take a resource document; raises WireError if it is malformed, as the other methods do."""
        self._resources.put(read_uid(doc.get("uid"), "uid of the resource"), doc)

    def add_datum(self, doc: Mapping[str, Any]) -> None:
        """Take a datum document; an event may have named it before."""
        kwargs = doc.get("datum_kwargs")
        datum_id = read_uid(doc.get("datum_id"), "datum_id")
        resource = read_uid(doc.get("resource"), "resource of the datum")
        self._datums.put(datum_id, (resource, kwargs if isinstance(kwargs, dict) else {}))
        named = self._unresolved.pop(datum_id, None)
        if named is not None:
            self.want_datum(datum_id, *named)

    def add_stream_resource(self, doc: Mapping[str, Any]) -> None:
        """Take a stream resource."""
        resource = StreamResource.of(doc)
        self._streams.put(resource.uid, resource)

    def stream_resource(self, uid: str) -> StreamResource | None:
        """Return a stream resource that came."""
        return self._streams.get(uid)

    def keys_of_datum(self, datum_id: str) -> tuple[FrameKey, ...]:
        """Return the names of a datum's frame."""
        resource_uid, datum_kwargs = self._datums.get(datum_id, ("", {}))
        resource = self._resources.get(resource_uid, {})
        kwargs = resource.get("resource_kwargs")
        files = datum_file_keys(resource.get("spec"), kwargs, datum_kwargs) if isinstance(kwargs, dict) else ()
        return datum_key(datum_id), *files

    def want_datum(self, datum_id: str, run: str, recorded_s: float) -> None:
        """Ask for the frame that an event names."""
        if self._want is None:
            return
        if datum_id not in self._datums:
            self._unresolved.put(datum_id, (run, recorded_s))
            return
        resource_uid, kwargs = self._datums[datum_id]
        number, problem = 0, ""
        try:
            number, place = place_of_datum(self._resources.get(resource_uid, {}), kwargs)
        except WireError as error:
            place, problem = FilePlace(folder="", names=(datum_id,)), str(error)
        self._want(
            WantedFrames(
                run=run,
                series=resource_uid,
                number=number,
                count=1,
                place=place,
                keys=self.keys_of_datum(datum_id)[:4],
                recorded_s=recorded_s,
                problem=problem,
            )
        )

    def want_stream(self, stream: Stream, datum: StreamDatum, resource: StreamResource, recorded_s: float) -> None:
        """Ask for the frames that a stream datum brings."""
        if self._want is None:
            return
        place = resource.place(datum.first, datum.count, stream.frames_per_point)
        self._want(
            WantedFrames(
                run=stream.run.uid,
                series=resource.uid,
                number=datum.first,
                count=datum.count,
                place=place,
                name=stream.uid,
                first_seq=datum.first_seq,
                recorded_s=recorded_s,
            )
        )

    def want_rows(self, rows: WantedRows) -> None:
        """Ask for points of a fly scan."""
        if self._want is not None:
            self._want(rows)

    def end(self, run: str) -> None:
        """Say that nothing more of a run will be wanted."""
        if self._want is not None:
            self._want(RunEnded(run=run))

    def datum_ids(self, data: Mapping[str, Any], fields: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Yield (field, datum id) of an event's external fields."""
        for field in sorted(fields):
            if isinstance(data.get(field), str):
                yield field, data[field]
