"""The capture keeps every record that append returned, and says what it had to leave out."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cbor2
import pytest

from phasecast.core.errors import CaptureError
from phasecast.core.record import CapturePosition, Channel
from phasecast.sources.capture import CaptureReader, CaptureWriter, check_capture, is_capture

WIRE = Channel("simplon")


def fill(folder: Path, count: int = 5, **options: int) -> list[CapturePosition]:
    with CaptureWriter(folder, **options) as writer:
        return [writer.append(WIRE, [b"head", bytes([index]) * 100], float(index)) for index in range(count)]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.cborseq"))


def test_records_come_back_as_they_were_appended(tmp_path: Path) -> None:
    parts = [b"", b"\x00" * 70_000, "né".encode()]
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as follower:
        position = writer.append(Channel("bluesky"), parts, 1234.5)
        (record,) = follower.read_available()
        assert follower.read_record(position) == record
        assert follower.backlog_bytes == 0
    assert record.parts == tuple(parts)
    assert record.received_s == 1234.5
    assert record.channel == "bluesky"
    assert record.position == position


def test_a_segment_is_a_plain_cbor_sequence(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    (segment,) = segments(tmp_path)
    with segment.open("rb") as stream:
        records = [cbor2.load(stream) for _ in range(3)]
        assert stream.read() == b""
    assert [received_s for received_s, *_ in records] == [0.0, 1.0, 2.0]
    assert all(channel == "simplon" and parts[0] == b"head" for _, channel, _, parts in records)


def test_segments_roll_over_and_read_as_one(tmp_path: Path) -> None:
    positions = fill(tmp_path, 40, segment_bytes=1000)
    assert len(segments(tmp_path)) > 4
    assert positions == sorted(positions)
    records = list(CaptureReader(tmp_path, follow=False))
    assert [record.position for record in records] == positions
    resumed = CaptureReader(tmp_path, positions[23], follow=False)
    assert [record.received_s for record in resumed] == [float(n) for n in range(23, 40)]


def test_a_second_start_begins_a_segment_that_sorts_later_even_if_the_clock_went_back(tmp_path: Path) -> None:
    (tmp_path / "29990101T000000.000000Z-000.cborseq").write_bytes(b"")
    first = fill(tmp_path, 1)
    second = fill(tmp_path, 1)
    assert second[0] > first[0] > CapturePosition(segment="29990101T000000.000000Z-000.cborseq", offset=0)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path), pytest.raises(CaptureError, match="another process is recording here"):
        CaptureWriter(tmp_path)
    CaptureWriter(tmp_path).close()


def test_a_follower_wakes_when_something_is_appended(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        seen: list[float] = []
        waiting = threading.Event()

        def follow() -> None:
            while len(seen) < 3:
                waiting.set()
                assert writer.wait(10.0, reader.position)
                seen.extend(record.received_s for record in reader.read_available())

        thread = threading.Thread(target=follow)
        thread.start()
        for index in range(3):
            assert waiting.wait(10.0)
            writer.append(WIRE, [b"x"], float(index))
        thread.join(10.0)
        assert seen == [0.0, 1.0, 2.0]
        assert not writer.wait(0.0, reader.position)
        writer.wake()
        assert not writer.wait(60.0, reader.position)


def test_a_follower_of_a_fresh_segment_does_not_spin(tmp_path: Path) -> None:
    last = fill(tmp_path, 2)[-1]
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path, last) as reader:
        assert len(list(reader.read_available())) == 1
        assert not writer.wait(0.0, reader.position)
        writer.append(WIRE, [b"x"], 9.0)
        assert writer.wait(0.0, reader.position)
        assert [record.received_s for record in reader.read_available()] == [9.0]


@pytest.mark.parametrize("lost", [1, 57, 120])
def test_a_torn_last_record_is_ignored(tmp_path: Path, lost: int) -> None:
    fill(tmp_path, 5)
    (segment,) = segments(tmp_path)
    os.truncate(segment, segment.stat().st_size - lost)
    reader = CaptureReader(tmp_path, follow=False)
    assert len(list(reader)) == 4
    assert (reader.defects, reader.torn_tails) == (0, 1)


def test_a_torn_record_ends_its_segment_and_not_the_capture(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    os.truncate(segments(tmp_path)[0], segments(tmp_path)[0].stat().st_size - 5)
    with CaptureWriter(tmp_path) as writer, CaptureReader(tmp_path) as reader:
        assert len(list(reader.read_available())) == 2
        writer.append(WIRE, [b"later"], 7.0)
        assert [record.parts for record in reader.read_available()] == [(b"later",)]
        assert reader.torn_tails == 1


@pytest.mark.parametrize("where", [0, 3, 12, 25, 60, 90])
@pytest.mark.parametrize("flip", [0xFF, 0x5B, 0x01])
def test_a_corrupt_record_costs_only_itself(tmp_path: Path, where: int, flip: int) -> None:
    positions = fill(tmp_path, 5)
    (segment,) = segments(tmp_path)
    content = bytearray(segment.read_bytes())
    content[positions[2].offset + where] ^= flip
    segment.write_bytes(content)
    reader = CaptureReader(tmp_path, follow=False)
    assert [record.received_s for record in reader] == [0.0, 1.0, 3.0, 4.0]
    assert reader.defects == 1
    assert f"at byte {positions[2].offset}" in reader.last_defect
    with pytest.raises(CaptureError, match="no intact record"):
        reader.read_record(positions[2])


def test_random_damage_never_stops_the_reader(tmp_path: Path) -> None:
    fill(tmp_path, 30)
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    draw = random.Random(7)
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(draw.randrange(1, 5)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        segment.write_bytes(content)
        records = list(CaptureReader(tmp_path, follow=False))
        assert 25 <= len(records) <= 30
        assert all(record.parts == (b"head", bytes([int(record.received_s)]) * 100) for record in records)


def test_what_append_returned_survives_kill_9(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from phasecast.sources.capture import CaptureWriter\n"
        "writer = CaptureWriter(Path(sys.argv[1])); index = 0\n"
        "while True:\n"
        "    writer.append('simplon', [index.to_bytes(8, 'big'), b'x' * 30_000], float(index))\n"
        "    sys.stdout.write(f'{index}\\n'); sys.stdout.flush(); index += 1\n"
    )
    for round_number in range(3):
        folder = tmp_path / str(round_number)
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, env=os.environ, text=True
        )
        assert process.stdout is not None
        for _ in range(50 + 31 * round_number):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        returned = 50 + 31 * round_number + len(process.stdout.read().split("\n")) - 1
        process.stdout.close()
        process.wait()
        records = list(CaptureReader(folder, follow=False))
        assert len(records) >= returned
        assert [int.from_bytes(record.parts[0], "big") for record in records] == list(range(len(records)))


def test_a_full_disk_is_said_counted_and_leaves_nothing_torn(tmp_path: Path) -> None:
    import resource

    writer = CaptureWriter(tmp_path)
    writer.append(WIRE, [b"a" * 100], 0.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
        with pytest.raises(CaptureError, match=r"cannot record .* recording goes on by itself"):
            writer.append(WIRE, [b"b" * 1000], 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert writer.status()["failures"] == 1
    writer.append(WIRE, [b"c"], 2.0)
    writer.close()
    reader = CaptureReader(tmp_path, follow=False)
    assert [record.parts[0][:1] for record in reader] == [b"a", b"c"]
    assert (reader.defects, reader.torn_tails) == (0, 0)


def test_append_is_safe_in_threads(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path, segment_bytes=20_000) as writer:

        def work(name: str) -> None:
            for index in range(200):
                writer.append(Channel(name), [index.to_bytes(4, "big")], 0.0)

        threads = [threading.Thread(target=work, args=(f"wire{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    records = list(CaptureReader(tmp_path, follow=False))
    for name in ("wire0", "wire1", "wire2", "wire3"):
        mine = [record.parts[0] for record in records if record.channel == name]
        assert mine == [index.to_bytes(4, "big") for index in range(200)]


def test_backlog_falls_to_zero(tmp_path: Path) -> None:
    fill(tmp_path, 20, segment_bytes=1000)
    total = sum(segment.stat().st_size for segment in segments(tmp_path))
    with CaptureReader(tmp_path) as reader:
        assert reader.backlog_bytes == total
        backlogs = [reader.backlog_bytes for _ in reader.read_available()]
        assert backlogs == sorted(backlogs, reverse=True)
        assert reader.backlog_bytes == 0


def test_what_is_no_capture_is_said_to_be_none(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a capture at all\n" * 100)
    assert not is_capture(text)
    assert not is_capture(tmp_path)
    with pytest.raises(CaptureError, match="not one record"):
        check_capture(text)
    with pytest.raises(CaptureError, match="no capture here"):
        check_capture(tmp_path / "missing")
    with pytest.raises(CaptureError, match="is gone"):
        CaptureReader(tmp_path, CapturePosition(segment="20200101T000000.000000Z-000.cborseq", offset=0))


def test_check_counts_what_there_is(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    summary = check_capture(tmp_path)
    assert (summary.records, summary.channels, summary.defects) == (6, {"simplon": 6}, 0)
    assert (summary.first_s, summary.last_s) == (0.0, 5.0)
    assert is_capture(tmp_path)
    assert is_capture(segments(tmp_path)[0])
    assert check_capture(segments(tmp_path)[0]) == summary


def test_recording_leaves_room_for_the_end_of_results(tmp_path: Path) -> None:
    with CaptureWriter(tmp_path, reserve_bytes=1 << 60) as writer:
        with pytest.raises(CaptureError, match=r"MB are free.*goes on by itself"):
            writer.append(WIRE, [b"x"], 1.0)
        assert writer.status()["lacks_room"]
        assert writer.status()["failures"] == 1
    assert list(CaptureReader(tmp_path, follow=False)) == []
