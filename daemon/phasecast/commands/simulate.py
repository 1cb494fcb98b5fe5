"""Instruments that do not exist."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import AsJson, map_shape, replay_speed
from phasecast.commands.terminal import print_json, say


def simulate_xrd(
    output: Annotated[
        str, typer.Option("-o", help="simplon://127.0.0.1:PORT (0: any), simplon2://... or a folder of CBF.")
    ] = "simplon://127.0.0.1:9999",
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
    end_when: Annotated[Path | None, typer.Option(help="Measure the last point when this path exists.")] = None,
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
    recorded: Annotated[
        Path | None,
        typer.Option("--from", help="Send a capture onto the sockets again, instead of a simulated scan."),
    ] = None,
    speed: Annotated[str, typer.Option(help="With --from: max, or recorded seconds a second; 1 is as it was.")] = "1",
    as_json: AsJson = False,
) -> None:
    """Simulate BL16XU: bluesky documents over 0MQ, frames over ZMQ (SIMPLON V1 or V2) or as files.

    Example: phasecast simulate xrd -o simplon://127.0.0.1:9999 --shape 20x30 --truth truth.json
    """
    from dataclasses import asdict

    if recorded is not None:
        from phasecast.simulate.recorded import RecordedOptions, send_recorded

        sent = send_recorded(
            RecordedOptions(
                capture=recorded,
                output=output,
                documents_port=documents_port,
                speed=replay_speed(speed),
                announce=announce,
                start_when=start_when,
            )
        )
        if as_json:
            print_json(asdict(sent))
        else:
            say(f"{sent.frames_sent} messages of frames and {sent.documents} documents in {sent.seconds:.1f} s")
        return

    from phasecast.simulate.beamline import BeamlineOptions, run_beamline
    from phasecast.simulate.faults import parse_faults
    from phasecast.simulate.passes import MapPass, parse_pass
    from phasecast.simulate.stage import StageAxes

    whole = MapPass(shape=map_shape(shape), step_um=step_um)
    summary = run_beamline(
        BeamlineOptions(
            output=output,
            shape=map_shape(shape),
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
            end_when=end_when,
            faults=parse_faults(fault or []),
            stage=StageAxes.parse(stage),
            letter=letter,
            map_name=map_name,
            sample_shape=None if sample_shape is None else map_shape(sample_shape),
            sample_step_um=sample_step_um,
            passes=tuple(parse_pass(text, default=whole) for text in scan_pass or ()),
        )
    )
    if as_json:
        print_json(asdict(summary))
    else:
        say(f"{summary.frames_sent} frames and {summary.documents} documents in {summary.seconds:.1f} s")
