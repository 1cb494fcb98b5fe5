"""New alarms reach a real server, and one that is slow, broken or absent holds nobody up."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from phasecast.core.errors import RecordsError
from phasecast.records.alarms import Alarm
from phasecast.records.webhook import Webhook
from support.daemon import wait_until

ALARM = Alarm(id="i0_down-1", kind="i0_down", since_s=1.7e9, scan_uid="raw-1", values={"percent": "12"})


class Server:
    """Answers with the given statuses in turn, the last one from then on; None hangs until the end."""

    def __init__(self, *statuses):
        self.received = []
        self._statuses = list(statuses)
        self._end = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.received.append((self.headers["Content-Type"], json.loads(body)))
                status = server._statuses.pop(0) if len(server._statuses) > 1 else server._statuses[0]
                if status is None:
                    server._end.wait(30)
                    return
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/alarm?token=secret"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextlib.contextmanager
def hooked(*statuses, **settings):
    with Server(*statuses) as server, Webhook(server.url, pause_s=0.01, **settings) as webhook:
        yield server, webhook


def reached(webhook, counter, value=1):
    wait_until(lambda: webhook.status()[counter] >= value, counter, timeout_s=20)


def test_an_alarm_arrives_with_its_words_in_both_languages():
    with hooked(200) as (server, webhook):
        webhook.post(ALARM)
        reached(webhook, "posted")
        ((kind, content),) = server.received
    assert kind.startswith("application/json")
    assert content["id"] == "i0_down-1"
    assert content["scan_uid"] == "raw-1"
    assert content["since"] == "2023-11-14T22:13:20+00:00"
    assert "12 %" in content["text"]
    assert content["what_ja"] == "入射強度が通常の 12 % に低下しています"
    assert content["remedy_ja"]


def test_a_server_in_trouble_is_tried_again_and_not_for_ever():
    with hooked(500, 503, 200) as (server, webhook):
        webhook.post(ALARM)
        reached(webhook, "posted")
        assert len(server.received) == 3
        assert webhook.status()["error"] == ""
    with hooked(500, attempts=2) as (server, webhook):
        webhook.post(ALARM)
        reached(webhook, "failed")
        assert len(server.received) == 2
        assert webhook.status()["error"] == "answered 500"
        assert "secret" not in json.dumps(webhook.status())


def test_a_server_that_says_no_is_not_asked_again():
    with hooked(404) as (server, webhook):
        webhook.post(ALARM)
        reached(webhook, "failed")
        assert len(server.received) == 1


def test_a_server_that_hangs_holds_up_neither_the_caller_nor_the_end():
    with hooked(None, timeout_s=30.0) as (server, webhook):
        for _ in range(300):
            webhook.post(ALARM)
        wait_until(lambda: server.received, "the attempt", timeout_s=20)
        assert webhook.status()["dropped"] >= 199
        assert webhook.status()["waiting"] <= 100


def test_a_server_that_hangs_is_given_up_after_the_timeout():
    with hooked(None, timeout_s=0.1, attempts=2) as (server, webhook):
        webhook.post(ALARM)
        reached(webhook, "failed")
        assert len(server.received) == 2
        assert "timed out" in webhook.status()["error"]


def test_nobody_there_is_counted():
    with Server(200) as server:
        url = server.url
    with Webhook(url, attempts=1) as webhook:
        webhook.post(ALARM)
        reached(webhook, "failed")
        assert "refused" in webhook.status()["error"]


@pytest.mark.parametrize("url", ["", "beamline", "file:///etc/passwd", "ftp://host/x", "http://"])
def test_what_is_no_address_is_refused_at_once(url):
    with pytest.raises(RecordsError, match="no address"):
        Webhook(url)
