"""How fast the machine is: side by side with peers, and as a whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from phasecast.commands.options import AsJson
from phasecast.commands.terminal import print_json


def bench_integrate(as_json: AsJson = False) -> None:
    """Time one frame: ours, warm pyFAI, and azint if it is installed, in one run.

    Example: phasecast bench integrate --json
    """
    from phasecast.xrd.benchmark import bench_integrate as measure
    from phasecast.xrd.benchmark import format_report

    report = measure()
    _show(report, format_report, as_json)


def bench_live(
    rate: Annotated[float, typer.Option(help="Frames per second; 0 is as fast as the simulated beamline can.")] = 100.0,
    points: Annotated[int, typer.Option(min=1, help="Points of the scan; 20,000 show if memory is flat.")] = 3000,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Keep the data here, 50 kB a point; default: thrown away.")
    ] = None,
    swap: Annotated[
        bool, typer.Option("--swap", help="Another model comes into use halfway; what that costs the frames.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a simulated scan through the live service: rate, latency, memory, and is every frame accounted for.

    Exit status 0 only if every frame is accounted for and every point is done, with --swap by the new model.

    Example: phasecast bench live --rate 100 --points 3000
    """
    from phasecast.services.bench_live import BenchLiveOptions, format_report
    from phasecast.services.bench_live import bench_live as measure
    from phasecast.services.bench_scan import is_complete

    report = measure(BenchLiveOptions(rate_hz=rate, points=points, data_dir=data_dir, swap=swap))
    _show(report, format_report, as_json)
    if not is_complete(report):
        raise typer.Exit(1)


def bench_page(
    rate: Annotated[float, typer.Option(help="Frames per second of the two live scans.")] = 100.0,
    points: Annotated[int, typer.Option(min=1, help="Points of each of them.")] = 3000,
    opened_sessions: Annotated[int, typer.Option(min=2, help="Sessions opened and closed, for memory.")] = 50,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Keep the data here, about 1.5 GB; default: thrown away.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at running and large scans with a real browser: how late, how fast, and what it costs the daemon.

    Exit status 0 only if nothing was lost: every frame accounted for, every commit shown, no error in the page.

    Example: phasecast bench page --json
    """
    from phasecast.services.bench_page import BenchPageOptions, is_complete
    from phasecast.services.bench_page import bench_page as measure
    from phasecast.services.bench_page_report import format_report

    report = measure(BenchPageOptions(rate_hz=rate, points=points, opened_sessions=opened_sessions, data_dir=data_dir))
    _show(report, format_report, as_json)
    if not is_complete(report):
        raise typer.Exit(1)


def bench_classify(
    model: Annotated[str, typer.Option("--model", help="Bundle: a shipped one or a folder.")] = "bl16xu-rust",
    as_json: AsJson = False,
) -> None:
    """Time the model: one pattern, blocks of patterns, and 114,198 of them in one call.

    Example: phasecast bench classify --json
    """
    from phasecast.xrd.benchmark_classify import bench_classify as measure
    from phasecast.xrd.benchmark_classify import format_report

    report = measure(model=model)
    _show(report, format_report, as_json)


def bench_rescore(
    points: Annotated[int, typer.Option(min=1, help="Points of the map.")] = 114_198,
    threads: Annotated[int, typer.Option(min=1, help="Threads that ask the model.")] = 2,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Keep the map here, 10 kB a point; default: thrown away.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time how long another model is asked about every point of a map that an earlier one judged.

    Exit status 0 only if every point is the new model's in the end.

    Example: phasecast bench rescore
    """
    from phasecast.services.bench_rescore import BenchRescoreOptions, format_report
    from phasecast.services.bench_rescore import bench_rescore as measure

    report = measure(BenchRescoreOptions(points=points, threads=threads, data_dir=data_dir))
    _show(report, format_report, as_json)
    if report["points_by_new_model"] != report["points"]:
        raise typer.Exit(1)


def bench_decode(as_json: AsJson = False) -> None:
    """Time the decoding of one PILATUS 100k frame over SIMPLON V1 and V2, beside the bare decompression.

    Example: phasecast bench decode
    """
    from phasecast.sources.simplon_benchmark import bench_decode as measure
    from phasecast.sources.simplon_benchmark import format_report

    report = measure()
    _show(report, format_report, as_json)


def bench_files(
    frames: Annotated[int, typer.Option(min=1, help="CBF files that lie in the folder.")] = 3000,
    listed: Annotated[
        bool, typer.Option("--listed/--no-listed", help="Also the cost of a file in folders of 10k, 50k, 100k files.")
    ] = True,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Keep the data here, 150 kB a frame; default: thrown away.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let the daemon work off a folder of CBF files on two cores: frames/s, and is every frame accounted for.

    Exit status 0 only if every frame has a result.

    Example: phasecast bench files --frames 3000
    """
    from phasecast.services.bench_files import BenchFilesOptions, format_report, is_complete
    from phasecast.services.bench_files import bench_files as measure

    options = BenchFilesOptions(frames=frames, data_dir=data_dir)
    if not listed:
        options = BenchFilesOptions(frames=frames, data_dir=data_dir, listed=())
    report = measure(options)
    _show(report, format_report, as_json)
    if not is_complete(report):
        raise typer.Exit(1)


def bench_replay(
    capture: Annotated[
        Path, typer.Argument(help="Captures folder, segment or data directory of a streamed scan.", show_default=False)
    ],
    profile: Annotated[str, typer.Option("--profile", help="Profile of its instrument.")] = "bl16xu",
    as_json: AsJson = False,
) -> None:
    """Time what recording costs the live loop, and how fast a capture is replayed.

    Example: phasecast bench replay beamtime
    """
    from phasecast.services.bench_replay import BenchReplayOptions, format_report
    from phasecast.services.bench_replay import bench_replay as measure

    report = measure(BenchReplayOptions(capture=capture, profile=profile))
    _show(report, format_report, as_json)


def _show(report: dict[str, Any], format_report: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        typer.echo(format_report(report))
