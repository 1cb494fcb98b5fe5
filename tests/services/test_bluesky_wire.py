"""A daemon between bluesky's own parts: RunEngine, detector files, encrypted proxy in; RemoteDispatcher out."""

import asyncio
import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest
import zmq
import zmq.auth
from event_model import DocumentNames, schema_validators

from phasecast.core.errors import PhasecastError
from phasecast.core.frame import FrameReference
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.results import open_result
from phasecast.services.publishing import read_publish_address
from phasecast.services.replay import ReplayOptions, replay
from phasecast.sinks.publisher import DocumentPublisher
from phasecast.sources.capture import CaptureWriter
from phasecast.sources.curve import client_keys
from phasecast.sources.documents import DocumentDecoder, DocumentReceiver
from phasecast.sources.frame_store import CaptureFrameStore
from support import hostile_documents
from support.bluesky_beamline import POINTS, PREFIX, ROWS
from support.daemon import Setup, wait_until

pytest.importorskip("ophyd_async")


_PROXY = """
import sys
from pathlib import Path
from bluesky.callbacks.zmq import Proxy, ServerCurve
keys = Path(sys.argv[1])
proxy = Proxy("tcp://127.0.0.1", "tcp://127.0.0.1",
              out_curve=ServerCurve(keys / "proxy.key_secret", keys / "clients", None))
print(proxy.in_port, proxy.out_port, flush=True)
proxy.start()
"""
"""bluesky's own proxy; its out port asks for CURVE."""


class Consumer:
    """bluesky's RemoteDispatcher in a thread, with the plainest deserialiser there is."""

    def __init__(self, address: str, prefix: bytes) -> None:
        from bluesky.callbacks.zmq import RemoteDispatcher

        self.documents: list[tuple[str, dict[str, Any]]] = []
        self._dispatcher = RemoteDispatcher(
            address.removeprefix("tcp://"), prefix=prefix, deserializer=msgpack.unpackb, strict=True
        )
        self._dispatcher.subscribe(lambda name, doc: self.documents.append((name, doc)))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError, RuntimeError, zmq.ZMQError):
            self._dispatcher.start()

    def close(self) -> None:
        self._dispatcher.loop.call_soon_threadsafe(self._dispatcher._task.cancel)
        self._thread.join(10)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("proxy", "daemon", "stranger"):
        zmq.auth.create_certificates(folder, name)
    (folder / "clients").mkdir()
    (folder / "daemon.key").rename(folder / "clients" / "daemon.key")
    return folder


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A daemon that has worked off two scans, and what came out of it."""

    setup: Setup
    proxy: str
    keys: Path
    documents: list[tuple[str, dict[str, Any]]]

    @property
    def results(self) -> list[Path]:
        """Results of the step scan and of the fly scan."""
        return [next(self.setup.data_dir.glob(f"results/*_{plan}_*.nxs")) for plan in ("grid_scan", "plan")]

    def runs(self) -> list[list[tuple[str, dict[str, Any]]]]:
        """The published documents run by run: the second begins before all frames of the first have come."""
        runs: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        run_of: dict[str, str] = {}
        for name, doc in self.documents:
            uid = doc["uid"] if name == "start" else doc.get("run_start") or run_of[doc["descriptor"]]
            if name == "descriptor":
                run_of[doc["uid"]] = uid
            runs.setdefault(uid, []).append((name, doc))
        return [run for run in runs.values() if run[0][1]["phasecast"]["plan_name"] in ("grid_scan", "plan")]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("wire")
    frames = folder / "frames"
    frames.mkdir()
    proxy = subprocess.Popen([sys.executable, "-c", _PROXY, str(keys)], stdout=subprocess.PIPE, text=True)
    assert proxy.stdout is not None
    inward, outward = proxy.stdout.readline().split()
    curve = f"server_key={keys}/proxy.key&client_key={keys}/daemon.key_secret"
    setup = Setup(folder, {"documents": f"{outward.replace('tcp', 'bluesky', 1)}?prefix={PREFIX}&{curve}"})
    consumer, beamline = None, None
    try:
        setup.start_daemon(
            "--document-root", str(frames), "--publish", "tcp://127.0.0.1:0?prefix=results", "--no-reports", wait=False
        )
        command = [sys.executable, "-m", "support.bluesky_beamline", str(frames)]
        beamline = subprocess.Popen(
            [*command, inward.removeprefix("tcp://"), "insane", "step", "fly"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        setup.processes.append(beamline)
        assert beamline.stdout is not None
        assert beamline.stdin is not None
        assert beamline.stdout.readline() == "ready\n"
        daemon = setup.processes[0]
        wait_until(lambda: setup.status.get("publishing"), "the publisher", process=daemon)
        consumer = Consumer(setup.status["publishing"]["address"], b"results")
        wire = "bluesky.files"
        wait_until(lambda: setup.status["sources"][wire]["messages"], "documents through CURVE", process=daemon)
        beamline.stdin.write("go\n")
        beamline.stdin.close()
        wait_until(lambda: setup.status["finished_scans"] == 4, "results", process=daemon)
        wait_until(lambda: [name for name, _ in consumer.documents].count("stop") == 4, "published results")
        yield Outcome(setup=setup, proxy=outward, keys=keys, documents=consumer.documents)
    finally:
        setup.end()
        if beamline is not None and beamline.stdout is not None:
            beamline.stdout.close()
        if consumer is not None:
            consumer.close()
        proxy.kill()
        proxy.wait()
        proxy.stdout.close()


def test_step_and_fly_scan_of_ophyd_async_become_results_from_their_hdf5_files(outcome: Outcome) -> None:
    y_um, x_um = np.repeat([0.0, 10.0], POINTS), np.array([0.0, 10.0, 20.0, 20.0, 10.0, 0.0])
    for path, is_flown in zip(outcome.results, (False, True), strict=True):
        with open_result(path) as result:
            ledger = result.ledger
            assert (ledger["state"] == PointState.DONE).all()
            np.testing.assert_array_equal(result.frames["number"], np.arange(ROWS * POINTS))
            np.testing.assert_allclose(ledger["x_um"], x_um)
            np.testing.assert_allclose(ledger["y_um"], y_um)
            flags = ledger["flags"].to_numpy()
            # frames are joined by name, and a plan's positions are said to be no measured ones
            assert not (flags & PointFlag.JOINED_BY_ORDER).any()
            assert ((flags & PointFlag.POSITION_DOUBTFUL) > 0).tolist() == [is_flown] * (ROWS * POINTS)


def test_insane_documents_before_them_are_named_and_leave_nothing_behind(outcome: Outcome) -> None:
    log = (outcome.setup.folder / "daemon.log").read_text()
    assert "Traceback" not in log
    named = [line for line in log.splitlines() if " WARNING " in line and "'knock'" not in line]
    assert len(named) >= len(hostile_documents.documents())
    assert all(path.parent.name == "results" for path in outcome.setup.folder.rglob("*.nxs"))
    assert len(outcome.setup.results) == 4


def test_frames_lie_in_the_capture_as_they_were_packed_in_the_file(outcome: Outcome) -> None:
    path = outcome.results[1]
    written = sorted((outcome.setup.folder / "frames").glob("*.h5"), key=lambda file: file.stat().st_mtime)[1]
    with h5py.File(written) as file:
        pixels = file["/entry/data/data"][()]
    store = CaptureFrameStore(outcome.setup.data_dir / "captures")
    with open_result(path) as result:
        columns = (result.frames[name].to_numpy().tolist() for name in ("store", "path", "offset", "number"))
        references = [
            FrameReference(store=store_name, path=segment, offset=offset, number=number)
            for store_name, segment, offset, number in zip(*columns, strict=True)
        ]
    np.testing.assert_array_equal([store.read(reference) for reference in references], pixels)


@pytest.mark.parametrize("is_moved", [False, True], ids=["where it was", "moved"])
def test_documents_alone_are_replayed_with_the_files_that_they_name(
    outcome: Outcome, tmp_path: Path, is_moved: bool
) -> None:
    frames = outcome.setup.folder / "frames"
    if is_moved:
        shutil.copytree(frames, tmp_path / "disk" / "frames")
        frames = tmp_path / "disk"
    for path, replayed in zip(outcome.results, ("step", "fly"), strict=True):
        with open_result(path) as live:
            lines = outcome.setup.data_dir / "documents" / f"{live.header.raw_uid}.jsonl"
        options = ReplayOptions(
            data_dir=tmp_path / replayed, profile="bl16xu", frames=frames, compare=(path,), reports=False
        )
        report = replay(lines, options)
        (sums,) = report.ledgers.values()
        assert sums == {"done": ROWS * POINTS}
        differences = report.comparisons[str(path)]["differences"]
        # stream documents bear no time: when they came is known to the capture alone
        assert [difference.split(" of ")[0] for difference in differences] == ["time_s"] * (replayed == "fly")


def test_remote_dispatcher_reads_the_results_as_valid_documents_of_its_own(outcome: Outcome) -> None:
    runs = outcome.runs()
    assert [run[0][1]["plan_name"] for run in runs] == ["phasecast"] * 2
    for run, path in zip(runs, outcome.results, strict=True):
        for name, doc in run:
            schema_validators[DocumentNames[_text(name)]].validate(doc)
        streams = {doc["uid"]: doc for name, doc in run if _text(name) == "descriptor"}
        primary = next(uid for uid, doc in streams.items() if doc["name"] == "primary")
        pages = [doc for name, doc in run if _text(name) == "event_page" and doc["descriptor"] == primary]
        assert all(set(page["data"]) == set(streams[primary]["data_keys"]) for page in pages)
        intensity = np.concatenate([page["data"]["intensity"] for page in pages])
        order = np.concatenate([page["data"]["point_index"] for page in pages])
        with open_result(path) as result:
            assert run[0][1]["raw_run_start"] == result.header.raw_uid
            name = result.confidence_column
            assert name is not None
            confidence = np.concatenate([page["data"][name] for page in pages])
            np.testing.assert_array_equal(result.column("intensity").to_numpy()[order], intensity)
            np.testing.assert_array_equal(result.column(name).to_numpy()[order], confidence)
        assert run[-1][1]["num_events"]["primary"] == ROWS * POINTS


def test_results_that_come_back_are_no_scan(outcome: Outcome) -> None:
    decoder = DocumentDecoder()
    for name, doc in outcome.documents:
        message = b" ".join([b"results", _text(name).encode(), msgpack.packb(doc)])
        record = RawRecord(
            position=CapturePosition(segment="s", offset=0),
            received_s=0.0,
            channel=Channel("bluesky"),
            parts=(message,),
        )
        assert list(decoder.decode(record)) == []


@pytest.mark.parametrize(
    ("server", "own"), [("proxy", "stranger"), ("stranger", "daemon"), ("", "")], ids=["own key", "server key", "plain"]
)
def test_a_refusal_of_the_proxy_is_seen_and_said(
    outcome: Outcome, tmp_path: Path, caplog: pytest.LogCaptureFixture, server: str, own: str
) -> None:
    keys = outcome.keys
    curve = client_keys(keys / f"{server}.key", keys / f"{own}.key_secret") if server else None
    receiver = DocumentReceiver(outcome.proxy, prefix=PREFIX, curve=curve)
    with CaptureWriter(tmp_path) as capture:
        receiver.start(capture)
        wait_until(lambda: receiver.status()["state"] == "refused", "the refusal")
        status = receiver.status()
        receiver.stop()
    assert str(status["error"]).startswith(f"{outcome.proxy}: connection refused: ")
    assert (status["connected"], status["messages"]) == (False, 0)
    assert "check server_key" in caplog.text


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("tcp://0.0.0.0:5580", "open to everybody"),
        ("tcp://127.0.0.1:5580?prefix=bl16xu", "documents we listen to"),
        ("tcp://127.0.0.1:5580?prefix=a%20b", "without blanks"),
        ("tcp://127.0.0.1:5580?client_keys=/nowhere", "own_keys"),
        ("tcp://127.0.0.1:5580?own_keys=/nowhere", "no file of CURVE keys"),
        ("tcp://127.0.0.1:5580?color=red", "unknown parameter"),
        ("udp://127.0.0.1:5580", "no tcp address"),
        ("tcp://127.0.0.1", "no tcp address"),
    ],
)
def test_an_address_for_results_that_cannot_be_meant_is_refused_in_one_line(address: str, problem: str) -> None:
    with pytest.raises(PhasecastError, match=problem) as refused:
        read_publish_address(address, ["bluesky://127.0.0.1:5578?prefix=bl16xu"])
    assert "\n" not in str(refused.value)


def test_published_results_can_ask_for_curve(outcome: Outcome) -> None:
    keys = outcome.keys
    where = read_publish_address(
        f"tcp://127.0.0.1:0?own_keys={keys}/proxy.key_secret&client_keys={keys}/clients", ["bluesky://x:1?prefix=b"]
    )
    publisher = DocumentPublisher(where)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    public, secret = zmq.auth.load_certificate(keys / "daemon.key_secret")
    server, _ = zmq.auth.load_certificate(keys / "proxy.key")
    sub = context.socket(zmq.SUB)
    try:
        for option, key in (
            (zmq.CURVE_PUBLICKEY, public),
            (zmq.CURVE_SECRETKEY, secret),
            (zmq.CURVE_SERVERKEY, server),
        ):
            sub.setsockopt(option, key or b"")
        sub.setsockopt(zmq.SUBSCRIBE, b"phasecast ")
        sub.connect(publisher.address)

        def heard() -> bool:
            publisher("start", {"uid": "x", "column": np.arange(3.0)})
            return bool(sub.poll(20))

        wait_until(heard, "a document through CURVE")
        assert msgpack.unpackb(sub.recv().split(b" ", 2)[2])["column"] == [0.0, 1.0, 2.0]
        assert publisher.status()["encrypted"]
    finally:
        publisher.close()
        context.destroy(linger=0)


def _text(name: object) -> str:
    return name.name if isinstance(name, DocumentNames) else str(name)
