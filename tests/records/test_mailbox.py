"""Requests cross processes whole or not at all, and nothing in the folder stops anyone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phasecast.core.errors import RecordsError
from phasecast.core.region_requests import Points, Polygon, RemoveRegion, SaveRegion, SaveSurface, Threshold
from phasecast.core.requests import Acknowledge, Answer, CloseScan, DescribeSample, LabelPoints, UndoLabel
from phasecast.records.letter import parse_request
from phasecast.records.mailbox import Mailbox, asked_s

WHO = "森 M."
REQUESTS = [
    LabelPoints(scan_raw_uid="u", result="a.nxs", points=(3, 1), classes=("goethite", "resin"), who=WHO, note="針\n2"),
    UndoLabel(label_id="x/3", who=WHO),
    SaveRegion(name="地鉄", definition=Polygon(vertices_um=((0, 0), (1.5, 0), (1, -2))), role="steel", who=WHO),
    SaveRegion(name="p", definition=Points(scan_raw_uid="u", rows=(5, 2)), scan_raw_uid="u", who=WHO),
    SaveRegion(name="t", definition=Threshold(layer="goethite", low=0.5, high=1), role="rust", who=WHO),
    RemoveRegion(name="t", who=WHO),
    SaveSurface(scan_raw_uid="u", vertices_um=((0, 1), (2, 3)), confirmed=False, who=WHO),
    DescribeSample(scan_raw_uid="", fields={"name": "錆 A-3", "comment": ""}, who=WHO),
    Acknowledge(alarm_id="no_frames-1", who=WHO),
    CloseScan(scan_uid="u", who=WHO),
]
DONE = Answer(ok=True, detail="done", time_s=1.0, key="answer.labelled", values={"points": 2, "who": "x", "part": 0.5})
HOSTILE = {
    "empty": b"",
    "half": b'{"schema_version": 1, "request": {"kind": "close_sc',
    "garbage": bytes(range(256)) * 10,
    "list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "no kind": b'{"schema_version":1,"request":{"scan_uid":"u","who":"m"}}',
    "foreign kind": b'{"schema_version":1,"request":{"kind":"shell","command":"rm -rf /"}}',
    "extra key": b'{"schema_version":1,"request":{"kind":"close_scan","scan_uid":"u","who":"m","also":1}}',
    "extra key outside": b'{"schema_version":1,"request":{"kind":"close_scan","scan_uid":"u","who":"m"},"also":1}',
    "wrong type": b'{"schema_version":1,"request":{"kind":"close_scan","scan_uid":7,"who":"m"}}',
    "number as text": b'{"schema_version":1,"request":{"kind":"label_points","scan_raw_uid":"u","result":"a.nxs",'
    b'"points":["1"],"classes":["a"],"who":"m"}}',
    "nonsense": b'{"schema_version":1,"request":{"kind":"close_scan","scan_uid":"","who":"m"}}',
    "nan": b'{"schema_version":1,"request":{"kind":"save_surface","scan_raw_uid":"u","vertices_um":[[NaN,1],[1,1]],'
    b'"confirmed":true,"who":"m"}}',
    "later version": b'{"schema_version":2,"request":{"kind":"close_scan","scan_uid":"u","who":"m"}}',
    "huge": b'{"schema_version":1,"pad":"' + b"x" * (9 << 20) + b'"}',
}


_SUBMIT_MANY = """
import sys
from pathlib import Path
from phasecast.core.requests import CloseScan
from phasecast.records.mailbox import Mailbox
mailbox = Mailbox(Path(sys.argv[1]))
for k in range(30):
    mailbox.submit(CloseScan(scan_uid=f"{sys.argv[2]}/{k}", who="m"))
"""


def _age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.kind)
def test_every_request_comes_out_as_it_went_in(tmp_path, request_):
    before_s = time.time()
    request_id = Mailbox(tmp_path).submit(request_)
    assert before_s <= asked_s(request_id) <= time.time()
    reader = Mailbox(tmp_path)
    assert reader.pending({request_.kind}) == [(request_id, request_)]
    assert reader.pending({"something_else"}) == []
    assert reader.answer(request_id) is None
    reader.settle(request_id, DONE)
    assert reader.pending({request_.kind}) == []
    assert Mailbox(tmp_path).answer(request_id) == DONE
    assert parse_request((tmp_path / f"{request_id}.json").read_bytes()) == request_


def test_the_first_answer_stands(tmp_path):
    mailbox = Mailbox(tmp_path)
    request_id = mailbox.submit(REQUESTS[-1])
    mailbox.settle(request_id, DONE)
    Mailbox(tmp_path).settle(request_id, Answer(ok=False, detail="too late", time_s=2.0))
    assert mailbox.answer(request_id) == DONE


def test_requests_of_many_processes_all_arrive_in_order(tmp_path):
    senders = [subprocess.Popen([sys.executable, "-c", _SUBMIT_MANY, str(tmp_path), str(who)]) for who in range(3)]
    reader, seen = Mailbox(tmp_path), {}
    while any(sender.poll() is None for sender in senders):
        seen |= dict(reader.pending({"close_scan"}))
    assert [sender.returncode for sender in senders] == [0, 0, 0]
    seen |= dict(reader.pending({"close_scan"}))
    uids = [seen[request_id].scan_uid for request_id in sorted(seen)]
    for who in range(3):
        mine = [uid for uid in uids if uid.startswith(f"{who}/")]
        assert mine == [f"{who}/{k}" for k in range(30)]
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("name", HOSTILE, ids=str)
def test_what_is_no_request_is_put_aside_once_with_its_reason(tmp_path, name):
    mailbox = Mailbox(tmp_path)
    good = mailbox.submit(REQUESTS[-1])
    bad = tmp_path / f"{time.time_ns():020d}-0123456789ab.json"
    bad.write_bytes(HOSTILE[name])
    assert [request_id for request_id, _ in mailbox.pending({"close_scan"})] == [good]
    mailbox.tidy()
    assert bad.exists(), "it may still be on its way"
    _age(bad, 10)
    for _ in range(2):
        mailbox.tidy()
    assert not bad.exists()
    assert mailbox.counters["refused"] == 1
    kept, reason = sorted((tmp_path / "refused").iterdir())
    assert kept.read_bytes() == HOSTILE[name]
    assert 5 < len(reason.read_text().strip()) < 700
    assert "\n" not in reason.read_text().strip()
    assert mailbox.answer(bad.stem) is None
    assert [request_id for request_id, _ in mailbox.pending({"close_scan"})] == [good]


def test_pipes_links_folders_and_foreign_files_are_put_aside_too(tmp_path):
    secret = tmp_path.parent / "secret.json"
    secret.write_text(json.dumps({"schema_version": 1, "request": {"kind": "close_scan", "scan_uid": "s", "who": "m"}}))
    strangers = [f"{k:020d}-0123456789ab.json" for k in range(3)] + [
        "readme.txt",
        "a.json",
        "錆" * 80,
        os.fsdecode(b"\xff\xfe.json"),
    ]
    os.mkfifo(tmp_path / strangers[0])
    (tmp_path / strangers[1]).symlink_to(secret)
    (tmp_path / strangers[2]).mkdir()
    for name in strangers[3:]:
        (tmp_path / name).write_text("hello")
    for name in strangers:
        _age(tmp_path / name, 10)
    mailbox = Mailbox(tmp_path)
    assert mailbox.pending({"close_scan"}) == []
    mailbox.tidy()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refused"]
    assert mailbox.counters["refused"] == len(strangers)
    assert secret.exists()


def test_answers_are_put_away_after_a_while_and_are_still_found(tmp_path):
    mailbox = Mailbox(tmp_path)
    old, new, open_ = (mailbox.submit(CloseScan(scan_uid=uid, who="m")) for uid in ("a", "b", "c"))
    mailbox.settle(old, Answer(ok=True, detail="long ago", time_s=time.time() - 3600))
    mailbox.settle(new, Answer(ok=True, detail="just now", time_s=time.time()))
    mailbox.tidy(keep_answered_s=600)
    assert {path.stem for path in tmp_path.glob("*.json")} == {new, open_}
    assert Mailbox(tmp_path).answer(old).detail == "long ago"
    assert Mailbox(tmp_path).answer(new).detail == "just now"
    assert [request_id for request_id, _ in mailbox.pending({"close_scan"})] == [open_]


@pytest.mark.parametrize("request_id", ["", "../../etc/passwd", "x", "0" * 20, "9" * 20 + "-0123456789ab"])
def test_no_id_leads_out_of_the_folder(tmp_path, request_id):
    assert Mailbox(tmp_path).answer(request_id) is None


def test_a_quiet_folder_is_not_listed_again(tmp_path):
    mailbox = Mailbox(tmp_path)
    request_id = mailbox.submit(REQUESTS[-1])
    _age(tmp_path, 60)
    for _ in range(100):
        assert len(mailbox.pending({"close_scan"})) == 1
    assert mailbox.counters["listed"] == 1
    mailbox.settle(request_id, DONE)
    assert mailbox.pending({"close_scan"}) == []


def test_a_mailbox_for_small_requests_does_not_read_large_ones(tmp_path):
    large = SaveRegion(name="p", definition=Points(scan_raw_uid="u", rows=tuple(range(5000))), who="m")
    mailbox = Mailbox(tmp_path)
    mailbox.submit(large)
    small = mailbox.submit(REQUESTS[-1])
    kinds = {"save_region", "close_scan"}
    assert [request_id for request_id, _ in Mailbox(tmp_path, max_bytes=4096).pending(kinds)] == [small]
    assert len(mailbox.pending(kinds)) == 2


def test_a_folder_that_is_missing_is_empty_and_one_that_is_none_is_named(tmp_path):
    assert Mailbox(tmp_path / "later").pending({"close_scan"}) == []
    request_id = Mailbox(tmp_path / "later").submit(REQUESTS[-1])
    assert len(Mailbox(tmp_path / "later").pending({"close_scan"})) == 1
    assert Mailbox(tmp_path / "later").answer(request_id) is None
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordsError, match="cannot write"):
        Mailbox(tmp_path / "file").submit(REQUESTS[-1])
