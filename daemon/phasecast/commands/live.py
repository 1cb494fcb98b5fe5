"""The daemon and the page that shows what it writes."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.commands.options import DataDir, Device, LiveCatalog, ProfileName, RawRoots
from phasecast.commands.terminal import say


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
    document_root: Annotated[
        list[str] | None,
        typer.Option(
            "--document-root",
            help="Folder in which files that bluesky documents name may be read; FOLDER-IN-DOCUMENTS=FOLDER-HERE "
            "where it is called otherwise. Several may be given.",
            show_default=False,
        ),
    ] = None,
    publish: Annotated[
        str,
        typer.Option(
            "--publish",
            help="Publish results as bluesky documents: tcp://127.0.0.1:5580, or a proxy's in port with ?connect=1; "
            "also ?prefix=, own_keys=, server_key=, client_keys= (CURVE).",
        ),
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="End after the first scan is finished.")] = False,
    no_reports: Annotated[
        bool, typer.Option("--no-reports", help="Make no pictures, summaries and reports when scans end.")
    ] = False,
    catalog: LiveCatalog = "embedded",
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
            document_roots=tuple(document_root or ()),
            publish=publish,
            once=once,
            reports=not no_reports,
            catalog=catalog,
        )
    )
    raise typer.Exit(code)


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
    raise typer.Exit(run_page(options, say=say))
