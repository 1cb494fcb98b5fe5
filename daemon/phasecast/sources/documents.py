"""Bluesky documents over 0MQ: scans, positions and monitors as a RunEngine publishes them."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

import numpy as np
import zmq

from phasecast.core.errors import WireError
from phasecast.core.frame import FrameKey, counter_key, datum_key
from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, ScanStop, ScanUid
from phasecast.sources.document_codec import decode_document
from phasecast.sources.document_files import datum_file_keys
from phasecast.sources.document_scan import number_of, point_stream, read_start, read_uid
from phasecast.sources.zmq_receiver import ZmqReceiver

CHANNEL = Channel("bluesky")

MALFORMED = "malformed document"
UNKNOWN_NAME = "unknown document"
UNKNOWN_RUN = "document of an unknown run"
LOST = "lost document"
NO_POSITION = "position missing"

_HIGH_WATER_MARK = 100_000
"""A PUB drops in silence at the reader's mark: 1422 of 6000 events were lost at the default of 1000."""
_MAX_DOCUMENT_BYTES = 16 << 20
_MAX_RUNS = 16
_MAX_RESOURCES = 1_000
_MAX_DATUMS = 20_000
_IGNORED = frozenset({"stream_resource", "stream_datum", "bulk_events", "bulk_datum"})

_Value = TypeVar("_Value")


class DocumentReceiver(ZmqReceiver):
    """SUB socket that records the documents a bluesky 0MQ proxy hands out.

    Parameters
    ----------
    address
        Address of the proxy's out port, such as ``tcp://host:5578``.
    prefix
        The publisher's prefix; other prefixes are not received.
    channel
        Name of the wire in the capture.
    """

    def __init__(self, address: str, *, prefix: str = "", channel: Channel = CHANNEL) -> None:
        super().__init__(
            channel,
            address,
            kind=zmq.SUB,
            high_water_mark=_HIGH_WATER_MARK,
            # With its blank: "bl1" alone would also match "bl10".
            subscription=prefix.encode() + b" ",
        )


class _Bounded(OrderedDict[str, _Value]):
    """A dict that forgets its oldest entries: what never ends must not fill the memory."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def put(self, key: str, value: _Value) -> None:
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._limit:
            self.popitem(last=False)


@dataclass(slots=True, kw_only=True)
class _Run:
    """What later documents of one run are read with."""

    uid: ScanUid
    stream: str
    fields: tuple[str, ...]
    last_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Descriptor:
    run: _Run
    is_points: bool
    external: frozenset[str]


class DocumentDecoder:
    """Turns bluesky documents into scans and points.

    Parameters
    ----------
    counter_field
        Event field with the detector's own number of the frame of that point; it becomes a frame key.
    counter_offset
        Added to that number, where the detector's frames begin at another one.
    """

    def __init__(self, *, counter_field: str | None = None, counter_offset: int = 0) -> None:
        self._counter_field = counter_field
        self._counter_offset = counter_offset
        self._runs: _Bounded[_Run] = _Bounded(_MAX_RUNS)
        self._descriptors: _Bounded[_Descriptor] = _Bounded(_MAX_RUNS * 16)
        self._resources: _Bounded[Mapping[str, Any]] = _Bounded(_MAX_RESOURCES)
        self._datums: _Bounded[tuple[str, Mapping[str, Any]]] = _Bounded(_MAX_DATUMS)

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the messages of one record; what cannot be read becomes a Defect."""
        try:
            name, body = _split(record)
            handler = {
                "start": self._start,
                "descriptor": self._descriptor,
                "event": self._event,
                "event_page": self._event_page,
                "resource": self._resource,
                "datum": self._datum,
                "datum_page": self._datum_page,
                "stop": self._stop,
            }.get(name)
            if handler is not None:
                yield from handler(record, decode_document(body))
            elif name not in _IGNORED:
                yield _defect(record, UNKNOWN_NAME, f"document name {name[:60]!r} is not one of bluesky's")
        except WireError as error:
            yield _defect(record, MALFORMED, str(error))

    def _start(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        scan = read_start(doc, record.received_s)
        run = _Run(uid=scan.uid, stream=point_stream(doc), fields=tuple(axis.field for axis in scan.axes))
        self._runs.put(scan.uid, run)
        yield scan

    def _descriptor(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        uid = read_uid(doc.get("uid"), "uid of the descriptor")
        run = self._runs.get(read_uid(doc.get("run_start"), "run_start of the descriptor"))
        if run is None:
            yield _defect(record, UNKNOWN_RUN, f"descriptor of run {str(doc['run_start'])[:36]}: no start came")
            return
        keys = doc.get("data_keys")
        keys = keys if isinstance(keys, dict) else {}
        external = frozenset(field for field, key in keys.items() if isinstance(key, dict) and "external" in key)
        is_points = doc.get("name") == run.stream
        self._descriptors.put(uid, _Descriptor(run=run, is_points=is_points, external=external))

    def _event(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        uid = read_uid(doc.get("descriptor"), "descriptor of the event")
        descriptor = self._descriptors.get(uid)
        seq = doc.get("seq_num")
        if descriptor is None:
            detail = f"event {str(seq)[:20]} refers to descriptor {uid[:36]}, which never came"
            yield _defect(record, UNKNOWN_RUN, detail)
            return
        if not descriptor.is_points:
            return
        data = doc.get("data")
        if isinstance(seq, bool) or not isinstance(seq, int) or not 0 < seq < 2**40:
            raise WireError(f"event of run {descriptor.run.uid[:36]}: seq_num {str(seq)[:20]!r} is not from 1")
        if not isinstance(data, dict):
            raise WireError(f"event {seq} of run {descriptor.run.uid[:36]} has no data")
        run = descriptor.run
        if seq > run.last_seq + 1:
            missing = str(seq - 1) if seq == run.last_seq + 2 else f"{run.last_seq + 1} to {seq - 1}"
            yield _defect(record, LOST, f"event {missing} of run {run.uid[:36]} never arrived")
        # A RunEngine that rewinds after a pause repeats numbers: the point is measured again.
        run.last_seq = max(run.last_seq, seq)
        numbers = {field: value for field, item in data.items() if (value := number_of(item)) is not None}
        position = {field: numbers[field] for field in run.fields if isfinite(numbers.get(field, float("nan")))}
        absent = [field for field in run.fields if field not in position]
        if absent:
            yield _defect(record, NO_POSITION, f"event {seq} of run {run.uid[:36]} lacks {', '.join(absent)}")
        time_s = number_of(doc.get("time"))
        yield PointMeasured(
            uid=run.uid,
            index=seq - 1,
            time_s=record.received_s if time_s is None else time_s,
            received_s=record.received_s,
            position=position,
            scalars={field: value for field, value in numbers.items() if field not in run.fields},
            frame_keys=self._frame_keys(data, numbers, descriptor),
        )

    def _event_page(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        columns = doc.get("data")
        if not isinstance(columns, dict):
            raise WireError("event page without data")
        numbers = _column(doc, "seq_num")
        times = _column(doc, "time") if "time" in doc else [None] * len(numbers)
        if any(len(_column(columns, field)) != len(numbers) for field in columns) or len(times) != len(numbers):
            raise WireError("columns of an event page differ in length")
        for row, (seq, time_s) in enumerate(zip(numbers, times, strict=True)):
            data = {field: _column(columns, field)[row] for field in columns}
            event = {"descriptor": doc.get("descriptor"), "seq_num": seq, "time": time_s, "data": data}
            yield from self._event(record, event)

    def _resource(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        self._resources.put(read_uid(doc.get("uid"), "uid of the resource"), doc)
        yield from ()

    def _datum(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        kwargs = doc.get("datum_kwargs")
        datum_id = read_uid(doc.get("datum_id"), "datum_id")
        resource = read_uid(doc.get("resource"), "resource of the datum")
        self._datums.put(datum_id, (resource, kwargs if isinstance(kwargs, dict) else {}))
        yield from ()

    def _datum_page(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        ids = _column(doc, "datum_id")
        columns = doc.get("datum_kwargs")
        columns = columns if isinstance(columns, dict) else {}
        if any(len(_column(columns, name)) != len(ids) for name in columns):
            raise WireError("columns of a datum page differ in length")
        for row, datum_id in enumerate(ids):
            kwargs = {name: _column(columns, name)[row] for name in columns}
            datum = {"datum_id": datum_id, "datum_kwargs": kwargs, "resource": doc.get("resource")}
            yield from self._datum(record, datum)

    def _stop(self, record: RawRecord, doc: Mapping[str, Any]) -> Iterator[Message]:
        uid = read_uid(doc.get("run_start"), "run_start of the stop document")
        run = self._runs.pop(uid, None)
        if run is None:
            yield _defect(record, UNKNOWN_RUN, f"stop of run {uid[:36]}: no start came")
            return
        counts = doc.get("num_events")
        measured = counts.get(run.stream, 0) if isinstance(counts, dict) else None
        if isinstance(measured, bool) or not isinstance(measured, int) or measured < 0:
            measured = None
        if measured is not None and measured > run.last_seq:
            detail = f"the last {measured - run.last_seq} of {measured} events of run {uid[:36]} never arrived"
            yield _defect(record, LOST, detail)
        for descriptor in [key for key, value in self._descriptors.items() if value.run is run]:
            del self._descriptors[descriptor]
        time_s = number_of(doc.get("time"))
        yield ScanStop(
            uid=run.uid,
            time_s=record.received_s if time_s is None else time_s,
            exit_status=str(doc.get("exit_status", ""))[:32],
            measured_points=measured,
        )

    def _frame_keys(
        self, data: Mapping[str, Any], numbers: Mapping[str, float], descriptor: _Descriptor
    ) -> tuple[FrameKey, ...]:
        keys: list[FrameKey] = []
        counter = numbers.get(self._counter_field) if self._counter_field else None
        if counter is not None and counter.is_integer():
            keys.append(counter_key(int(counter) + self._counter_offset))
        for field in sorted(descriptor.external):
            datum_id = data.get(field)
            if not isinstance(datum_id, str):
                continue
            keys.append(datum_key(datum_id))
            resource_uid, datum_kwargs = self._datums.get(datum_id, ("", {}))
            resource = self._resources.get(resource_uid, {})
            kwargs = resource.get("resource_kwargs")
            if isinstance(kwargs, dict):
                keys.extend(datum_file_keys(resource.get("spec"), kwargs, datum_kwargs))
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


def _defect(record: RawRecord, reason: str, detail: str) -> Defect:
    return Defect(reason=reason, detail=detail, channel=record.channel, received_s=record.received_s)
