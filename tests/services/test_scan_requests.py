"""A person declares a running scan over; the sample form filled in before it is in its file."""

import signal

import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.requests import CloseScan, DescribeSample
from phasecast.records.clerk import Clerk
from phasecast.records.mailbox import Mailbox
from phasecast.records.results_list import list_results
from phasecast.records.samples import sample_for
from phasecast.results import open_result
from support.daemon import beamline, done_in, wait_until


@pytest.mark.slow
def test_a_scan_that_a_person_declares_over_is_closed_and_says_by_whom(tmp_path):
    with beamline(tmp_path, shape="10x16", rate=20.0) as setup:
        daemon = setup.start_daemon()
        directory = DataDirectory(setup.data_dir)
        mailbox = Mailbox(directory.requests)
        (directory.requests / "half.json").write_text('{"request":')
        form = mailbox.submit(DescribeSample(scan_raw_uid="", fields={"material": "SM490", "operator": "森"}, who="森"))
        clerk = Clerk(directory)
        assert clerk.step() == 1
        setup.begin()
        wait_until(lambda: done_in(setup.status) >= 20, "20 points", process=daemon)
        status = setup.status
        (scan,) = status["scans"]
        assert scan["state"] == "measuring"
        assert scan["result"] in status["results"]
        assert scan["points"] == 160
        assert scan["started_s"] < scan["last_frame_s"] <= status["time_s"]
        assert scan["last_position_s"] <= status["time_s"]
        assert status["model"]["sha256"]
        assert status["disk"]["free_bytes"] > 0
        (entry,) = list_results(directory)
        assert entry.state == "live"
        assert entry.done >= 20

        closing = mailbox.submit(CloseScan(scan_uid=scan["uid"], who="M. Mori"))
        answer = wait_until(lambda: mailbox.answer(closing), "the answer", process=daemon)
        assert answer.ok, answer.detail
        wait_until(lambda: setup.status["finished_scans"] == 1, "the closed scan", process=daemon)
        again = mailbox.submit(CloseScan(scan_uid=scan["uid"], who="M. Mori"))
        refused = wait_until(lambda: mailbox.answer(again), "the second answer", process=daemon)
        assert not refused.ok
        assert scan["uid"] in refused.detail
        # the beamline goes on sending; that must not end the daemon
        wait_until(lambda: setup.status["counters"].get("frames_after_close", 0) > 5, "late frames", process=daemon)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(90) == 0
        clerk.close()
    (path,) = setup.results
    with open_result(path) as result:
        assert result.is_closed
        assert result.counters["exit_status"] == "abort"
        assert result.counters["closed_by"] == "M. Mori"
        assert result.counters["exit_reason"] == "declared over by M. Mori"
        assert result.points_done >= 20
        assert result.ledger_sums["pending"] == result.ledger_sums["received"] == 0
        taken = result.header.metadata["sample_form"]
        assert taken["request"] == form
        assert taken["scans_before"] == 0
        sample = sample_for(directory, result.header.raw_uid, result.header)
    assert sample["material"] == "SM490"
    assert sample["operator"] == "森"
    assert sample["name"], "the scan's own metadata stay"
