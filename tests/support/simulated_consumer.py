"""Someone who listens to a simulated beamline: a real PULL and a real SUB socket."""

import json
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy
import numpy as np
import zmq
from dectris.compression import decompress

from phasecast.simulate import BeamlineOptions, Summary, run_beamline
from phasecast.simulate.documents import PROBE_PREFIX


@dataclass
class Received:
    """Everything that arrived."""

    summary: Summary
    announced: dict[str, Any]
    documents: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    messages: list[list[bytes]] = field(default_factory=list)

    def of(self, name: str) -> list[dict[str, Any]]:
        """Documents of one name."""
        return [document for kind, document in self.documents if kind == name]

    def heads(self, htype: str) -> list[dict[str, Any]]:
        """First parts of the messages of one kind."""
        return [head for head in (json.loads(parts[0]) for parts in self.messages) if head["htype"] == htype]


def listen(options: BeamlineOptions, folder: Path, *, pull: bool = True, timeout_s: float = 60.0) -> Received:
    """Run a beamline in a thread on free ports and collect all it sends."""
    announce, go = folder / "announce.json", folder / "go"
    options = replace(
        options,
        announce=announce,
        start_when=go,
        documents_in_port=0,
        documents_out_port=0,
        serializer="msgpack",
    )
    outcome: list[Summary | BaseException] = []

    def run() -> None:
        try:
            outcome.append(run_beamline(options))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + timeout_s
    while not announce.exists() and thread.is_alive():
        thread.join(0.01)
    if outcome and isinstance(outcome[0], BaseException):
        raise outcome[0]
    announced = json.loads(announce.read_text())
    documents: list[tuple[str, dict[str, Any]]] = []
    messages: list[list[bytes]] = []
    with zmq.Context() as context, context.socket(zmq.SUB) as sub, context.socket(zmq.PULL) as frames:
        sub.connect(announced["documents"].partition("?")[0].replace("bluesky://", "tcp://"))
        sub.setsockopt(zmq.SUBSCRIBE, b"bl16xu ")
        sub.setsockopt(zmq.SUBSCRIBE, PROBE_PREFIX)
        sub.poll(10_000)
        sub.setsockopt(zmq.UNSUBSCRIBE, PROBE_PREFIX)
        if pull:
            frames.connect(announced["frames"].replace("simplon://", "tcp://"))
        go.touch()
        poller = zmq.Poller()
        poller.register(sub, zmq.POLLIN)
        poller.register(frames, zmq.POLLIN)
        while time.monotonic() < deadline:
            ready = dict(poller.poll(100))
            if not ready and not thread.is_alive():
                break
            if sub in ready:
                message = sub.recv()
                if not message.startswith(PROBE_PREFIX):
                    _, name, body = message.split(b" ", 2)
                    document = msgpack.unpackb(body, object_hook=msgpack_numpy.decode, strict_map_key=False)
                    documents.append((name.decode(), document))
            if frames in ready:
                messages.append(frames.recv_multipart())
    thread.join(timeout=10)
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return Received(summary=result, announced=announced, documents=documents, messages=messages)


def decode_v1(parts: list[bytes]) -> np.ndarray:
    """Counts of one SIMPLON V1 image message, after the published format."""
    detail = json.loads(parts[1])
    width, height = detail["shape"]
    dtype = np.dtype(detail["type"]).newbyteorder(detail["encoding"][-1])
    size = width * height * dtype.itemsize
    blob = parts[2]
    if detail["encoding"].startswith("bs"):
        if int.from_bytes(blob[:8], "big") != size:
            raise ValueError("size in header")
        raw = decompress(blob, "bslz4", elem_size=dtype.itemsize)
    elif detail["encoding"].startswith("lz4"):
        import lz4.block

        raw = lz4.block.decompress(blob, uncompressed_size=size)
    else:
        raw = blob
    return np.frombuffer(raw, dtype).reshape(height, width)
