"""The strip of facts says how a scan stands, and that nobody speaks any more."""

import json
import time
from pathlib import Path

import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.result import ColumnSpec
from phasecast.core.words import words
from phasecast.records.alarm_book import AlarmBook
from phasecast.services.page import page_tools
from phasecast.sinks.nexus import NexusSink
from phasecast.web.hub import Hub
from phasecast.web.now_view import NowView
from support.documents import raster_scan
from support.result_writer import WriterProcess


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path).create()


def says(directory: DataDirectory, *, age_s: float = 0.0, **scan: object) -> None:
    """The daemon's last words."""
    now_s = time.time() - age_s
    status = {
        "time_s": now_s, "results": ["scan.nxs"], "frames_per_s": 20.0, "latency_p50_ms": 6.0, "latency_p99_ms": 12.0,
        "sources": {"simplon": {"connected": True}, "bluesky": {"connected": True}},
        "scans": [{"result": "scan.nxs", "state": "measuring", "last_frame_s": now_s, "frame_period_s": 0.05, **scan}],
    }  # fmt: skip
    (directory.status / "live-xrd.json").write_text(json.dumps(status))


def shown(directory: DataDirectory, language: str = "en") -> str:
    hub = Hub(directory, page_tools(directory), AlarmBook(directory))
    view = NowView(hub, words(language))
    scan = hub.scan("scan.nxs")
    view.show(scan, "scan.nxs", "")
    scan.close()
    return str(view.panel.object)


def test_a_running_scan_shows_progress_rate_eta_and_losses_even_if_there_are_none(directory: DataDirectory) -> None:
    with WriterProcess(directory.results / "scan.nxs") as writer:
        writer.ask("pages 20")
        says(directory)
        text = shown(directory)
        assert "60 / 300" in text
        assert ">12 s<" in text  # 240 points at 20 a second
        assert "6 / 12 ms" in text
        assert "lost upstream</small><b class=''>0<" in text
        assert "simplon, bluesky connected" in text
        assert "calibrated on simulation only" in text
        writer.ask("reject 70")
        assert "rejected</small><b class='bad'>1<" in shown(directory)


@pytest.mark.parametrize(("monitors", "language", "said"), [
    ((), "en", "not normalised (no I0)"), ((), "ja", "未規格化"), (("i0",), "en", ""),
])  # fmt: skip
def test_a_result_without_incident_monitor_says_once_that_it_is_not_normalised(
    directory: DataDirectory, monitors: tuple[str, ...], language: str, said: str
) -> None:
    columns = tuple(ColumnSpec(name=name, dtype="<f8") for name in monitors)
    run = raster_scan((4, 5), point_columns=columns)
    sink = NexusSink(directory.results / "scan.nxs")
    for document in (*run.opening(), *run.pages(20), run.stop()):
        sink(*document)
    text = shown(directory, language)
    assert text.count(said or "not normalised") == (1 if said else 0)


def test_a_silent_daemon_a_silent_detector_and_a_cut_wire_are_said(directory: DataDirectory) -> None:
    with WriterProcess(directory.results / "scan.nxs") as writer:
        writer.ask("pages 2")
        says(directory, age_s=5.0)
        assert "STALE: the daemon has been silent for 5 s" in shown(directory)
        assert "デーモンが 5 s 応答していません" in shown(directory, "ja")
        says(directory, last_frame_s=time.time() - 9)
        assert "STALE: no frames for 9 s" in shown(directory)
        says(directory, last_frame_s=time.time() - 9, frame_period_s=4.0)
        assert "STALE" not in shown(directory)  # frames of this scan take that long
        says(directory, last_frame_s=time.time() - 9, state="stopped")
        assert "STALE" not in shown(directory)
        (directory.status / "live-xrd.json").write_text("{")
        assert "STALE" in shown(directory)
        writer.ask("stop")
        assert "scan finished" in shown(directory)
