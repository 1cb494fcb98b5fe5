"""Each document lies in the file of its own run, or in that of documents that no run claims: never in another's."""

import json
from pathlib import Path
from typing import Any

import pytest

from phasecast.sources.document_lines import UNCLAIMED, DocumentLines

Document = tuple[str, dict[str, Any]]
START: Document = ("start", {"uid": "run-a", "time": 1.0})
DESCRIPTOR: Document = ("descriptor", {"uid": "desc-a", "run_start": "run-a"})
STOP: Document = ("stop", {"uid": "stop-a", "run_start": "run-a"})


def event(descriptor: str, seq: int, **data: Any) -> Document:
    return "event", {"uid": f"{descriptor}-{seq}", "descriptor": descriptor, "seq_num": seq, "data": data}


def kept(folder: Path, *documents: Document, **options: Any) -> dict[str, list[Document]]:
    """What lies in which file after documents have come one after another."""
    lines = DocumentLines(folder, **options)
    for name, doc in documents:
        lines(name, doc)
    lines.close()
    assert not lines.failures
    found = {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("*")}
    return {name: [(line["name"], line["doc"]) for line in content] for name, content in found.items()}


def test_what_names_an_unknown_run_is_no_part_of_the_only_open_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    strange: list[Document] = [
        event("desc-lost", 7, x=1.0),
        ("event_page", {"descriptor": "desc-lost", "seq_num": [8], "data": {"x": [2.0]}}),
        ("stream_datum", {"uid": "s/0", "descriptor": "desc-lost", "stream_resource": "s"}),
        ("datum", {"datum_id": "res-lost/0", "resource": "res-lost"}),
        ("descriptor", {"uid": "desc-b", "run_start": "run-b"}),
        ("stop", {"uid": "stop-b", "run_start": "run-b"}),
        ("event", {"descriptor": ["no", "text"], "seq_num": 1}),
    ]
    own = [START, DESCRIPTOR, event("desc-a", 1, x=1.0), STOP]
    files = kept(tmp_path, *own[:3], *strange, STOP)
    assert files == {"run-a.jsonl": own, UNCLAIMED: strange}
    (line,) = caplog.messages
    assert UNCLAIMED in line
    assert "desc-lost" in line
    lines = DocumentLines(tmp_path)
    lines(*strange[0])
    lines.close()
    assert lines.unclaimed == 1
    assert len((tmp_path / UNCLAIMED).read_text().splitlines()) == len(strange) + 1, "what was there stays"


def test_a_resource_without_a_run_goes_to_the_run_whose_event_names_it_however_many_are_open(tmp_path: Path) -> None:
    resource: Document = ("resource", {"uid": "res", "spec": "AD_TIFF"})
    datum: Document = ("datum", {"datum_id": "res/0", "resource": "res"})
    other: Document = ("resource", {"uid": "nobody's", "spec": "AD_TIFF"})
    streamed: Document = ("stream_resource", {"uid": "sres", "data_key": "det"})
    rows: Document = ("stream_datum", {"uid": "sres/0", "stream_resource": "sres", "descriptor": "desc-a"})
    begun = [("start", {"uid": "run-b"}), ("descriptor", {"uid": "desc-b", "run_start": "run-b"})]
    later: Document = ("datum", {"datum_id": "res/1", "resource": "res"})
    first, second = event("desc-a", 1, det="res/0"), event("desc-a", 2, det="res/1")
    files = kept(
        tmp_path, START, DESCRIPTOR, *begun, resource, datum, other, streamed, first, later, second, rows, STOP
    )
    assert files["run-a.jsonl"] == [START, DESCRIPTOR, resource, datum, first, later, second, streamed, rows, STOP]
    assert files["run-b.jsonl"] == begun
    assert files[UNCLAIMED] == [other]


def test_a_run_that_is_written_alone_keeps_all_that_it_has(tmp_path: Path) -> None:
    run = [START, ("resource", {"uid": "res"}), DESCRIPTOR, event("desc-lost", 1), STOP]
    assert kept(tmp_path, *run, unclaimed="of the run") == {"run-a.jsonl": run}


def test_where_strangers_are_left_out_nothing_is_written_of_them(tmp_path: Path) -> None:
    run = [START, DESCRIPTOR, STOP]
    assert kept(tmp_path, *run[:2], event("desc-lost", 1), STOP, unclaimed="left out") == {"run-a.jsonl": run}
