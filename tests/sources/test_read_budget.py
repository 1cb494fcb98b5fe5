"""The cap on reading: never more bytes than time allows, whoever reads; and frames that are copied if asked."""

import threading

import numpy as np
import pytest

from phasecast.core.frame import Frame
from phasecast.core.scan import Defect
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.directory import DirectoryReceiver
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.folder_watch import FolderWatch
from phasecast.sources.frame_store import CaptureFrameStore
from phasecast.sources.read_budget import ReadBudget
from support.frame_files import cbf_bytes, small_image


class Clock:
    """A clock that waiting moves on."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s

    def wait(self, seconds):
        self.now_s += seconds


def test_bytes_read_never_exceed_a_second_in_advance_plus_the_rate():
    clock = Clock()
    budget = ReadBudget(1000.0, clock=clock)
    read = 0
    for size in (300, 300, 900, 10, 4000, 10, 10):
        before_s = clock.now_s
        budget.take(size, clock.wait)
        assert read <= 1000 + 1000 * (clock.now_s - 100.0) + 1e-9, "paid for before the next one is read"
        read += size
        assert clock.now_s >= before_s
    assert clock.now_s - 100.0 == pytest.approx(budget.waited_s)
    assert budget.waited_s == pytest.approx((read - 10 - 1000) / 1000)


def test_a_pause_gives_one_second_of_bytes_and_not_more():
    clock = Clock()
    budget = ReadBudget(1000.0, clock=clock)
    clock.wait(3600.0)
    for _ in range(3):
        budget.take(1000, clock.wait)
    assert budget.waited_s == pytest.approx(1.0)


def test_the_watch_of_a_folder_and_the_decoder_pay_for_each_file(tmp_path):
    clock = Clock()
    files = [tmp_path / f"scan_{number:05d}.cbf" for number in range(6)]
    for number, path in enumerate(files):
        path.write_bytes(cbf_bytes(small_image(number)))
    total = sum(path.stat().st_size for path in files)
    budget = ReadBudget(total / 10, clock=clock)
    watch = FolderWatch(tmp_path, budget=budget, wait=clock.wait)
    found = list(watch.look())
    assert len(found) == 6
    assert not any(one.content for one in found)
    # ten seconds of reading; one was saved up, and what the last file costs is paid by the next
    last = files[-1].stat().st_size
    assert clock.now_s - 100.0 == pytest.approx((total - last) / (total / 10) - 1.0, rel=1e-6)


def test_waiting_ends_when_the_source_is_told_to_stop(tmp_path):
    """A cap of one byte a second must not keep a daemon from ending."""
    for number in range(3):
        (tmp_path / f"scan_{number:05d}.cbf").write_bytes(cbf_bytes(small_image(number)))
    receiver = DirectoryReceiver(tmp_path, budget=ReadBudget(1.0), poll_s=0.01)
    with CaptureWriter(tmp_path / "captures") as capture:
        receiver.start(capture)
        stopper = threading.Thread(target=receiver.stop)
        stopper.start()
        stopper.join(20.0)
        assert not stopper.is_alive()


def test_frames_are_copied_into_the_capture_if_asked_and_read_back_from_it(tmp_path):
    folder, captures = tmp_path / "frames", tmp_path / "captures"
    folder.mkdir()
    path = folder / "scan_00003.cbf"
    path.write_bytes(cbf_bytes(small_image(3), "Exposure_time 0.5 s"))
    receiver = DirectoryReceiver(folder, poll_s=0.01, copy_frames=True)
    with CaptureWriter(captures) as writer, CaptureReader(captures) as reader:
        receiver.start(writer)
        assert writer.wait(20.0, reader.position)
        (record,) = reader.read_available()
        receiver.stop()
    path.unlink()
    (frame,) = FileDecoder().decode(record)
    assert isinstance(frame, Frame)
    assert (frame.number, frame.exposure_s, frame.reference.store) == (3, 0.5, "capture")
    np.testing.assert_array_equal(frame.image, small_image(3))
    np.testing.assert_array_equal(CaptureFrameStore(captures).read(frame.reference), small_image(3))
    damaged = type(record)(
        position=record.position,
        received_s=record.received_s,
        channel=record.channel,
        parts=(record.parts[0], record.parts[1][:-1] + b"x"),
    )
    (defect,) = FileDecoder().decode(damaged)
    assert isinstance(defect, Defect)
    assert "not the file that was recorded" in defect.detail
