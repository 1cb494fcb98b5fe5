"""Frames over PVA, PSI's and MAX IV's streams and documents over Kafka end in results as those of all wires do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("p4p", reason='EPICS PVA needs pip install "phasecast[pva]"')
pytest.importorskip("confluent_kafka", reason='Kafka needs pip install "phasecast[kafka]"')

from phasecast.results import open_result
from phasecast.results.access import was_left_growing
from support.bridge import WIRES, Bridge
from support.daemon import Setup, beamline, wait_until

ROWS, COLUMNS = 3, 6
STAMPED = ("pva", "psi")
"""Wires that carry the detector's time; on the others the time of receipt is all there is."""


@pytest.fixture(scope="module")
def bridged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bridge, Setup]]:
    bridge = Bridge(late_s=lambda wire, number: 0.15 if wire in STAMPED and number > ROWS * COLUMNS // 3 else 0.0)
    setup = Setup(tmp_path_factory.mktemp("further"))
    sources = [word for uri in bridge.addresses.values() for word in ("--source", uri)]
    setup.start_daemon(*sources)
    yield bridge, setup
    setup.end()
    bridge.close()
    assert setup.processes[0].returncode == 0
    assert "Traceback" not in (setup.folder / "daemon.log").read_text()


@pytest.mark.parametrize("wire", WIRES if "PHASECAST_EVERY_WIRE" in os.environ else WIRES[:1])
def test_a_scan_over_the_wire_is_done_point_by_point(bridged: tuple[Bridge, Setup], tmp_path: Path, wire: str) -> None:
    bridge, setup = bridged
    before = set(setup.results)

    def finished() -> Path | None:
        return next((p for p in setup.results if p not in before and not was_left_growing(p)), None)

    with (
        beamline(tmp_path, shape=f"{ROWS}x{COLUMNS}", rate=20.0) as simulated,
        bridge.attached(simulated.addresses, wire),
    ):
        simulated.begin()
        path = wait_until(finished, "the finished scan", process=setup.processes[0])
    with open_result(path) as result:
        assert result.ledger_sums["done"] == result.points == ROWS * COLUMNS
        # though the bridge is three points late for more than half a second: frames say when they were taken
        assert result.flag_sums["position_doubtful"] == 0
        assert not len(result.defects["reason"])
