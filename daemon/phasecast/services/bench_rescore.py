"""Measures how long another model takes over a whole map: patterns read from the growing file, asked, written back."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.protocols import Reduced
from phasecast.core.record import CapturePosition
from phasecast.core.scan import PointMeasured, ScanAxis, ScanStart, ScanUid
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.open_scan import OpenScan
from phasecast.pipeline.tickets import FrameTicket
from phasecast.profiles import Profile, load_profile
from phasecast.results import open_result
from phasecast.services.bench_scan import bench_folder, raster_shape
from phasecast.services.derived_runs import DerivedRuns
from phasecast.services.placing import fold_rules, stage_fields
from phasecast.services.rescoring import Rescorer
from phasecast.services.xrd_stage import build_stage
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.device import use_one_thread
from phasecast.xrd.stages import XrdStage

POINTS = 114_198
"""As many as the maps of 15 sections of corroded steel had that the classes come from."""
LONGEST_S = 10.0
"""For `POINTS` on two cores."""
_TURN_S = 0.02
_DISTINCT = 512
_COUNTS_A_PIXEL = 1.0
_AT_ONCE = 512
_TWIN_VERSION = "bench"
_HERE = CapturePosition(segment="bench", offset=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRescoreOptions:
    """What `phasecast bench rescore` can be told.

    Parameters
    ----------
    points
        Points of the map, rounded up to whole rows of at most 1000.
    threads
        Threads that ask the model, beside the loop.
    data_dir
        Where to keep the map; None for a temporary folder.
    """

    points: int = POINTS
    threads: int = 2
    data_dir: Path | None = None


def bench_rescore(options: BenchRescoreOptions) -> dict[str, Any]:
    """Fill a map with 512 measurements over and over, swap the model, and time until every point is its own.

    Frames are flat but for their noise: what is in a pattern costs nothing. The loop's part is done as the daemon does
    it, a turn every 20 ms, without frames. The new model is the old one
    under another name, so it costs what the old one cost.
    """
    use_one_thread()
    load = os.getloadavg()[0]
    profile = load_profile("bl16xu")
    stage = build_stage(profile, device="cpu")
    with ExitStack() as stack:
        folder = bench_folder(stack, options.data_dir, "bench-rescore")
        folder.mkdir(parents=True, exist_ok=True)
        runs = DerivedRuns(folder=folder, profile=profile, stage=stage, on_finished=lambda path: None)
        stack.callback(runs.close)
        scan = _measured(runs, profile, stage, raster_shape(options.points))
        points, uid = scan.fold.measured_points, scan.fold.start.uid
        path = runs.path_of(uid)
        assert path is not None
        _put_twin_to_use(stage, profile)
        rescorer = stack.enter_context(
            Rescorer(stage=stage, open_scans=lambda: {uid: scan}, read_rows=runs.read_rows, threads=options.threads)
        )
        figures = _follow(rescorer, scan)
        runs.close()
        with open_result(path) as result:
            by_new = sum(count for stamp, count in result.model_shares if stamp.version == _TWIN_VERSION)
    return {
        "points": points,
        "points_by_new_model": by_new,
        "threads": options.threads,
        **figures,
        "limits": {"seconds": LONGEST_S, "points": POINTS},
        "cpus": os.cpu_count(),
        "load_before": load,
    }


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    limit_s, seconds = report["limits"]["seconds"], report["seconds"]
    verdict = ""
    if report["threads"] == 2 and report["points"] >= report["limits"]["points"]:
        verdict = f"  (limit {limit_s:g} s: {'kept' if seconds <= limit_s else 'MISSED'})"
    return "\n".join(
        [
            f"{report['points']:,} points asked anew, {report['threads']} threads beside the loop, {report['cpus']} "
            f"cores, machine load before {report['load_before']:.1f}",
            f"{seconds:.2f} s, {report['cpu_seconds']:.2f} s of processor time{verdict}",
            f"the loop's part: {report['loop_cpu_seconds']:.2f} s of processor time, longest turn "
            f"{report['longest_turn_ms']:.0f} ms",
            f"{report['points_by_new_model']:,} of {report['points']:,} points are the new model's",
        ]
    )


def _put_twin_to_use(stage: XrdStage, profile: Profile) -> None:
    assert stage.classifier is not None
    twin = replace(stage.classifier.bundle, version=_TWIN_VERSION, sha256="be" * 32)
    stage.swap(Classifier(twin, profile))


def _measured(runs: DerivedRuns, profile: Profile, stage: XrdStage, shape: tuple[int, int]) -> OpenScan:
    """Return an open scan whose points are all done, by the stage's model."""
    rows, columns = shape
    outcomes = _outcomes(stage)
    horizontal, vertical = stage_fields(profile)
    start = ScanStart(
        uid=ScanUid("bench"),
        scan_id=1,
        time_s=time.time(),
        plan_name="bench",
        axes=(ScanAxis(name="y", field=vertical), ScanAxis(name="x", field=horizontal)),
        shape=shape,
        snaking=(False, False),
        expected_points=rows * columns,
    )
    run = runs.open(start, _HERE)
    assert run is not None
    run.start()
    fold = ScanFold(start, fold_rules(profile))
    scan = OpenScan(fold=fold, run=run, newest_s=start.time_s, grace_s=10.0)
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        now_s = start.time_s + 0.01 * index
        place = {horizontal: float(column), vertical: float(row)}
        fold.add_point(PointMeasured(uid=start.uid, index=index, time_s=now_s, received_s=now_s, position=place))
        ticket = FrameTicket(
            frame_id=FrameId(f"1/{index}"),
            series="1",
            number=index,
            keys=(),
            received_s=now_s,
            hardware_s=now_s,
            reference=None,
        )
        fold.add_frame(ticket, outcomes[index % len(outcomes)])
        if (index + 1) % _AT_ONCE == 0 or index + 1 == rows * columns:
            scan.emit(_HERE)
    return scan


def _outcomes(stage: XrdStage) -> list[Reduced]:
    rng, shape = np.random.default_rng(1), stage.integrator.geometry.shape
    frames = [
        Frame(
            frame_id=FrameId(f"1/{index}"),
            series="1",
            number=index,
            image=rng.poisson(_COUNTS_A_PIXEL, shape).astype(np.int32),
            keys=(),
            received_s=0.0,
            reference=FrameReference(store="capture", path="bench", offset=index, number=index),
        )
        for index in range(_DISTINCT)
    ]
    return [outcome for outcome in stage.process(frames) if isinstance(outcome, Reduced)]


def _follow(rescorer: Rescorer, scan: OpenScan) -> dict[str, Any]:
    """Run the loop's turns until every point was asked and written."""
    began_s, began_cpu_s, loop_cpu_s, longest_s = time.perf_counter(), time.process_time(), 0.0, 0.0
    rescorer.look_now()
    while True:
        turn_s, turn_cpu_s = time.perf_counter(), time.thread_time()
        rescorer.step(busy=False)
        scan.emit(_HERE)
        loop_cpu_s += time.thread_time() - turn_cpu_s
        longest_s = max(longest_s, time.perf_counter() - turn_s)
        if not rescorer.is_busy or rescorer.refusal:
            break
        time.sleep(max(0.0, turn_s + _TURN_S - time.perf_counter()))
    return {
        "seconds": time.perf_counter() - began_s,
        "cpu_seconds": time.process_time() - began_cpu_s,
        "loop_cpu_seconds": loop_cpu_s,
        "longest_turn_ms": 1e3 * longest_s,
        "rescored": rescorer.rescored,
    }
