"""Bluesky documents over 0MQ: scans, positions and monitors as a RunEngine publishes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from phasecast.core.documents import HEADER_KEY, RAW_UID_KEY
from phasecast.core.errors import WireError
from phasecast.core.frame import FrameKey, counter_key, datum_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Message, PointMeasured, ScanStop, ScanUid
from phasecast.sources.document_codec import CODECS, decode_document
from phasecast.sources.document_points import NO_POSITION, FlyPoints, document_defect
from phasecast.sources.document_receiver import CHANNEL as CHANNEL
from phasecast.sources.document_receiver import DocumentReceiver as DocumentReceiver
from phasecast.sources.document_runs import Bounded, DataKeys, NominalGrid, Run, Stream
from phasecast.sources.document_scan import number_of, point_stream, read_start, read_time_s, read_uid, states_stream
from phasecast.sources.document_streams import StreamDatum, StreamRows
from phasecast.sources.document_wishes import DocumentWishes
from phasecast.sources.wanted_frames import Wanted

FETCHED = "files"
"""Part of the channel's name that says that frames which documents name are fetched from their files."""

MALFORMED = "malformed document"
UNKNOWN_NAME = "unknown document"
UNKNOWN_RUN = "document of an unknown run"
LOST = "lost document"
AMBIGUOUS = "several detectors"

_MAX_DOCUMENT_BYTES = 16 << 20
_MAX_RUNS = 16
_MAX_JUMP = 1_000_000
"""Points that one event may skip: a table of points reaches up to the last one."""
_IGNORED = frozenset({"bulk_events", "bulk_datum"})


class DocumentDecoder:
    """Turns bluesky documents into scans and points.

    Parameters
    ----------
    counter_field
        Event field with the detector's own number of the frame of that point; it becomes a frame key.
    counter_offset
        Added to that number, where the detector's frames begin at another one.
    stage_fields
        Event fields that are positions also where the scan does not name them as axes.
    image_field
        Data key of the detector, where a run has several; empty: its only one.
    fetches
        Whether frames and streamed positions are fetched from the files that documents name. Then events of streamed
        frames bear the keys of those frames.
    want
        Takes what is to be fetched; None where it was fetched before, as in a replay.
    codecs
        How documents may be serialised.
    keep
        Takes each document that was decoded, by name; None where nobody keeps them.
    """

    def __init__(
        self,
        *,
        counter_field: str | None = None,
        counter_offset: int = 0,
        stage_fields: Sequence[str] = (),
        image_field: str = "",
        fetches: bool = False,
        want: Callable[[Wanted], None] | None = None,
        codecs: Sequence[str] = CODECS,
        keep: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._counter_field = counter_field
        self._counter_offset = counter_offset
        self._stage_fields = tuple(stage_fields)
        self._image_field = image_field
        self._fetches = fetches
        self._codecs = frozenset(codecs)
        self._keep = keep
        self._wishes = DocumentWishes(want if fetches else None)
        self._rows = FlyPoints(self._wishes, fetches=fetches, stage_fields=self._stage_fields)
        self._runs: Bounded[Run] = Bounded(_MAX_RUNS)
        self._streams: Bounded[Stream] = Bounded(_MAX_RUNS * 16)
        self._handlers = {
            "start": self._start,
            "descriptor": self._descriptor,
            "event": self._event,
            "event_page": self._event_page,
            "resource": self._resource,
            "datum": self._datum,
            "datum_page": self._datum_page,
            "stream_resource": self._stream_resource,
            "stream_datum": self._stream_datum,
            "stop": self._stop,
        }

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of one record; what cannot be read becomes a Defect."""
        try:
            name, body = _split(record)
            handler = self._handlers.get(name)
            if handler is not None:
                document = decode_document(body, self._codecs)
                if self._keep is not None:
                    self._keep(name, document)
                yield from handler(record, document)
            elif name not in _IGNORED:
                yield document_defect(record, UNKNOWN_NAME, f"document name {name[:60]!r} is not one of bluesky's")
        except WireError as error:
            yield document_defect(record, MALFORMED, str(error))

    def _start(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        scan = read_start(doc, record.received_s)
        axes = tuple(axis.field for axis in scan.axes)
        run = Run(
            uid=scan.uid,
            stream=point_stream(doc),
            stream_is_stated=states_stream(doc),
            axes=axes,
            position_fields=(*axes, *(field for field in self._stage_fields if field not in axes)),
            nominal=NominalGrid.of(doc, scan),
            is_own=RAW_UID_KEY in doc and isinstance(doc.get(HEADER_KEY), dict),
        )
        for forgotten in self._runs.put(scan.uid, run):
            self._wishes.end(forgotten)
        # a result of ours that comes back is no scan
        if not run.is_own:
            yield scan

    def _descriptor(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        uid = read_uid(doc.get("uid"), "uid of the descriptor")
        run = self._runs.get(read_uid(doc.get("run_start"), "run_start of the descriptor"))
        if run is None:
            yield document_defect(record, UNKNOWN_RUN, f"descriptor of run {str(doc['run_start'])[:36]}: no start came")
            return
        content = doc.get("data_keys")
        content = content if isinstance(content, dict) else {}
        keys = DataKeys.of(content)
        name, is_streamed = str(doc.get("name"))[:256], bool(keys.streamed) and len(keys.streamed) == keys.count
        # a fly scan whose plan did not say which stream its points are: that of the detector
        if name != run.stream and keys.images and not run.has_points and (is_streamed or not run.stream_is_stated):
            run.stream = name
        is_points = name == run.stream and not run.is_own
        image = self._image_of(keys)
        if is_points and self._fetches and not image and len(keys.images) > 1:
            detail = f"run {run.uid[:36]} has frames of {', '.join(keys.images)[:120]}: say which with image_field"
            yield document_defect(record, AMBIGUOUS, detail)
        run.has_points |= is_points
        described = content.get(image)
        shape = described.get("shape") if isinstance(described, dict) else None
        per_point = shape[0] if isinstance(shape, list) and len(shape) > 2 and shape[0] is not None else 1
        self._streams.put(
            uid,
            Stream(
                uid=uid,
                run=run,
                is_points=is_points,
                external=keys.external,
                image=image,
                frames_per_point=per_point,
                image_is_streamed=image in keys.streamed,
                numbers=keys.numbers,
                rows=StreamRows(
                    fields=tuple(field for field in (*keys.numbers, image) if field) or tuple(sorted(keys.streamed)),
                    first_seq=run.last_seq + 1,
                )
                if is_streamed
                else None,
            ),
        )

    def _image_of(self, keys: DataKeys) -> str:
        if self._image_field:
            return self._image_field if self._image_field in keys.external | keys.streamed else ""
        return keys.images[0] if len(keys.images) == 1 else ""

    def _event(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        uid = read_uid(doc.get("descriptor"), "descriptor of the event")
        stream = self._streams.get(uid)
        seq = doc.get("seq_num")
        if stream is None:
            detail = f"event {str(seq)[:20]} refers to descriptor {uid[:36]}, which never came"
            yield document_defect(record, UNKNOWN_RUN, detail)
            return
        if not stream.is_points:
            return
        data, run = doc.get("data"), stream.run
        if isinstance(seq, bool) or not isinstance(seq, int) or not 0 < seq <= run.last_seq + _MAX_JUMP:
            raise WireError(f"event of run {run.uid[:36]}: seq_num {str(seq)[:20]!r} does not follow {run.last_seq}")
        if not isinstance(data, dict):
            raise WireError(f"event {seq} of run {run.uid[:36]} has no data")
        if seq > run.last_seq + 1:
            missing = str(seq - 1) if seq == run.last_seq + 2 else f"{run.last_seq + 1} to {seq - 1}"
            yield document_defect(record, LOST, f"event {missing} of run {run.uid[:36]} never arrived")
        # A RunEngine that rewinds after a pause repeats numbers: the point is measured again.
        run.last_seq = max(run.last_seq, seq)
        numbers = {field: value for field, item in data.items() if (value := number_of(item)) is not None}
        fields = run.position_fields
        position = {field: numbers[field] for field in fields if isfinite(numbers.get(field, float("nan")))}
        absent = [field for field in run.axes if field not in position]
        if absent:
            yield document_defect(record, NO_POSITION, f"event {seq} of run {run.uid[:36]} lacks {', '.join(absent)}")
        yield PointMeasured(
            uid=run.uid,
            index=seq - 1,
            time_s=read_time_s(doc.get("time"), record.received_s),
            received_s=record.received_s,
            position=position,
            scalars={field: value for field, value in numbers.items() if field not in fields},
            frame_keys=self._frame_keys(data, numbers, stream, seq),
        )
        if isinstance(data.get(stream.image), str) and not stream.image_is_streamed:
            self._wishes.want_datum(data[stream.image], run.uid, record.received_s)

    def _event_page(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        columns = doc.get("data")
        if not isinstance(columns, dict):
            raise WireError("event page without data")
        numbers = _column(doc, "seq_num")
        times = _column(doc, "time") if "time" in doc else [None] * len(numbers)
        columns = {field: _column(columns, field) for field in columns}
        if any(len(column) != len(numbers) for column in columns.values()) or len(times) != len(numbers):
            raise WireError("columns of an event page differ in length")
        for row, (seq, time_s) in enumerate(zip(numbers, times, strict=True)):
            data = {field: column[row] for field, column in columns.items()}
            event = {"descriptor": doc.get("descriptor"), "seq_num": seq, "time": time_s, "data": data}
            yield from self._event(record, event)

    def _resource(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        self._wishes.add_resource(doc)
        yield from ()

    def _datum(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        self._wishes.add_datum(doc)
        yield from ()

    def _datum_page(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        ids = _column(doc, "datum_id")
        columns = doc.get("datum_kwargs")
        columns = {name: _column(columns, name) for name in columns} if isinstance(columns, dict) else {}
        if any(len(column) != len(ids) for column in columns.values()):
            raise WireError("columns of a datum page differ in length")
        for row, datum_id in enumerate(ids):
            kwargs = {name: column[row] for name, column in columns.items()}
            self._wishes.add_datum({"datum_id": datum_id, "datum_kwargs": kwargs, "resource": doc.get("resource")})
        yield from ()

    def _stream_resource(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        self._wishes.add_stream_resource(doc)
        yield from ()

    def _stream_datum(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        datum = StreamDatum.of(doc)
        stream, resource = self._streams.get(datum.descriptor), self._wishes.stream_resource(datum.resource)
        if stream is None or resource is None:
            missing = datum.descriptor if stream is None else datum.resource
            yield document_defect(record, UNKNOWN_RUN, f"a stream datum refers to {missing[:36]}, which never came")
            return
        if not stream.is_points:
            return
        gaps = list(stream.rows.add(datum, resource)) if stream.rows is not None else []
        for first, last in gaps:
            detail = f"{resource.data_key[:60]} of points {first} to {last} of run {stream.run.uid[:36]} never arrived"
            yield document_defect(record, LOST, detail)
        if resource.data_key == stream.image:
            self._wishes.want_stream(stream, datum, resource, record.received_s)
        if stream.rows is not None:
            yield from self._rows.take(record, stream)

    def _stop(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        uid = read_uid(doc.get("run_start"), "run_start of the stop document")
        run = self._runs.pop(uid, None)
        if run is None:
            yield document_defect(record, UNKNOWN_RUN, f"stop of run {uid[:36]}: no start came")
            return
        streams = [stream for stream in self._streams.values() if stream.run is run]
        for stream in streams:
            del self._streams[stream.uid]
            if stream.is_points and stream.rows is not None:
                yield from self._rows.take(record, stream, all_that_came=True)
        self._wishes.end(uid)
        if run.is_own:
            return
        counts = doc.get("num_events")
        measured = counts.get(run.stream, 0) if isinstance(counts, dict) else None
        if isinstance(measured, bool) or not isinstance(measured, int) or measured < 0:
            measured = None
        if measured is not None and measured > run.last_seq:
            detail = f"the last {measured - run.last_seq} of {measured} events of run {uid[:36]} never arrived"
            yield document_defect(record, LOST, detail)
        yield ScanStop(
            uid=ScanUid(uid),
            time_s=read_time_s(doc.get("time"), record.received_s),
            exit_status=str(doc.get("exit_status", ""))[:32],
            measured_points=measured,
        )

    def _frame_keys(
        self, data: Mapping[str, Any], numbers: Mapping[str, float], stream: Stream, seq: int
    ) -> tuple[FrameKey, ...]:
        keys: list[FrameKey] = []
        counter = numbers.get(self._counter_field) if self._counter_field else None
        if counter is not None and counter.is_integer():
            keys.append(counter_key(int(counter) + self._counter_offset))
        for _, datum_id in self._wishes.datum_ids(data, stream.external):
            keys.extend(self._wishes.keys_of_datum(datum_id))
        if self._fetches and stream.image_is_streamed:
            keys.append(datum_key(f"{stream.uid}/{seq}"))
        return tuple(keys)


def _split(record: RawRecord) -> tuple[str, bytes]:
    """Return name and body of a message ``prefix name body``."""
    if len(record.parts) != 1:
        raise WireError(f"{len(record.parts)} parts where a document has one")
    if len(record.parts[0]) > _MAX_DOCUMENT_BYTES:
        raise WireError(f"document of {len(record.parts[0])} bytes, at most {_MAX_DOCUMENT_BYTES} are decoded")
    pieces = record.parts[0].split(b" ", 2)
    if len(pieces) != 3:
        raise WireError("message is not 'prefix name document'")
    return pieces[1].decode("ascii", "replace"), pieces[2]


def _column(columns: Mapping[str, Any], name: str) -> Any:
    column = columns.get(name)
    if isinstance(column, np.ndarray) and column.ndim:
        return column.tolist() if column.ndim == 1 else column
    if not isinstance(column, list):
        raise WireError(f"{name[:60]} of a page is no column")
    return column
