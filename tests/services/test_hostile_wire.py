"""Hostile messages between good ones, over the real sockets: named and counted, and the scan is complete."""

import pytest

from phasecast.results import open_result
from support import hostile_wire
from support.daemon import LongDaemon
from support.nexus import validation

ROWS, COLUMNS = 4, 10
POINTS = ROWS * COLUMNS


@pytest.mark.slow
def test_scans_among_hostile_messages_are_complete_and_name_them(tmp_path):
    images, others, documents = (
        hostile_wire.simplon_frames(),
        hostile_wire.simplon_messages(),
        hostile_wire.document_messages(),
    )
    documents.pop("too large")  # the socket itself refuses it, and the connection with it
    slip = {"frames": [*images.values(), *others.values()], "documents": [*documents.values()]}
    daemon = LongDaemon(tmp_path, "--close-after-idle-s", "8")
    try:
        by_counter = daemon.scan(shape=f"{ROWS}x{COLUMNS}", **slip)
        by_order = daemon.scan(shape=f"{ROWS}x{COLUMNS}", counter=False, **slip)
    finally:
        ended = daemon.end()
    assert ended == 0, daemon.log
    assert "Traceback" not in daemon.log
    assert daemon.relay.slipped_in == {wire: 2 * len(messages) for wire, messages in slip.items()}
    for path in (by_counter, by_order):
        with open_result(path) as result:
            assert result.ledger_sums["done"] == result.points == POINTS
            assert result.flag_sums["position_doubtful"] == 0
            reasons = result.defects["reason"].to_numpy().tolist()
            assert all(str(detail) for detail in result.defects["detail"].to_numpy())
        # two of the documents lack the prefix, so that the subscription already leaves them out
        assert sum("document" in reason for reason in reasons) == len(documents) - 2
        assert validation(path)[1] == 0
    # those that came between header and start document belong to no scan, but are counted too
    counters = daemon.setup.status["counters"]
    assert counters["corrupt_frame"] == 2 * len(images)
    assert counters["malformed_message"] == 2 * len(others)
