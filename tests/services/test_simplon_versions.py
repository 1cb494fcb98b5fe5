"""Both versions of the SIMPLON stream over real sockets into one running daemon: the same frames, the same bytes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from phasecast.results import open_result
from phasecast.simulate.frames import FrameRenderer
from phasecast.simulate.sample import rust_sample
from phasecast_profiles.shipped import shipped_profiles
from support.daemon import Setup, wait_until
from support.hostile_simplon2 import simplon2_frames, simplon2_messages
from support.simplon2_wire import end2, image2, image_tag, start2
from support.simplon_wire import end_parts, header_parts, image_parts

ROWS, COLUMNS = 3, 4
POINTS = ROWS * COLUMNS
GAPS = np.s_[:, 240:247]
DROPPED = 17


class _Detector(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = json.dumps({"value": DROPPED, "value_type": "uint"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def rest() -> Iterator[tuple[str, list[str]]]:
    """A detector's REST interface, and what it was asked."""
    asked: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Detector", (_Detector,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def wires() -> Iterator[dict[str, tuple[zmq.Socket[bytes], int]]]:
    """The two ends that a detector would have."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    opened = {}
    for name in ("simplon", "simplon2"):
        socket = context.socket(zmq.PUSH)
        socket.setsockopt(zmq.SNDTIMEO, 90_000)
        opened[name] = (socket, socket.bind_to_random_port("tcp://127.0.0.1"))
    yield opened
    context.destroy(linger=0)


def frames(dtype: str) -> list[np.ndarray]:
    """Frames of a small map, with a gap of the two values that detectors of that many bits mark bad pixels with."""
    renderer = FrameRenderer(rust_sample((ROWS, COLUMNS), step_um=2.0, seed=3), seed=3)
    images = [
        renderer.frame(number // COLUMNS, number % COLUMNS, number=number).astype(dtype) for number in range(POINTS)
    ]
    for image in images:
        image[GAPS] = np.iinfo(dtype).max
        image[::2, 240] = np.iinfo(dtype).max - 1
    return images


def test_the_same_frames_give_the_same_bytes_over_both_and_every_frame_is_accounted_for(
    tmp_path: Path, wires: dict[str, Any], rest: tuple[str, list[str]]
) -> None:
    profile = tmp_path / "stream.toml"
    text = shipped_profiles()["bl16xu"].read_text(encoding="utf-8")
    profile.write_text(text.replace('position_from = "documents"', 'position_from = "none"'), encoding="utf-8")
    (v1, port1), (v2, port2) = wires["simplon"], wires["simplon2"]
    setup = Setup(
        tmp_path,
        {
            "frames": f"simplon://127.0.0.1:{port1}",
            "documents": f"simplon2://127.0.0.1:{port2}?channel=threshold_1&rest={rest[0]}",
        },
    )
    images = frames("u4")
    try:
        daemon = setup.start_daemon("--expected-points", str(POINTS), "--no-reports", profile=str(profile))
        known: set[Path] = set()

        def finish(scans: int) -> Path:
            wait_until(lambda: setup.status.get("finished_scans") == scans, f"scan {scans}", process=daemon)
            (new,) = set(setup.results) - known
            known.add(new)
            return new

        for parts in (header_parts(1), *(image_parts(1, n, image) for n, image in enumerate(images)), end_parts(1)):
            v1.send_multipart(parts)
        first = finish(1)

        hostile = [*simplon2_frames(), *simplon2_messages()]
        hostile = [(name, parts) for name, parts in hostile if name != "thresholds not chosen between"]
        v2.send_multipart(start2(1))
        for number, image in enumerate(frames("u2")):
            both = {"threshold_1": image_tag(image), "threshold_2": image_tag(image // 2)}
            v2.send_multipart(image2(1, number, both))
            for _, parts in hostile[number::POINTS] if number + 1 < POINTS else ():
                v2.send_multipart(parts)
        v2.send_multipart(end2(1))
        second = finish(2)
        sent_hostile = sum(len(hostile[number::POINTS]) for number in range(POINTS - 1))

        stale, restarted = image_parts(1, 11, images[0]), range(5)
        broken = image_parts(2, 6, images[0], blob=b"\0" * 30)
        numbers = (0, 1, 3, 5, 4, 4)
        v1.send_multipart(header_parts(2))
        for parts in (*(image_parts(2, n, images[n]) for n in numbers), stale, broken):
            v1.send_multipart(parts)
        # no end; the detector restarts and arms under the same number
        v1.send_multipart(header_parts(2))
        for n in (*restarted, 5):
            v1.send_multipart(image_parts(2, n, images[n]))
        third = finish(3)
        status = setup.status
    finally:
        setup.end()
    log = (tmp_path / "daemon.log").read_text()
    assert daemon.returncode == 0, log
    assert "Traceback" not in log, log

    with open_result(first) as over_v1, open_result(second) as over_v2:
        assert over_v1.ledger_sums["done"] == over_v2.ledger_sums["done"] == POINTS
        assert over_v1.confidences.to_numpy().tobytes() == over_v2.confidences.to_numpy().tobytes()
        assert np.isfinite(over_v1.confidences.to_numpy()).all()
        assert over_v1.patterns.to_numpy().tobytes() == over_v2.patterns.to_numpy().tobytes()
        clean = {"lost_upstream": 0, "missing_at_end": 0, "dropped_by_us": 0, "duplicates": 0, "out_of_order": 0}
        assert over_v1.counters["frame_counts"] == {"frames": POINTS, "decode_errors": 0, **clean}
        assert over_v2.counters["frame_counts"] == {"frames": POINTS, "decode_errors": sent_hostile, **clean}
        details = [str(detail) for detail in over_v2.defects["detail"].to_numpy()]
        assert any("write simplon://" in detail for detail in details)
    with open_result(third) as troubled:
        assert troubled.ledger_sums["done"] == POINTS - 1
        assert troubled.ledger_sums["rejected"] == 1
        assert troubled.counters["frame_counts"] == {
            "frames": len(numbers) + 1 + 6,
            "lost_upstream": 1,
            "missing_at_end": (12 - 7) + (12 - 6),
            "dropped_by_us": 0,
            "decode_errors": 1,
            "duplicates": 1,
            "out_of_order": 1,
        }
    seen = status["sources"]["simplon"]["frame_counts"]
    assert (seen["frames"], seen["lost_upstream"], seen["duplicates"]) == (POINTS + 14, 1, 1)
    assert status["counters"]["frames_after_close"] == 1
    source = status["sources"]["simplon2.threshold_1"]
    assert (source["dropped_by_detector"], source["dropped_error"]) == (DROPPED, "")
    assert set(rest[1]) == {"/stream/api/1.8.0/status/dropped"}
