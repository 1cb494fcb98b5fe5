"""The question to the detector: how many images it dropped."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from phasecast.core.record import Channel
from phasecast.sources.simplon_receiver import DroppedQuestion, SimplonReceiver
from phasecast.sources.uri import open_source
from support.daemon import wait_until


@pytest.fixture
def answers() -> Iterator[tuple[str, list[bytes]]]:
    """Where a detector answers, and what it says, in turn."""
    said: list[bytes] = []

    class Detector(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = said.pop(0) if len(said) > 1 else said[0]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Detector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/status/dropped", said
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "nonsense", [b"", b"no JSON", b'{"value": true}', b'{"value": "3"}', b"[" * 60_000, b'{"value": 1' + b"0" * 70_000]
)
def test_nonsense_is_said_and_the_next_answer_counts(answers: tuple[str, list[bytes]], nonsense: bytes) -> None:
    url, said = answers
    said += [nonsense, b'{"value": 4, "value_type": "uint"}']
    question = DroppedQuestion(url, poll_s=0.05)
    question.start()
    wait_until(lambda: question.status()["dropped_by_detector"] == 4, "the answer")
    assert question.status()["dropped_error"] == ""
    question.stop()


def test_a_detector_that_does_not_answer_is_named() -> None:
    question = DroppedQuestion("http://127.0.0.1:9/status/dropped")
    question.start()
    wait_until(lambda: question.status()["dropped_error"], "the error")
    assert "http://127.0.0.1:9" in str(question.status()["dropped_error"])
    question.stop()


def test_a_detector_is_asked_only_where_the_address_names_it() -> None:
    assert "dropped_by_detector" not in SimplonReceiver("tcp://dcu:9999", channel=Channel("simplon")).status()
    for scheme in ("simplon", "simplon2"):
        assert "dropped_by_detector" in open_source(f"{scheme}://dcu:9999?rest=http://dcu").receiver.status()
