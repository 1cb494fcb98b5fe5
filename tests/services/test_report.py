"""The report after a scan: made without being asked, and harmless where it cannot be made."""

import hashlib
import json
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.model_requests import BlindAnswer, BlindDraw
from phasecast.core.region_requests import Points, Polygon, SaveRegion, SaveSurface, Threshold
from phasecast.core.requests import DescribeSample
from phasecast.core.words import words
from phasecast.records.clerk import Clerk
from phasecast.records.journal import append
from phasecast.records.mailbox import Mailbox
from phasecast.records.regions import regions_path, save_entry
from phasecast.records.samples import form_entry, samples_path
from phasecast.records.surfaces import surface_entry, surfaces_path
from phasecast.services.end_of_scan import EndOfScan
from phasecast.services.page_models import score_blind
from phasecast.services.report import write_report
from phasecast.services.report_place import failure_path, report_path
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan


@pytest.fixture
def result_path(tmp_path: Path) -> Path:
    directory = DataDirectory(tmp_path / "beamtime").create()
    sink = NexusSink(directory.results / "scan.nxs")
    for document in raster_scan((4, 5)).documents():
        sink(*document)
    return sink.path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_finished_scan_gets_its_report_without_being_asked(result_path: Path) -> None:
    before = digest(result_path)
    with EndOfScan() as end_of_scan:
        end_of_scan.submit(result_path)
    html = report_path(result_path)
    assert html == result_path.parent.parent / "reports" / "scan.html"
    assert "錆 A-3" in html.read_text(encoding="utf-8")
    content = json.loads(html.with_suffix(".json").read_text(encoding="utf-8"))
    assert content["condition"] == "complete"
    assert content["scan"]["points_done"] == 20
    assert result_path.with_suffix(".png").is_file()
    assert not failure_path(result_path).exists()
    assert sorted(item.name for item in html.parent.iterdir()) == ["scan", "scan.html", "scan.json"]
    assert sorted(item.name for item in html.with_suffix("").iterdir()) == ["maps", "patterns", "points.csv"]
    assert digest(result_path) == before


def test_a_blind_check_is_in_the_report_with_its_intervals(result_path: Path) -> None:
    directory = DataDirectory(result_path.parent.parent)
    mailbox, clerk = Mailbox(directory.requests), Clerk(directory, score_blind=score_blind)
    drawn = (3, 0, 7, 12)
    check = mailbox.submit(
        BlindDraw(
            scan_raw_uid="raw-1", result=result_path.name, points=drawn, strata=(0,) * 4, weights=(5.0,) * 4, who="森"
        )
    )
    clerk.step()
    for row in drawn:
        said = {"cannot_tell": True, "classes": ()} if row == 7 else {"classes": ("goethite",)}
        mailbox.submit(BlindAnswer(scan_raw_uid="raw-1", check=check, point=row, who="森", **said))
        clerk.step()
    clerk.close()
    paths = write_report(result_path, language="ja")
    fact = json.loads(paths.json.read_text(encoding="utf-8"))["blind"]
    assert (fact["who"], fact["points"], fact["untold"], fact["models"]) == ("森", 4, 1, ["bl16xu-rust 1"])
    goethite = fact["classes"][1]
    assert goethite["seen"] == 3
    assert goethite["recall"]["low"] <= goethite["recall"]["value"] <= goethite["recall"]["high"]
    assert fact["classes"][0]["recall"] is None, "nobody saw any"
    html = paths.html.read_text(encoding="utf-8")
    assert words("ja")("report.blind_title") in html
    assert words("ja")("report.blind_untold", untold=1, points=4) in html
    assert f"{goethite['recall']['value']:.2f} ({goethite['recall']['low']:.2f}–" in html
    assert words("ja")("report.blind_other_model") not in html


def test_a_report_that_cannot_be_written_is_shown_and_the_result_is_untouched(result_path: Path) -> None:
    before = digest(result_path)
    # as root every folder is writable: a folder in the place of the file cannot be replaced by anyone
    report_path(result_path).mkdir()
    started_s = time.time()
    with EndOfScan() as end_of_scan:
        end_of_scan.submit(result_path)
    failure = json.loads(failure_path(result_path).read_text(encoding="utf-8"))
    assert failure["time_s"] >= started_s
    assert "the report cannot be written" in failure["what"]
    assert "phasecast report" in failure["what"]
    assert digest(result_path) == before
    assert result_path.with_suffix(".png").is_file()
    report_path(result_path).rmdir()
    write_report(result_path)
    assert not failure_path(result_path).exists()  # what was repaired is no longer complained of


def test_where_the_reports_folder_is_a_file_the_failure_is_told_beside_the_result(result_path: Path) -> None:
    reports = result_path.parent.parent / "reports"
    reports.rmdir()
    reports.touch()
    with EndOfScan() as end_of_scan:
        end_of_scan.submit(result_path)
    failure = json.loads(result_path.with_suffix(".failed.json").read_text(encoding="utf-8"))
    assert str(reports) in failure["what"]


def test_a_process_that_was_killed_over_a_report_is_told_of(result_path: Path) -> None:
    with EndOfScan() as end_of_scan:
        end_of_scan.submit(result_path)
        deadline = time.monotonic() + 60
        while not multiprocessing.active_children():
            assert time.monotonic() < deadline
        for child in multiprocessing.active_children():
            child.kill()
    failure = json.loads(failure_path(result_path).read_text(encoding="utf-8"))
    assert "terminated abruptly" in failure["what"]


def test_what_people_said_is_in_the_report(result_path: Path) -> None:
    directory = DataDirectory(result_path.parent.parent)
    uid = "raw-1"
    square = Polygon(vertices_um=((99.0, 49.0), (105.0, 49.0), (105.0, 55.0), (99.0, 55.0)))
    steel = Points(scan_raw_uid=uid, rows=tuple(range(10)))
    elsewhere = Points(scan_raw_uid="another", rows=(1, 2))
    regions = [
        SaveRegion(name="blister", definition=square, role="", scan_raw_uid=uid, who="M"),
        SaveRegion(name="the metal", definition=steel, role="steel", scan_raw_uid=uid, who="M"),
        SaveRegion(name="not here", definition=elsewhere, role="", scan_raw_uid="another", who="M"),
        SaveRegion(name="old", definition=Threshold(layer="wustite", low=0, high=1), role="", scan_raw_uid="", who="M"),
    ]
    entries = [save_entry(request, f"r{k}", time_s=1.0) for k, request in enumerate(regions)]
    append(regions_path(directory), entries)
    line = SaveSurface(scan_raw_uid=uid, vertices_um=((90.0, 53.0), (120.0, 53.0)), confirmed=True, who="M")
    append(surfaces_path(directory), [surface_entry(line, "s1", time_s=1.0)])
    form = DescribeSample(scan_raw_uid=uid, fields={"name": "暴露試験片 7", "operator": "Mori"}, who="M")
    append(samples_path(directory), [form_entry(form, "f1", time_s=2.0)])
    content = json.loads(write_report(result_path).json.read_text(encoding="utf-8"))
    assert content["sample"]["name"] == "暴露試験片 7"
    assert content["scan"]["user"] == "Mori"
    shown = {region["id"]: region for region in content["regions"]}
    assert set(shown) == {"all", "steel", "blister"}
    assert (shown["steel"]["points"], shown["steel"]["confirmed"]) == (10, True)
    assert shown["blister"]["points"] == 9
    assert content["profile"]["confirmed"] is True
    assert len(content["unread"]) == 1
    assert "wustite" in content["unread"][0]
    assert content["labels_given"] == 0


def test_what_cannot_be_read_is_named(result_path: Path) -> None:
    directory = DataDirectory(result_path.parent.parent)
    surfaces_path(directory).mkdir(parents=True)
    paths = write_report(result_path, language="ja")
    content = json.loads(paths.json.read_text(encoding="utf-8"))
    assert content["sample"]["name"] == "錆 A-3"
    assert len(content["unread"]) == 1
    assert "surfaces" in content["unread"][0]
    assert "surfaces" in paths.html.read_text(encoding="utf-8")


def test_a_result_that_was_carried_elsewhere_has_its_report_beside_it(result_path: Path, tmp_path: Path) -> None:
    moved = tmp_path / "usb" / "scan.nxs"
    moved.parent.mkdir()
    result_path.rename(moved)
    assert write_report(moved).html == moved.with_suffix(".html")


def test_no_result_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "foreign.nxs").write_bytes(b"no HDF5")
    for name in ("absent.nxs", "foreign.nxs"):
        with pytest.raises(PhasecastError, match=name):
            write_report(tmp_path / name)


def test_the_command_writes_where_it_is_told_and_knows_its_languages(result_path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "phasecast.cli", "report", str(result_path)]
    target = tmp_path / "out" / "bericht.html"
    ended = subprocess.run(
        [*command, "-o", str(target), "--language", "ja", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["html"] == str(target)
    assert '<html lang="ja">' in target.read_text(encoding="utf-8")
    wrong = subprocess.run([*command, "--language", "fr"], capture_output=True, text=True, timeout=120, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.strip() == "phasecast: --language: 'fr' is no language - give one of en, ja"
