"""Hostile messages between good ones, over the real sockets: named and counted, and the scan is complete."""

from collections import Counter

import pytest

from phasecast.results import open_result
from support import hostile_wire
from support.daemon import beamline
from support.nexus import validation
from support.relay import Relay

ROWS, COLUMNS = 4, 10
POINTS = ROWS * COLUMNS


@pytest.mark.slow
@pytest.mark.parametrize("counter", [True, False], ids=["by counter", "by order"])
def test_a_scan_among_hostile_messages_is_complete_and_names_them(tmp_path, counter):
    frames = {**hostile_wire.simplon_frames(), **hostile_wire.simplon_messages()}
    documents = hostile_wire.document_messages()
    documents.pop("too large")  # the socket itself refuses it, and the connection with it
    arguments = () if counter else ("--no-counter",)
    with (
        beamline(tmp_path, shape=f"{ROWS}x{COLUMNS}", rate=25.0, arguments=arguments) as setup,
        Relay(setup.addresses, frames=frames.values(), documents=documents.values()) as relay,
    ):
        setup.addresses |= relay.addresses
        daemon = setup.start_daemon("--once", "--close-after-idle-s", "3")
        setup.begin()
        assert daemon.wait(90) == 0, (tmp_path / "daemon.log").read_text()
        sent = dict(relay.sent)
    assert sent == {"frames": len(frames), "documents": len(documents)}
    assert not hostile_wire.exploited()
    (path,) = setup.results
    with open_result(path) as result:
        assert result.ledger_sums["done"] == POINTS
        assert result.points == POINTS
        assert result.flag_sums["position_doubtful"] == 0
        counted = Counter(result.defects["reason"].to_numpy().tolist())
        details = [str(detail) for detail in result.defects["detail"].to_numpy()]
    assert all(details)
    # messages that came before the scan opened are counted in the status, those that came later in its file too
    status = setup.status["counters"]
    for reason, number in counted.items():
        assert status[reason.replace(" ", "_")] >= number > 0
    assert status["corrupt_frame"] == len(hostile_wire.simplon_frames())
    assert status["malformed_message"] == len(hostile_wire.simplon_messages())
    # two of the documents lack the prefix, so that the subscription already leaves them out
    named = sum(number for reason, number in counted.items() if "document" in reason)
    assert named == len(documents) - 2
    assert "Traceback" not in (tmp_path / "daemon.log").read_text()
    assert validation(path)[1] == 0
