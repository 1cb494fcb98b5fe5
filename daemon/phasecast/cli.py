"""One door: `phasecast ...`. Heavy imports happen inside the chosen command."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from phasecast import __version__
from phasecast.core.errors import PhasecastError
from phasecast.core.words import Language

app = typer.Typer(
    name="phasecast",
    help="Live phase maps from a diffraction beamline: frames in, calibrated phase confidences out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
live_app = typer.Typer(help="The daemon: live streams in, result files out.", no_args_is_help=True)
simulate_app = typer.Typer(help="Instruments that do not exist but speak the real protocols.", no_args_is_help=True)
bench_app = typer.Typer(help="This machine, side by side with the peers that are installed.", no_args_is_help=True)
app.add_typer(live_app, name="live")
app.add_typer(simulate_app, name="simulate")
app.add_typer(bench_app, name="bench")

DataDir = Annotated[Path, typer.Option("--data-dir", help="Data directory of the beamtime.")]
ProfileName = Annotated[str, typer.Option("--profile", help="Name of a shipped profile, or a TOML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
RawRoots = Annotated[
    list[Path] | None,
    typer.Option("--raw-root", help="Folder below which raw frames lie now; several may be given.", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


MapName = Annotated[str, typer.Option("--name", help="Name of the map; makes one map of scans that name others.")]
MapOffset = Annotated[
    list[str] | None,
    typer.Option("--offset", help="FILE=X,Y: um to add to the positions of a result. Nothing is added unasked."),
]


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=1, default=str))


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # silx says at every start that it has no OpenCL, which nobody asked for
    logging.getLogger("silx.opencl.common").setLevel(logging.ERROR)
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def profiles(as_json: AsJson = False) -> None:
    """List the instrument profiles that ship, one line each.

    Example: phasecast profiles
    """
    from phasecast.profiles import list_profiles, load_profile

    titles = {name: load_profile(name).title for name in list_profiles()}
    if as_json:
        _print_json(titles)
        return
    for name, title in titles.items():
        typer.echo(f"{name:<14} {title}")


@app.command()
def integrate(
    frames: Annotated[list[Path], typer.Argument(help="Frames in any format that fabio reads.", show_default=False)],
    profile: ProfileName,
    output: Annotated[
        Path | None, typer.Option("-o", help="Folder for the .xy files; default: beside each frame.")
    ] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry; wins over the profile's.")] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Integrate frames into .xy files: 2theta in deg, intensity, sigma.

    Example: phasecast integrate rust_*.cbf --profile bl16xu -o patterns/
    """
    from phasecast.services.offline import integrate_files

    report = integrate_files(frames, profile=profile, output=output, poni=poni, device=device)
    for entry in report:
        _say(entry.line)
    if as_json:
        _print_json([entry.as_dict() for entry in report])
    if any(entry.error for entry in report):
        raise typer.Exit(1)


@app.command()
def calibrate(
    frames: Annotated[list[Path], typer.Argument(help="Frames of one detector position.", show_default=False)],
    profile: ProfileName,
    standard: Annotated[str, typer.Option("--standard", help="LaB6, CeO2 or Si.")],
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry to start from; default: the profile's.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The .poni file; default: a dated one beside the profile.")
    ] = None,
    sample_offset_mm: Annotated[
        float, typer.Option(help="Sample less standard along the beam, positive downstream, in mm.")
    ] = 0.0,
    ignore_headers: Annotated[
        bool, typer.Option("--ignore-headers", help="Go on where a frame's header contradicts the profile.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the detector's geometry from frames of a standard; writes a .poni file and a picture.

    Example: phasecast calibrate lab6.cbf --profile my_beamline.toml --standard LaB6
    """
    # before numpy and pyFAI are loaded: all heed the number, and loops that ask for a thread a core heed the limit
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    from phasecast.services.calibrate import calibrate_files

    report = calibrate_files(
        frames,
        profile=profile,
        standard=standard,
        poni=poni,
        output=output,
        sample_offset_mm=sample_offset_mm,
        ignore_headers=ignore_headers,
    )
    for line in report.summary:
        _say(line)
    if as_json:
        _print_json(report.as_dict())
    else:
        typer.echo(report.table)


@app.command()
def classify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Frames, patterns as .xy or .csv, or results (.nxs) for the raw frames of their points.",
            show_default=False,
        ),
    ],
    profile: ProfileName = "bl16xu",
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    wavelength_angstrom: Annotated[
        float | None,
        typer.Option(help="Wavelength at which the patterns' 2theta was measured; default: the profile's."),
    ] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry of the frames.")] = None,
    raw_root: RawRoots = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Name the phases in frames or patterns, with calibrated confidences.

    Example: phasecast classify pattern.xy --wavelength-angstrom 1.5406
    """
    from phasecast.services.offline import classify_files

    if raw_root or any(path.suffix == ".nxs" for path in files):
        from phasecast.services.raw_frames import frames_named_by

        files = frames_named_by(files, raw_root or ())
    report = classify_files(
        files, profile=profile, model=model, wavelength_angstrom=wavelength_angstrom, poni=poni, device=device
    )
    if as_json:
        _print_json([entry.as_dict() for entry in report])
    else:
        for entry in report:
            typer.echo(entry.line)
    if any(entry.error for entry in report):
        raise typer.Exit(1)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Profiles, results, captures or bundles.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Say of each file whether it is valid, or the exact reason why not.

    Example: phasecast check my_beamline.toml results/*.nxs
    """
    from phasecast.services.check import check_file

    verdicts = [check_file(path) for path in files]
    if as_json:
        _print_json([verdict.as_dict() for verdict in verdicts])
    else:
        for verdict in verdicts:
            typer.echo(verdict.line)
    if not all(verdict.valid for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def preflight(
    profile: ProfileName,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Source URI; several may be given. Default: the profile's.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where the scan will be kept: its disk is looked at.")
    ] = None,
    points: Annotated[int | None, typer.Option(min=1, help="Points of the planned scan.")] = None,
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry; wins over the profile's.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    frame: Annotated[Path | None, typer.Option("--frame", help="A frame to try, instead of the next one.")] = None,
    log: Annotated[list[Path] | None, typer.Option("--log", help="Log of positions that must be growing.")] = None,
    scan: Annotated[Path | None, typer.Option("--scan", help="Declaration of the planned scan (scan.toml).")] = None,
    listen_s: Annotated[float, typer.Option(min=0, max=90, help="How long to listen to the sources.")] = 20.0,
    max_geometry_age_h: Annotated[float, typer.Option(min=0, help="Oldest calibration that is believed.")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Look at everything a scan needs before it starts: green or red, and what to do.

    Take a test exposure and count one point while it listens. Exit status 0 only if nothing is red.

    Example: phasecast preflight --profile bl16xu --data-dir beamtime --points 24000
    """
    from rich.console import Console

    from phasecast.services.preflight import PreflightOptions, is_ready, run_preflight, show_table

    found = run_preflight(
        PreflightOptions(
            profile=profile,
            sources=tuple(source or ()),
            data_dir=data_dir,
            points=points,
            poni=poni,
            model=model,
            frame=frame,
            logs=tuple(log or ()),
            scan=scan,
            listen_s=listen_s,
            max_geometry_age_h=max_geometry_age_h,
        )
    )
    if as_json:
        _print_json([check.as_dict() for check in found])
    else:
        show_table(found, Console())
    if not is_ready(found):
        raise typer.Exit(1)


@app.command()
def archive(
    source: Annotated[Path, typer.Argument(help="A closed result (.nxs), or a data directory.", show_default=False)],
    target: Annotated[
        Path | None, typer.Argument(help="Folder that becomes a data directory of closed scans.", show_default=False)
    ] = None,
    captures: Annotated[
        bool, typer.Option("--captures", help="Also the raw record; frames of a stream lie nowhere else.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only read an archive and check its checksums.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy closed scans with pictures, reports, labels and notes; every copy is read back and has a checksum.

    Scans that still grow are named and left out. The same command goes on where it was interrupted.

    Example: phasecast archive beamtime /mnt/server/2026A1234
    """
    from phasecast.services.archive import archive as copy_closed
    from phasecast.services.archive import verify as read_again

    if verify:
        wrong = read_again(source)
        if as_json:
            _print_json(wrong)
        for name, reason in wrong.items():
            _say(f"FAILED {name}: {reason}")
        _say(f"{source}: {len(wrong) or 'no'} file{'s are' if len(wrong) != 1 else ' is'} missing or changed")
        raise typer.Exit(1 if wrong else 0)
    if target is None:
        raise PhasecastError("no folder to copy to", where=str(source), remedy="name it: phasecast archive FROM TO")
    report = copy_closed(source, target, captures=captures, say=_say)
    if as_json:
        _print_json(report.as_dict())
    _say(
        f"{report.target}: {len(report.copied)} files copied ({report.bytes / 1e6:.1f} MB), {len(report.kept)} were "
        f"there, {len(report.skipped)} scans skipped, {len(report.failed)} failed"
    )
    if report.failed:
        raise typer.Exit(1)


@app.command()
def report(
    results: Annotated[
        list[Path], typer.Argument(help="Result file (.nxs); several are reported as one map.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("-o", help="HTML file; default: in the data directory's reports.")
    ] = None,
    name: MapName = "",
    offset: MapOffset = None,
    language: Annotated[str, typer.Option("--language", help="en or ja.")] = "en",
    figures: Annotated[
        bool,
        typer.Option(
            "--figures",
            help="Also figure files (SVG, PDF, 600 dpi TIFF at 85 and 170 mm), beside the maps and patterns.",
        ),
    ] = False,
    raw_root: RawRoots = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a scan, or of several as one map: one HTML file that opens anywhere, and the same as JSON.

    Example: phasecast report results/scan.nxs --language ja --figures
    """
    from phasecast.services.maps import write_map_report

    paths = write_map_report(
        results, output, name=name, offsets=offset or (), language=_language(language), figures=figures
    )
    made = {"html": paths.html, "json": paths.json, "folder": paths.folder}
    frames = None
    if raw_root:
        from phasecast.services.raw_frames import check_raw_frames

        frames = check_raw_frames(results[0], raw_root)
    if as_json:
        _print_json(made | ({"raw_frames": frames.as_dict()} if frames is not None else {}))
        return
    for name, path in made.items():
        if path is not None:
            _say(f"{name}: {path}")
    if frames is not None:
        _say(frames.line)


@app.command("map")
def map_command(
    results: Annotated[list[Path], typer.Argument(help="Result files (.nxs) of one map.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", help="PNG file; a CSV of all points lies beside it. Default: only print.")
    ] = None,
    name: MapName = "",
    offset: MapOffset = None,
    language: Annotated[str, typer.Option("--language", help="en or ja.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Show several scans as one map: what counts, where it was interrupted, and by how much it seems displaced.

    Exit status 0 only if every place has a result.

    Example: phasecast map results/*.nxs -o map.png
    """
    from phasecast.services.maps import draw_map_of

    summary = draw_map_of(results, output, name=name, offsets=offset or (), language=_language(language))
    if as_json:
        fact = summary.fact.model_dump(mode="json") if summary.fact is not None else None
        _print_json(
            {"name": summary.name, "ledger": summary.ledger, "complete": summary.complete, "map": fact,
             "files": summary.files}
        )  # fmt: skip
    else:
        for line in summary.lines:
            typer.echo(line)
    if not summary.complete:
        raise typer.Exit(1)


@app.command("repair-list")
def repair_list_command(
    results: Annotated[list[Path], typer.Argument(help="Result files (.nxs) of one map.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("-o", help="Name of the files without ending; default: in the data directory's reports."),
    ] = None,
    name: MapName = "",
    offset: MapOffset = None,
    as_json: AsJson = False,
) -> None:
    """List missing and doubtful points in the motors' units: a table (.csv), data (.json), a bluesky plan (.py).

    Example: phasecast repair-list results/scan.nxs
    """
    from phasecast.services.maps import write_repair_list

    found, files = write_repair_list(results, output, name=name, offsets=offset or ())
    if as_json:
        _print_json({**json.loads(found.as_json()), "without_place": found.without_place, "files": files})
        return
    typer.echo(f"{len(found.points)} points to measure again; {found.without_place} more without a known place")
    for path in files:
        typer.echo(str(path))


@live_app.command("xrd")
def live_xrd(
    profile: ProfileName,
    data_dir: DataDir,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Source URI; give several for several wires. Default: the profile's."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Bundle; default: the profile's.")] = None,
    device: Device = "auto",
    poni: Annotated[Path | None, typer.Option("--poni", help="Geometry; wins over the profile's.")] = None,
    scan: Annotated[
        Path | None, typer.Option("--scan", help="Declaration of scans that no document announces (scan.toml).")
    ] = None,
    expected_points: Annotated[
        int | None, typer.Option(help="Points of a scan that has no documents; closes it when they are there.")
    ] = None,
    close_after_idle_s: Annotated[
        float, typer.Option(help="Declare a scan over that has been silent for this long.")
    ] = 900.0,
    copy_frames: Annotated[
        bool, typer.Option("--copy-frames", help="Copy frame files into the capture; else path, size and SHA-256.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="End after the first scan is finished.")] = False,
) -> None:
    """Turn live frames and positions into a growing result file.

    Example: phasecast live xrd --profile bl16xu --data-dir beamtime
    --source simplon://detector:9999 --source "bluesky://beamline:5578?prefix=bl16xu"
    """
    from phasecast.services.live_xrd import LiveOptions, run_live_xrd

    code = run_live_xrd(
        LiveOptions(
            profile=profile,
            data_dir=data_dir,
            sources=tuple(source or ()),
            model=model,
            device=device,
            poni=poni,
            scan=scan,
            expected_points=expected_points,
            close_after_idle_s=close_after_idle_s,
            copy_frames=copy_frames,
            once=once,
        )
    )
    raise typer.Exit(code)


@app.command("attach-positions")
def attach_positions_command(
    result: Annotated[Path, typer.Argument(help="Closed result file (.nxs); it is only read.", show_default=False)],
    log: Annotated[Path, typer.Argument(help="Log of positions.", show_default=False)],
    scan: Annotated[Path, typer.Option("--scan", help="Declaration of the scan with [log].", show_default=False)],
    output: Annotated[Path | None, typer.Option("-o", help="The new result; default: beside the old one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give positions to the points of a finished scan: a new result beside the old one, from a log.

    Exit status 0 only if nothing speaks against the positions.

    Example: phasecast attach-positions results/scan.nxs positions.txt --scan scan.toml
    """
    from phasecast.services.attach_positions import attach_positions
    from phasecast.services.end_of_scan import finish_scan

    attached = attach_positions(result, log, scan=scan, output=output)
    finish_scan(attached.path)
    for line in attached.remarks:
        _say(line)
    if as_json:
        _print_json(attached.as_dict())
    else:
        _say("ledger: " + ", ".join(f"{count} {state}" for state, count in attached.ledger.items() if count))
        _say(f"result: {attached.path}")
    if attached.doubt:
        _say(f"positions are doubtful: {attached.doubt}")
        raise typer.Exit(1)


@app.command()
def demo(
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where the demo keeps its data.")] = Path("demo-data"),
    shape: Annotated[str, typer.Option(help="Rows x columns of the map.")] = "40x60",
    rate: Annotated[float, typer.Option(help="Points per second.")] = 50.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated sample.")] = 0,
    files: Annotated[
        bool,
        typer.Option("--files", help="Frames as CBF files and a growing log of positions; no stream, no documents."),
    ] = False,
    log_later: Annotated[
        bool, typer.Option("--log-later", help="With --files: without the log, which is attached after the scan.")
    ] = False,
    interrupted: Annotated[
        bool, typer.Option("--interrupted", help="A map whose beam is dumped in mid-row, and its continuation.")
    ] = False,
    tiles: Annotated[bool, typer.Option("--tiles", help="A map of two scans side by side.")] = False,
    device: Device = "auto",
    port: Annotated[int, typer.Option(help="Port of the live page.")] = 8016,
    no_page: Annotated[bool, typer.Option("--no-page", help="Without the live page.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End when the report is written; else the page stays open.")] = (
        False
    ),
) -> None:
    """Run everything at once: a simulated BL16XU scan through the real wires, to a live phase map and a report.

    Exit status 0 only if every point is done.

    Example: phasecast demo --once
    """
    from rich.console import Console

    from phasecast.services.demo import DemoOptions, run_demo

    rows, columns = _shape(shape)
    options = DemoOptions(
        data_dir=data_dir,
        rows=rows,
        columns=columns,
        rate_hz=rate,
        seed=seed,
        files=files or log_later,
        log_later=log_later,
        device=device,
        port=port,
        page=not no_page,
        once=once,
    )
    if interrupted or tiles:
        from phasecast.services.demo_maps import run_map_demo

        raise typer.Exit(run_map_demo("interrupted" if interrupted else "tiles", options, Console(stderr=True)))
    raise typer.Exit(run_demo(options, Console(stderr=True)))


@app.command()
def page(
    data_dir: DataDir,
    host: Annotated[str, typer.Option(help="Address to offer it at; beyond this machine it needs a password.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port; 0: any.")] = 8016,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password that everybody must know.", show_default=False)
    ] = None,
    webhook: Annotated[str, typer.Option(help="Address that new alarms are posted to as JSON.")] = "",
    raw_root: RawRoots = None,
) -> None:
    """Serve the live page of a data directory.

    Example: phasecast page --data-dir beamtime
    """
    from phasecast.services.page import PageOptions, run_page

    options = PageOptions(
        data_dir=data_dir,
        host=host,
        port=port,
        password_file=password_file,
        webhook=webhook,
        raw_roots=tuple(raw_root or ()),
    )
    raise typer.Exit(run_page(options, say=_say))


@simulate_app.command("xrd")
def simulate_xrd(
    output: Annotated[str, typer.Option("-o", help="simplon://127.0.0.1:PORT (0: any) or a folder for CBF files.")],
    shape: Annotated[str, typer.Option(help="Rows x columns of the map.")] = "30x40",
    step_um: Annotated[float, typer.Option(help="Step of the map in um.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Seed of sample, frames and beam.")] = 0,
    rate: Annotated[float, typer.Option(help="Points per second within a row; 0 is as fast as it goes.")] = 20.0,
    exposure_s: Annotated[
        float | None, typer.Option("--exposure", help="Exposure in s; 0.3 of the point period if not given.")
    ] = None,
    exposure_counts: Annotated[float, typer.Option(help="Mean counts a frame.")] = 2e5,
    documents_port: Annotated[int, typer.Option(help="Port at which documents are offered; 0: any.")] = 5578,
    counter: Annotated[bool, typer.Option(help="Whether events carry the detector's image number.")] = True,
    position_log: Annotated[
        Path | None, typer.Option(help="Write a growing log of positions instead of publishing documents.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="File to write the true map to.")] = None,
    announce: Annotated[Path | None, typer.Option(help="File to write the addresses to.")] = None,
    start_when: Annotated[Path | None, typer.Option(help="Start when this path exists.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="Something that goes wrong, e.g. drop_triggers=7,9 or no_stop=true.")
    ] = None,
    stage: Annotated[
        str, typer.Option(help="What the motors stage_x and stage_y read of the sample's x and y, e.g. x=-y,y=x.")
    ] = "x=x,y=y",
    letter: Annotated[bool, typer.Option("--letter", help="The sample bears a letter F.")] = False,
    map_name: Annotated[str, typer.Option("--map", help="Name of the map, in the start document.")] = "",
    sample_shape: Annotated[str | None, typer.Option(help="Rows x columns of the sample; default: the map's.")] = None,
    sample_step_um: Annotated[float | None, typer.Option(help="Step of the sample's own grid in um.")] = None,
    scan_pass: Annotated[
        list[str] | None,
        typer.Option(
            "--pass",
            help="One scan of several, e.g. 'shape=12x32 origin=0,20 wait-s=600 flux=0.95 offset=3,0 abort=100'.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate BL16XU: bluesky documents over 0MQ, frames over ZMQ (SIMPLON V1) or as files.

    Example: phasecast simulate xrd -o simplon://127.0.0.1:9999 --shape 20x30 --truth truth.json
    """
    from dataclasses import asdict

    from phasecast.simulate.beamline import BeamlineOptions, run_beamline
    from phasecast.simulate.faults import parse_faults
    from phasecast.simulate.passes import MapPass, parse_pass
    from phasecast.simulate.stage import StageAxes

    whole = MapPass(shape=_shape(shape), step_um=step_um)
    summary = run_beamline(
        BeamlineOptions(
            output=output,
            shape=_shape(shape),
            step_um=step_um,
            seed=seed,
            rate_hz=rate or None,
            exposure_s=exposure_s,
            exposure_counts=exposure_counts,
            documents_in_port=5577 if documents_port else 0,
            documents_out_port=documents_port,
            counter=counter,
            position_log=position_log,
            truth=truth,
            announce=announce,
            start_when=start_when,
            faults=parse_faults(fault or []),
            stage=StageAxes.parse(stage),
            letter=letter,
            map_name=map_name,
            sample_shape=None if sample_shape is None else _shape(sample_shape),
            sample_step_um=sample_step_um,
            passes=tuple(parse_pass(text, default=whole) for text in scan_pass or ()),
        )
    )
    if as_json:
        _print_json(asdict(summary))
    else:
        _say(f"{summary.frames_sent} frames and {summary.documents} documents in {summary.seconds:.1f} s")


def _language(text: str) -> Language:
    from phasecast.core.words import LANGUAGES

    chosen = next((name for name in LANGUAGES if name == text), None)
    if chosen is None:
        raise PhasecastError(
            f"{text!r} is no language", where="--language", remedy=f"give one of {', '.join(LANGUAGES)}"
        )
    return chosen


def _shape(text: str) -> tuple[int, int]:
    rows, cross, columns = text.lower().partition("x")
    if not (cross and rows.isdigit() and columns.isdigit() and int(rows) and int(columns)):
        raise PhasecastError(f"{text!r} is no map shape", where="--shape", remedy="give rows x columns, such as 40x60")
    return int(rows), int(columns)


@bench_app.command("integrate")
def bench_integrate(as_json: AsJson = False) -> None:
    """Time one frame: ours, warm pyFAI, and azint if it is installed, in one run.

    Example: phasecast bench integrate --json
    """
    from phasecast.xrd.benchmark import bench_integrate as measure
    from phasecast.xrd.benchmark import format_report

    report = measure()
    if as_json:
        _print_json(report)
    else:
        typer.echo(format_report(report))


@bench_app.command("live")
def bench_live(
    rate: Annotated[float, typer.Option(help="Frames per second; 0 is as fast as the simulated beamline can.")] = 100.0,
    points: Annotated[int, typer.Option(min=1, help="Points of the scan; 20,000 show if memory is flat.")] = 3000,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Keep the data here, 50 kB a point; default: thrown away.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a simulated scan through the live service: rate, latency, memory, and is every frame accounted for.

    Exit status 0 only if every frame is accounted for and every point is done.

    Example: phasecast bench live --rate 100 --points 3000
    """
    from phasecast.services.bench_live import BenchLiveOptions, format_report
    from phasecast.services.bench_live import bench_live as measure
    from phasecast.services.bench_scan import is_complete

    report = measure(BenchLiveOptions(rate_hz=rate, points=points, data_dir=data_dir))
    if as_json:
        _print_json(report)
    else:
        typer.echo(format_report(report))
    if not is_complete(report):
        raise typer.Exit(1)


@bench_app.command("page")
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
    if as_json:
        _print_json(report)
    else:
        typer.echo(format_report(report))
    if not is_complete(report):
        raise typer.Exit(1)


@bench_app.command("classify")
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
    if as_json:
        _print_json(report)
    else:
        typer.echo(format_report(report))


def main() -> None:
    """Run the command line; errors that a user can act on are one line, not a traceback."""
    try:
        app()
    except PhasecastError as error:
        _say(f"phasecast: {error}")
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        logging.getLogger(__name__).info("where it happened:", exc_info=True)
        _say(f"phasecast: {error.filename}: {error.strerror}")
        sys.exit(1)


if __name__ == "__main__":
    main()
