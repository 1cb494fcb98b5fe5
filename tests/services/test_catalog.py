"""The catalog: runs are in it as tiled and databroker read them; what it does not take waits and comes in later."""

import json
import shutil
import sqlite3
import threading

import event_model
import msgpack
import msgpack_numpy
import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import CatalogError
from phasecast.core.record import Channel
from phasecast.results import open_result
from phasecast.services.catalog import marks_of, sync
from phasecast.services.catalog_follow import CatalogAfterScan
from phasecast.services.catalog_runs import documents_of_run, fetch_run, list_runs, show_run
from phasecast.services.catalog_text import line_of, lines_of
from phasecast.sinks.result_documents import documents_of_result
from phasecast.sinks.tiled_catalog import name_of, open_catalog
from phasecast.sources.capture import CaptureWriter
from support.results import write_result

pytest.importorskip("databroker")
pytest.importorskip("ophyd")
# starlette and tiled warn of their own imports, ophyd of those of others
pytestmark = pytest.mark.filterwarnings("ignore")

RESULT = "錆_00001.nxs"


def quiet(line):
    pass


def run_engine_documents():
    """Documents of a snaking grid scan by a real RunEngine."""
    from bluesky import RunEngine
    from bluesky.plans import grid_scan
    from ophyd.sim import SynAxis, SynGauss

    y, x = SynAxis(name="stage_y"), SynAxis(name="stage_x")
    i0 = SynGauss("i0", x, "stage_x", center=0, Imax=1)
    documents = []
    RunEngine({})(grid_scan([i0], y, 0, 3, 4, x, 0, 4, 5, True), lambda name, doc: documents.append((name, doc)))
    return documents


def stream_documents(folder):
    """Documents of an ophyd-async run: frames are stream documents, and there is no event at all."""
    run = event_model.compose_run()
    frames = {"source": "x", "dtype": "array", "shape": [1, 4, 5], "dtype_numpy": "<u2", "external": "STREAM:"}
    described = run.compose_descriptor(name="fly", data_keys={"frames": frames})
    resource = run.compose_stream_resource(
        mimetype="application/x-hdf5", uri=f"file://localhost{folder}/none.h5", data_key="frames",
        parameters={"dataset": "/entry/data/data", "chunk_shape": (1, 4, 5)},
    )  # fmt: skip
    datum = resource.compose_stream_datum({"start": 0, "stop": 20}, {"start": 1, "stop": 21}, described.descriptor_doc)
    return [
        ("start", run.start_doc), ("descriptor", described.descriptor_doc),
        ("stream_resource", resource.stream_resource_doc), ("stream_datum", datum), ("stop", run.compose_stop()),
    ]  # fmt: skip


def capture(directory, documents):
    """Record documents as they come over 0MQ; return where the first one lies."""
    with CaptureWriter(directory.captures) as writer:
        places = [
            writer.append(
                Channel("bluesky"),
                [b" ".join([b"bl16xu", name.encode(), msgpack.packb(doc, default=msgpack_numpy.encode)])],
                float(number),
            )
            for number, (name, doc) in enumerate(documents)
        ]
    return {"capture_start": {"segment": places[0].segment, "offset": places[0].offset}}


@pytest.fixture(scope="module")
def beamtime(tmp_path_factory):
    """A data directory with two scans, one of each kind, as a daemon leaves it; and their documents."""
    directory = DataDirectory(tmp_path_factory.mktemp("made") / "ビームタイム").create()
    ophyd, fly = run_engine_documents(), stream_documents(directory.root)
    uids = [documents[0][1]["uid"] for documents in (ophyd, fly)]
    # a stray event of a run that began before belongs to neither
    place = capture(directory, [*ophyd, ("event", {"descriptor": "d0", "uid": "e", "data": {}}), *fly])
    write_result(directory, RESULT, raw_uid=uids[0], missing=(3,), processing=place)
    write_result(directory, "fly.nxs", raw_uid=uids[1], result_uid="result-2", processing=place)
    return directory, ophyd, fly


@pytest.fixture(scope="module")
def synced(beamtime):
    """The same once it is in the embedded catalog, which refused it at first."""
    directory = beamtime[0]
    said = []
    directory.catalog.mkdir()
    database = directory.catalog / "catalog.db"
    holder = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    locked = sync(directory, say=said.append)
    holder.close()
    database.write_bytes(b"no database" * 1000)
    damaged = sync(directory, say=said.append)
    database.unlink()
    return directory, (locked, damaged), said, sync(directory, say=said.append)


def test_runs_that_the_catalog_refuses_wait_are_named_and_come_in_later(beamtime, synced):
    _, ophyd, fly = beamtime
    _, refusals, said, report = synced
    uids = {ophyd[0][1]["uid"], fly[0][1]["uid"], "result-1", "result-2"}
    for refusal, reason in zip(refusals, ("database is locked", "file is not a database"), strict=True):
        assert (set(refusal.waiting), refusal.brought) == (uids, ())
        assert all(reason in line and "catalog sync" in line for line in refusal.waiting.values())
    assert [line.count("\n") for line in said] == [0, 0]
    assert "4 runs wait in" in said[0]
    assert (set(report.brought), report.kept, report.waiting) == (uids, 0, {})


def test_another_sync_changes_nothing(synced):
    directory = synced[0]

    def content():
        return {path: path.read_bytes() for path in directory.root.rglob("*") if path.is_file()}

    before = content()
    report = sync(directory, say=quiet)
    assert (report.brought, report.kept, report.waiting) == ((), 4, {})
    assert content() == before


def test_a_catalog_that_fails_later_keeps_what_it_has(synced):
    directory, said = synced[0], []
    holder = sqlite3.connect(directory.catalog / "catalog.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    report = sync(directory, say=said.append)
    holder.close()
    assert (report.waiting, report.kept) == ({}, 0)
    assert "database is locked" in report.failure
    assert "0 runs wait" in said[0]
    assert {mark.state for mark in marks_of(directory)} == {"in"}


def test_databroker_reads_raw_and_derived_run_and_the_numbers_are_those_of_the_file(beamtime, synced, monkeypatch):
    _, ophyd, _ = beamtime
    directory = synced[0]
    import databroker
    import tiled.profiles

    # TILED_PROFILES says it to a process that starts
    monkeypatch.setattr(tiled.profiles, "paths", [directory.catalog / "profiles"])
    from databroker.client import CatalogOfBlueskyRuns

    catalog = databroker.from_profile("beamtime")
    try:
        assert isinstance(catalog, CatalogOfBlueskyRuns)
        raw = catalog[ophyd[0][1]["uid"]]
        events = [doc for name, doc in ophyd if name == "event"]
        measured = raw["primary"].read()
        for field in ("stage_x", "stage_y", "i0"):
            assert measured[field].values.tolist() == [event["data"][field] for event in events]
        assert raw.metadata["start"]["scan_id"] == 1
        derived = catalog["result-1"]
        assert derived.metadata["start"]["raw_run_start"] == raw.metadata["start"]["uid"]
        scored = derived["primary"].read()
    finally:
        catalog.context.__exit__(None, None, None)
    with open_result(directory.results / RESULT) as result:
        for name in ("intensity", "sigma", "confidence", "total_counts"):
            np.testing.assert_array_equal(scored[name].values, result.column(name).to_numpy())
        for name in ("x_um", "y_um", "i0", "flags"):
            np.testing.assert_array_equal(scored[name].values, result.ledger[name].to_numpy())
        assert scored["state"].values[3] == "lost_upstream"
        assert np.isnan(scored["confidence"].values[3]).all()
    # nothing of patterns and confidences was copied
    assert not list((directory.catalog / "storage").rglob("*.*"))


def test_a_run_that_was_cut_off_in_the_middle_is_written_anew_and_its_file_stays(synced):
    directory = synced[0]
    whole = list(documents_of_result(directory.results / RESULT))
    before = (directory.results / RESULT).read_bytes()
    with open_catalog(directory) as catalog:
        catalog.write("result-1", whole[:-1])
        assert catalog.find("result-1").stop is None
        with pytest.raises(CatalogError, match="does not take the run"):
            catalog.write("result-1", [*whole[:2], ("stream_datum", {"stream_resource": "x", "descriptor": "y"})])
        assert catalog.find("result-1") is None
    assert sync(directory, say=quiet).brought == ("result-1",)
    assert (directory.results / RESULT).read_bytes() == before


def test_people_see_runs_and_what_is_in_them(beamtime, synced):
    directory = synced[0]
    fly = beamtime[2][0][1]["uid"]
    runs = list_runs(directory)
    text = "\n".join(map(line_of, runs))
    assert len(runs) == 4
    assert RESULT in text
    content = show_run(directory, fly[:8])
    assert content.streams["fly"]["frames"][-2:] == (4, 5)
    assert any("frames" in line for line in lines_of(content))
    with pytest.raises(CatalogError, match="no run 'zzzzzz'"):
        show_run(directory, "zzzzzz")


def test_the_archive_gives_every_document_as_it_came_and_the_catalog_those_of_a_foreign_run(beamtime, synced, tmp_path):
    _, ophyd, fly = beamtime
    directory = synced[0]

    def plain(documents):
        return json.loads(json.dumps([[name, dict(doc)] for name, doc in documents]))

    for documents in (ophyd, fly):
        assert plain(documents_of_run(directory, documents[0][1]["uid"][:8])) == plain(documents)
    # without the archive only the catalog knows the run
    alone = DataDirectory(tmp_path)
    alone.catalog.symlink_to(directory.catalog)
    found = list(documents_of_run(alone, ophyd[0][1]["uid"]))
    assert [name for name, _ in found][:2] == ["start", "descriptor"]
    assert found[-1][0] == "stop"
    fields = [doc["data"]["stage_x"] for name, doc in found if name == "event"]
    assert fields == [doc["data"]["stage_x"] for name, doc in ophyd if name == "event"]


def test_a_run_is_replayed_from_its_capture_else_from_its_documents(beamtime, synced, tmp_path):
    directory, ophyd = synced[0], beamtime[1]
    uid = ophyd[0][1]["uid"]
    target = DataDirectory(tmp_path / "replay")
    assert fetch_run(directory, uid[:8], target) == directory.results / RESULT
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "documents").symlink_to(directory.documents)
    path = fetch_run(DataDirectory(tmp_path / "other"), uid, target)
    assert path == target.documents / f"{uid}.jsonl"
    assert path.read_bytes() == (directory.documents / path.name).read_bytes()


def test_documents_of_a_result_are_valid_and_the_same_each_time(beamtime):
    directory = beamtime[0]
    once, again = (list(documents_of_result(directory.results / RESULT)) for _ in range(2))
    for name, doc in once:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    assert json.dumps(once) == json.dumps(again)


def test_a_scan_without_its_stop_waits_and_one_without_documents_does_not(tmp_path, monkeypatch):
    import tiled.client.utils

    monkeypatch.setattr(tiled.client.utils, "TILED_RETRY_ATTEMPTS", 1)
    directory = DataDirectory(tmp_path).create()
    documents = stream_documents(tmp_path)
    place = capture(directory, documents[:-1])
    write_result(directory, "a.nxs", raw_uid=documents[0][1]["uid"], processing=place)
    write_result(directory, "b.nxs", raw_uid="of-files", result_uid="result-2", processing=place)
    report = sync(directory, "http://127.0.0.1:9/api/v1?api_key=secret", say=quiet)
    assert "stop document has not been recorded" in report.waiting[documents[0][1]["uid"]]
    assert report.undocumented == ("of-files",)
    assert "127.0.0.1:9" in report.waiting["result-1"]
    assert "secret" not in str(report)


def test_a_catalog_of_a_moved_directory_says_so(beamtime, synced, tmp_path):
    shutil.copytree(synced[0].catalog, tmp_path / "catalog")
    with pytest.raises(CatalogError, match=r"another folder.*remove the folder"), open_catalog(DataDirectory(tmp_path)):
        pass


def test_no_key_is_said():
    assert name_of(DataDirectory("x"), "https://h/api/v1?api_key=secret&x=1") == "https://h/api/v1?api_key=...&x=1"


def test_after_scans_one_process_after_the_other_brings_them_in_or_none_where_nobody_wants_it(tmp_path):
    directory = DataDirectory(tmp_path).create()
    with CatalogAfterScan(directory, "none") as after:
        after.submit(tmp_path / "a.nxs")
        assert not any(thread.name == "catalog" for thread in threading.enumerate())
    with CatalogAfterScan(directory, "embedded") as after:
        after.submit(tmp_path / "a.nxs")
        after.submit(tmp_path / "b.nxs")
    assert (directory.documents / ".catalog.lock").exists()
