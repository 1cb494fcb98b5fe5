"""What recording costs the live loop, and how fast a capture is replayed, on messages that were recorded once."""

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.record import RawRecord
from phasecast.pipeline.runner import RecordReader
from phasecast.profiles import Profile, load_profile
from phasecast.services.placing import source_options
from phasecast.services.replay import ReplayOptions, replay
from phasecast.services.xrd_loop import LoopOptions, build_loop
from phasecast.services.xrd_stage import build_stage
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.xrd.device import use_one_thread
from phasecast.xrd.stages import XrdStage

_LIVE_TURN_RECORDS = 32
"""Frames and documents of a turn of 20 ms at 800 frames/s, which is what one core can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReplayOptions:
    """What `phasecast bench replay` can be told.

    Parameters
    ----------
    capture
        Captures folder, segment or data directory with frames of a stream.
    profile
        Its instrument.
    records
        Records of it that the cost of recording is measured with, in memory at once.
    rounds
        How often each way is taken, in turns.
    """

    capture: Path
    profile: str = "bl16xu"
    records: int = 2000
    rounds: int = 3


class _Messages:
    """Records out of memory, as if nothing had been recorded."""

    def __init__(self, records: list[RawRecord]) -> None:
        self._records = iter(records)

    def read_available(self) -> Iterator[RawRecord]:
        yield from self._records


class _Recorded:
    """The same messages, appended to a capture and read back from there, as many at a time as a live turn finds."""

    def __init__(self, records: list[RawRecord], writer: CaptureWriter, reader: CaptureReader) -> None:
        self._records, self._writer, self._reader = iter(records), writer, reader

    def read_available(self) -> Iterator[RawRecord]:
        while turn := list(itertools.islice(self._records, _LIVE_TURN_RECORDS)):
            for record in turn:
                self._writer.append(record.channel, record.parts, record.received_s)
            yield from self._reader.read_available()


def bench_replay(options: BenchReplayOptions) -> dict[str, Any]:
    """Work off the same messages with and without recording them, and replay the whole capture.

    Recording is timed as processor time of this process, so that a machine that others use disturbs it little; the
    writing back of the disk is the kernel's and is not in it.

    Raises
    ------
    PhasecastError
        If there is no capture, or profile and model cannot be used.
    """
    load = os.getloadavg()[0]
    profile = load_profile(options.profile)
    inner = DataDirectory(options.capture).captures
    folder = inner if inner.is_dir() else options.capture
    with CaptureReader(folder, follow=False) as reader:
        records = list(itertools.islice(reader, options.records))
    use_one_thread()
    stage = build_stage(profile, device="cpu")
    stage.warm_up()
    ways: dict[str, list[float]] = {"bare": [], "recorded": []}
    frames = 0
    for way in ("bare", "recorded") * options.rounds:
        seconds, frames = _work_off(records, profile, stage, recorded=way == "recorded")
        ways[way].append(seconds)
    bare, recorded = min(ways["bare"]), min(ways["recorded"])
    with tempfile.TemporaryDirectory(prefix="phasecast-bench-") as root:
        replays = {str(threads): _replay(options, Path(root) / str(threads), threads=threads) for threads in (1, 2)}
    return {
        "frames": frames,
        "bare_cpu_ms_a_frame": 1e3 * bare / frames if frames else None,
        "recorded_cpu_ms_a_frame": 1e3 * recorded / frames if frames else None,
        "throughput_kept": bare / recorded,
        "replay": replays,
        "cpus": os.cpu_count(),
        "load_before": load,
    }


def _work_off(records: list[RawRecord], profile: Profile, stage: XrdStage, *, recorded: bool) -> tuple[float, int]:
    with tempfile.TemporaryDirectory(prefix="phasecast-bench-") as root:
        directory = DataDirectory(Path(root)).create()
        loop = build_loop(
            LoopOptions(
                profile=profile,
                declared=None,
                wires=replace(source_options(profile), read_budget=None),
                sources=("bench",),
                declares_on_page=True,
            ),
            directory=directory,
            stage=stage,
            on_finished=lambda _: None,
        )
        with CaptureWriter(directory.captures) as writer, CaptureReader(directory.captures, writer.end) as reader:
            source: RecordReader = _Recorded(records, writer, reader) if recorded else _Messages(records)
            runner = loop.runner(source, stage=stage, clock=time.time)
            began_s = time.process_time()
            while runner.step().records:
                pass
            seconds = time.process_time() - began_s
        loop.runs.close()
        return seconds, runner.counters["frames"]


def _replay(options: BenchReplayOptions, target: Path, *, threads: int) -> dict[str, float]:
    began_s = time.process_time()
    report = replay(
        options.capture,
        ReplayOptions(data_dir=target, profile=options.profile, device="cpu", reports=False, threads=threads),
    )
    return {
        "frames": report.frames,
        "frames_per_s": report.frames_per_s,
        "cpu_ms_a_frame": 1e3 * report.cpu_seconds / report.frames if report.frames else float("nan"),
        "whole_cpu_s": time.process_time() - began_s,
    }


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    lines = [
        f"machine load before {report['load_before']:.1f} on {report['cpus']} cores",
        f"live loop: {report['bare_cpu_ms_a_frame']:.3f} ms of processor a frame, "
        f"{report['recorded_cpu_ms_a_frame']:.3f} ms when each message is recorded and read back: "
        f"recording costs {1 - report['throughput_kept']:.1%} of the throughput",
    ]
    lines += [
        f"replay of {found['frames']} frames on {threads} thread{'s' if threads != '1' else ''}: "
        f"{found['frames_per_s']:.0f} frames/s, {found['cpu_ms_a_frame']:.3f} ms of processor a frame"
        for threads, found in report["replay"].items()
    ]
    return "\n".join(lines)
