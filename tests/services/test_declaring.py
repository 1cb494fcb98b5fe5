"""A person declares scans while a real daemon watches a real folder: taken, refused, and kept over a killed daemon."""

import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from phasecast.core.data_directory import DataDirectory
from phasecast.core.requests import DeclareScan
from phasecast.core.scan import PointMeasured, ScanStart
from phasecast.profiles import load_profile, load_scan
from phasecast.records.mailbox import Mailbox, RequestId
from phasecast.results import open_result
from phasecast.services.declared import directed_decoder
from phasecast.services.declaring import DeclaredProfiles, Declaring
from phasecast.services.placing import source_options
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.scan_switch import ScanSwitch
from support.daemon import wait_until, watched_folder
from support.frame_files import cbf_bytes, small_image

RASTER = {
    "name": "錆の断面 / 2", "nx": 3, "ny": 2, "step_x_um": -2.0, "step_y_um": 5.0, "origin_x_um": 10.0, "snake": True,
    "exposure_s": 0.02, "lead_in_frames_per_row": 1,
}  # fmt: skip
X_UM = [10, 8, 6, 6, 8, 10]
Y_UM = [0, 0, 0, 5, 5, 5]


class Beamline:
    """Detector, log and page of one data directory, as the daemon sees them."""

    def __init__(self, setup):
        self.setup = setup
        self.mailbox = Mailbox(DataDirectory(setup.data_dir).requests)

    @property
    def scans(self):
        return DataDirectory(self.setup.data_dir).scans

    @property
    def said(self):
        return self.setup.status.get("declaration", {})

    def declare(self, **changes):
        request = DeclareScan(text=tomli_w.dumps(RASTER | changes), who="森")
        return request, self.mailbox.submit(request)

    def answer(self, request_id):
        return wait_until(
            lambda: self.mailbox.answer(request_id), "the daemon's answer", process=self.setup.processes[-1]
        )

    def write(self, series, *numbers):
        for number in numbers:
            path = self.setup.folder / "frames" / f"{series}_{number:05d}.cbf"
            path.write_bytes(cbf_bytes(small_image(number)))

    def result(self, count):
        """Wait until the running daemon has finished that many; return the newest."""
        wait_until(
            lambda: self.setup.status.get("finished_scans") == count,
            f"{count} results",
            process=self.setup.processes[-1],
        )
        return self.setup.results[-1]


def places(path):
    with open_result(path) as result:
        assert result.is_closed
        ledger = result.ledger
        return result.ledger_sums, ledger["x_um"].to_numpy(), ledger["y_um"].to_numpy(), result.header.metadata


@pytest.mark.slow
def test_declared_scans_end_at_their_places_even_if_the_daemon_is_killed_before_the_first_frame(tmp_path):
    with watched_folder(tmp_path, "--device", "cpu", profile="bl16xu") as setup:
        beamline = Beamline(setup)
        beamline.write("align", 1, 2)
        _, first = beamline.declare()
        taken = beamline.answer(first)
        assert taken.ok, taken.detail
        kept = beamline.scans / str(taken.values["file"])
        assert load_scan(kept).name == RASTER["name"]
        assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z_錆の断面-2\.toml", kept.name)

        setup.processes[-1].send_signal(signal.SIGKILL)
        setup.processes[-1].wait()
        beamline.write("align", 3)
        setup.start_daemon("--device", "cpu")
        wait_until(lambda: beamline.said.get("state") == "waiting", "the declaration that was read again")
        beamline.write("map", *range(1, 9))
        sums, x_um, y_um, metadata = places(beamline.result(1))
        assert sums["done"] == 6
        assert x_um.tolist() == X_UM
        assert y_um.tolist() == Y_UM
        assert metadata["declared_scan"]["declared_by"] == "森"

        # the next one has a log, which lies ready when its frames come; a series that has begun is not taken
        _, again = beamline.declare(series="map")
        log = tmp_path / "位置.txt"
        axes = {
            "x": {"column": "X", "unit": "pulse", "factor": 0.5},
            "y": {"column": 3, "unit": "mm", "sign": -1},
        }
        _, second = beamline.declare(
            series="fine", lead_in_frames_per_row=0, log={"path": str(log), "file": 1, "patience_s": 2.0, **axes}
        )
        assert "frames of “map” have come already" in beamline.answer(again).detail
        assert beamline.answer(second).ok
        rows = [f"fine_{number:05d}.cbf\t{2 * (10 - number)}\t{-0.001 * number}" for number in range(1, 7)]
        log.write_bytes("\r\n".join(["ファイル\tX\tY", *rows, ""]).encode("cp932"))
        beamline.write("other", 1)
        beamline.write("fine", *range(1, 7))
        sums, x_um, y_um, _ = places(beamline.result(2))
        assert sums["done"] == 6
        assert x_um == pytest.approx([9, 8, 7, 6, 5, 4])
        assert y_um == pytest.approx([1, 2, 3, 4, 5, 6])
        assert setup.status["counters"]["frames_without_declaration"] >= 4, "alignment and another series"
        assert beamline.said["state"] == "over"

        starts, points = replayed(setup.data_dir)
        assert [start.uid for start in starts] == [header_uid(path) for path in setup.results]
        assert points[starts[0].uid] == pytest.approx(np.c_[X_UM, Y_UM])


def header_uid(path):
    with open_result(path) as result:
        return result.header.raw_uid


def replayed(data_dir: Path):
    """Direct the whole capture anew, as any other process would: its scans, and where their points lie."""
    profile = load_profile("bl16xu")
    profiles = DeclaredProfiles(profile)
    switch = ScanSwitch(profiles.taker(lambda: ()), others_pass=False)
    wires = replace(source_options(profile), log_decoder=switch.log_decoder)
    decoders, starts, points = {}, {}, {}
    with CaptureReader(DataDirectory(data_dir).captures, follow=False) as reader:
        for record in reader:
            decoder = decoders.setdefault(record.channel, directed_decoder(record.channel, wires, switch))
            for message in decoder.decode(record):
                if isinstance(message, ScanStart):
                    starts.setdefault(message.uid, message)
                elif isinstance(message, PointMeasured):
                    points.setdefault(message.uid, {})[message.index] = list(message.position.values())
    assert switch.declared is not None
    return list(starts.values()), {uid: [of[index] for index in sorted(of)] for uid, of in points.items()}


@pytest.mark.parametrize(
    ("refusal", "age_s", "said"),
    [
        ("declare_bluesky", 0.0, "bluesky"), ("declare_command", 0.0, "--scan"), ("", 3600.0, "no daemon ran"),
    ],
)  # fmt: skip
def test_a_daemon_that_cannot_take_a_declaration_says_why(tmp_path, refusal, age_s, said):
    directory = DataDirectory(tmp_path).create()
    profiles = DeclaredProfiles(load_profile("bl16xu"))
    with CaptureWriter(directory.captures) as capture, CaptureReader(directory.captures, capture.end) as reader:
        declaring = Declaring(
            directory=directory, profiles=profiles, capture=capture, reader=reader,
            switch=ScanSwitch(profiles.taker(lambda: ()), others_pass=False),
            desk=None, receivers=(), refusal=refusal, latest=None,  # type: ignore[arg-type]
        )  # fmt: skip
        request_id = RequestId(f"{time.time_ns() - int(age_s * 1e9):020d}-0123456789ab")
        answered = declaring.take(request_id, DeclareScan(text=tomli_w.dumps(RASTER), who="m"), caught_up=True)
        assert answered is not None
        assert not answered.ok
        assert said in answered.detail
        assert capture.status()["records"] == 0
    assert not list(directory.scans.iterdir())
