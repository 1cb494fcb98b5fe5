"""A daemon's way from documents to messages, without sockets: decoded as they come, files looked at after each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy

from phasecast.core.frame import Frame
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.core.scan import Message, PointMeasured
from phasecast.sources.document_frame_decoder import DocumentFrameDecoder
from phasecast.sources.document_frames import FrameFetcher
from phasecast.sources.document_roots import DocumentRoot, DocumentRoots
from phasecast.sources.documents import DocumentDecoder


def record(parts: list[bytes], channel: str, offset: int = 0) -> RawRecord:
    position = CapturePosition(segment="s", offset=offset)
    return RawRecord(position=position, received_s=2e9, channel=Channel(channel), parts=tuple(parts))


def to_record(name: str, doc: Mapping[str, Any]) -> RawRecord:
    """Return a document as it lies in a capture."""
    body = bytes(msgpack.packb(doc, default=msgpack_numpy.encode))
    return record([b" ".join([b"x", name.encode(), body])], "bluesky.files")


@dataclass(eq=False)
class Wire:
    """A decoder of documents, a fetcher that may read below `folder`, and all that came of them."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    documents: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        roots = DocumentRoots([DocumentRoot.parse(str(self.folder))])
        self.fetcher = FrameFetcher(roots, clock=lambda: self.now_s)
        self.decoder = DocumentDecoder(fetches=True, want=self.fetcher.want, **self.options)
        self.frames_decoder = DocumentFrameDecoder()

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        self.documents.append((name, doc))
        self.messages += self.decoder.decode(to_record(name, doc))
        self.look()

    def look(self, *, is_final: bool = False) -> None:
        for parts in self.fetcher.look(is_final=is_final):
            self.messages += self.frames_decoder.decode(record(parts, "document_frames", len(self.messages)))

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    def joined(self) -> list[tuple[PointMeasured, Frame]]:
        """Points with the frame that bears one of their keys."""
        by_key = {key: frame for frame in self.of(Frame) for key in frame.keys}
        return [(point, by_key[key]) for point in self.of(PointMeasured) for key in point.frame_keys if key in by_key]

    @classmethod
    def classic(
        cls, root: Path, spec: str, path: str, kwargs: Mapping[str, Any], datum_kwargs: Mapping[str, Any]
    ) -> "Wire":
        """A run of one event whose datum is of an areaDetector resource."""
        wire = cls(root)
        wire("start", {"uid": "run", "time": 1.0, "plan_name": "count"})
        keys = {"image": {"dtype": "array", "external": "FILESTORE:", "shape": [1, 5, 7]}}
        wire("descriptor", {"uid": "descriptor", "run_start": "run", "name": "primary", "data_keys": keys})
        resource = {
            "uid": "res",
            "spec": spec,
            "root": str(root),
            "resource_path": path,
            "resource_kwargs": dict(kwargs),
        }
        wire("resource", resource)
        wire("datum", {"datum_id": "res/1", "resource": "res", "datum_kwargs": dict(datum_kwargs)})
        wire("event", {"descriptor": "descriptor", "seq_num": 1, "time": 2.0, "data": {"image": "res/1"}})
        return wire

    @classmethod
    def streamed(
        cls,
        root: Path,
        *,
        uri: str,
        first: int,
        count: int,
        mimetype: str = "application/x-hdf5",
        parameters: Mapping[str, Any] | None = None,
        shape: tuple[int, ...] | list[int] = (1, 5, 7),
        options: dict[str, Any] | None = None,
        second: str = "",
    ) -> "Wire":
        """A run whose detector ``det`` brought frames by one stream datum."""
        wire = cls(root, options or {})
        wire("start", {"uid": "run", "time": 1.0, "plan_name": "count"})
        key = {"dtype": "array", "external": "STREAM:", "shape": list(shape)}
        keys = {"det": key, "i0": {"dtype": "number"}} | ({second: key} if second else {})
        wire("descriptor", {"uid": "descriptor", "run_start": "run", "name": "primary", "data_keys": keys})
        resource = {"uid": "resource", "data_key": "det", "mimetype": mimetype, "uri": uri, "run_start": "run"}
        wire("stream_resource", resource | {"parameters": parameters or {"dataset": "/entry/data/data"}})
        ranges = {"indices": {"start": first, "stop": first + count}, "seq_nums": {"start": 1, "stop": 1 + count}}
        wire("stream_datum", {"stream_resource": "resource", "descriptor": "descriptor", "uid": "resource/0"} | ranges)
        return wire
