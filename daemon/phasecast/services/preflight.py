"""Looks at everything a scan needs before it starts: a green or red line for each, in under two minutes."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.profiles import load_profile
from phasecast.records.status import read_status
from phasecast.services import preflight_checks as checks
from phasecast.services.declared import declare
from phasecast.services.live_status import SERVICE
from phasecast.services.placing import source_options
from phasecast.services.preflight_checks import Check, green, red
from phasecast.services.preflight_clocks import FRESH_AFTER_S, check_clocks, check_log, clock_offset_of_frame_s
from phasecast.services.preflight_instrument import (
    TrialFrame,
    build_instrument,
    check_frame,
    check_mask,
    fault,
)
from phasecast.services.preflight_place import check_place
from phasecast.services.preflight_wires import Heard, follow_capture, listen, newest_frame_file, read_frame
from phasecast.sources.frame_name import is_frame_name
from phasecast.sources.uri import SourceOptions

_STATUS_AGE_S = 5.0
_FILE_RECORD_BYTES = 400
_SIGNS = {"green": ("ok", "green"), "red": ("RED", "bold red"), "not checked": ("--", "dim")}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightOptions:
    """What `phasecast preflight` can be told; names as on the command line."""

    profile: str
    sources: tuple[str, ...] = ()
    data_dir: Path | None = None
    points: int | None = None
    poni: Path | None = None
    model: str | None = None
    frame: Path | None = None
    logs: tuple[Path, ...] = ()
    scan: Path | None = None
    listen_s: float = 20.0
    max_geometry_age_h: float = 24.0


def run_preflight(options: PreflightOptions) -> list[Check]:
    """Run all checks, in the order of the table; each red one says what to do.

    Nothing is written anywhere. Frames are listened to as the daemon would; where a daemon runs on the data directory
    its capture is followed instead, because a detector's stream gives each frame to one listener alone.

    Raises
    ------
    ProfileError
        If there is no such profile, or it breaks a rule.
    """
    profile = load_profile(options.profile)
    uris, points = options.sources or profile.sources, options.points
    declared = declare(profile, options.scan) if options.scan is not None else None
    if declared is not None:
        profile, uris, points = declared.profile, declared.sources(uris), points or declared.declaration.points
    wires = replace(source_options(profile), log=profile.position_log)
    if declared is not None:
        # a clock that is too coarse to join by is still good enough to be compared with ours
        wires = replace(declared.wires(wires), point_s=math.inf)
    instrument = build_instrument(
        profile, poni=options.poni, model=options.model, max_geometry_age_h=options.max_geometry_age_h
    )
    before = {path: _size(path) for path in (*options.logs, *_log_files(uris))}
    began_s = time.monotonic()
    heard = _listen(options, uris, wires, before)
    listened_s = time.monotonic() - began_s
    frame, frame_check = _test_frame(options, uris, heard, wires, listened_s)
    found = [_wire(entry) for entry in heard]
    if not heard:
        found = [red("sources", "none is named", "name one with --source, or sources in the profile")]
    found.append(frame_check if frame is None else check_frame(frame, instrument, profile, frame_check))
    found += check_mask(frame, instrument, profile)
    stated = frame.stated if frame is not None else None
    found += [checks.check_energy(profile, stated), checks.check_threshold(profile, stated)]
    measured = [point for entry in heard for point in entry.points]
    expects = any(entry.kind in ("bluesky", "kafka", "capture", "log") for entry in heard)
    late = any(entry.joined_late for entry in heard)
    found.append(checks.check_i0(profile, measured, expects_points=expects, joined_late=late, listened_s=listened_s))
    found += [_log(path, size, listened_s) for path, size in before.items()]
    found.append(check_clocks(_clock_offsets_s(heard)))
    found += instrument.found
    found += check_place(options.data_dir, points, instrument, frame)
    return found


def is_ready(found: Sequence[Check]) -> bool:
    """Whether nothing is red."""
    return all(check.state != "red" for check in found)


def show_table(found: Sequence[Check], console: Console) -> None:
    """Print the checks as a table of green and red lines."""
    table = Table(show_lines=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for check in found:
        sign, style = _SIGNS[check.state]
        table.add_row(Text(sign, style=style), Text(check.name), Text(check.what), Text(check.remedy))
    console.print(table)
    reds = sum(check.state == "red" for check in found)
    skipped = sum(check.state == "not checked" for check in found)
    console.print(f"{reds} red, {skipped} not checked, {len(found) - reds - skipped} green", highlight=False)


def _listen(
    options: PreflightOptions, uris: Sequence[str], wires: SourceOptions, before: dict[Path, int | None]
) -> list[Heard]:
    def enough(heard: Sequence[Heard]) -> bool:
        return all(map(_said_enough, heard)) and all(_size(path) not in (None, size) for path, size in before.items())

    daemon = _running_daemon(options.data_dir)
    if daemon is not None and options.data_dir is not None:
        captures = DataDirectory(options.data_dir).captures
        status = daemon.get("sources", {})
        return follow_capture(captures, wires, sources=status, listen_s=options.listen_s, enough=enough)
    return listen(uris, wires, listen_s=options.listen_s, enough=enough)


def _said_enough(entry: Heard) -> bool:
    if entry.state == "failed":
        return True
    match entry.kind:
        case "files":
            return entry.frame is not None and entry.frame.received_s >= entry.began_s + FRESH_AFTER_S
        case "simplon" | "simplon2":
            return entry.frame is not None
        case "bluesky" | "kafka":
            return bool(entry.points)
        case "log":
            return entry.records > 0
        case _:
            return entry.state == "stopped" or bool(entry.frame and entry.points)


def _running_daemon(data_dir: Path | None) -> dict[str, Any] | None:
    """Return the status of the daemon that works on a data directory; None if there is none."""
    if data_dir is None:
        return None
    status = read_status(DataDirectory(data_dir).status / f"{SERVICE}.json")
    if status is None or status.get("state") != "running":
        return None
    return status if time.time() - float(status.get("time_s", 0.0)) < _STATUS_AGE_S else None


def _wire(entry: Heard) -> Check:
    name = f"source {entry.kind}"
    where = entry.uri or "through the running daemon"
    if entry.state == "failed" or entry.error:
        return red(name, entry.error or f"{where}: {entry.state}", "correct the address of the source, or start it")
    if entry.connected is False:
        return red(
            name, f"nobody answers at {where}", "switch the stream on, check host, port and firewall, or its address"
        )
    if entry.kind == "files" and entry.state == "folder missing":
        return red(name, f"{where}: no such folder", "mount the share, or correct the folder")
    if entry.defects:
        newest = entry.defects[-1]
        said = f"{where}: {newest.reason}: {newest.detail}"
        return red(name, said, "look at what is sent there; it would be counted and left out of the scan")
    return green(name, f"{where}: {entry.state}, {entry.records} messages")


def _test_frame(
    options: PreflightOptions, uris: Sequence[str], heard: Sequence[Heard], wires: SourceOptions, listened_s: float
) -> tuple[TrialFrame | None, Check]:
    """Return the frame that is tried, and how it was come by: the named one, the newest heard, or the youngest file."""
    name = "frame"
    heard_frame = next((entry for entry in heard if entry.frame is not None), None)
    if options.frame is None and heard_frame is not None and heard_frame.frame is not None:
        frame = heard_frame.frame
        if frame.reference.store != "file":
            stated = checks.stated_in_settings(heard_frame.settings) if heard_frame.settings else None
            tried = TrialFrame(image=frame.image, stated=stated, bytes=_captured_bytes(heard_frame))
            return tried, green(name, f"frame {frame.number} of series {frame.series} came over {heard_frame.kind}")
    path = options.frame
    if path is None and heard_frame is not None and heard_frame.frame is not None:
        path = Path(heard_frame.frame.reference.path)
    if path is None:
        path = _youngest(uris, wires)
    if path is None:
        return None, red(
            name,
            f"no frame came in {listened_s:.0f} s and none lies in a watched folder",
            "take one test exposure while this command listens, or name a frame with --frame",
        )
    try:
        content = read_frame(path, wires)
    except PhasecastError as error:
        return None, fault(name, error)
    age_s = time.time() - path.stat().st_mtime
    said = f"{path.name}, {content.image.shape[0]} x {content.image.shape[1]} pixels, {_age(age_s)} old"
    stated = checks.stated_in_header(content.header)
    tried = TrialFrame(image=content.image, stated=stated, bytes=_FILE_RECORD_BYTES)
    return tried, green(name, said)


def _captured_bytes(entry: Heard) -> int:
    """Return what the capture keeps of a frame: a frame of the sample may compress half as well as the test frame."""
    assert entry.frame is not None
    return min(entry.frame.image.nbytes, 2 * entry.record_bytes)


def _youngest(uris: Sequence[str], wires: SourceOptions) -> Path | None:
    from phasecast.sources.directory import DirectoryReceiver
    from phasecast.sources.uri import open_source

    for uri in uris:
        if not uri.startswith("files:"):
            continue
        receiver = open_source(uri, wires).receiver
        assert isinstance(receiver, DirectoryReceiver)
        found = newest_frame_file(Path(str(receiver.status()["folder"])), counts=is_frame_name)
        if found is not None:
            return found
    return None


def _log(path: Path, size_before: int | None, listened_s: float) -> Check:
    size_now = _size(path)
    changed_s = path.stat().st_mtime if size_now is not None else 0.0
    return check_log(path, size_before=size_before, size_now=size_now, changed_s=changed_s, listened_s=listened_s)


def _clock_offsets_s(heard: Sequence[Heard]) -> dict[str, float]:
    offsets: dict[str, float] = {}
    for entry in heard:
        newest = entry.points[-1] if entry.points else None
        fresh = newest is not None and newest.received_s >= entry.began_s + FRESH_AFTER_S
        if newest is not None and fresh and entry.kind == "log" and newest.time_is_measured:
            offsets[f"{entry.channel} rows"] = newest.time_s - newest.received_s
        if entry.points and entry.kind in ("bluesky", "kafka"):
            offsets[f"{entry.channel} documents"] = entry.points[-1].time_s - entry.points[-1].received_s
        if entry.frame is not None:
            offset_s = clock_offset_of_frame_s(entry.frame, entry.began_s)
            if offset_s is not None:
                offsets[f"{entry.channel} frames"] = offset_s
    return offsets


def _log_files(uris: Sequence[str]) -> list[Path]:
    """Return the files of sources that are logs."""
    splits = [urlsplit(uri) for uri in uris]
    return [Path(unquote(split.netloc + split.path)).expanduser() for split in splits if split.scheme == "log"]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _age(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
