"""Positions that come after the scan: a new result beside the old one, joined as if the log had been there."""

import hashlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pydantic import ValidationError

from phasecast.core.errors import PhasecastError, ProfileError, ResultFileError
from phasecast.core.frame import FrameId, FrameReference, counter_key, file_key
from phasecast.core.ledger import PointState
from phasecast.core.record import CapturePosition, RawRecord
from phasecast.core.result import ResultHeader
from phasecast.core.scan import Defect, Message, PointMeasured, PositionDoubt, ScanStart, ScanStop
from phasecast.pipeline.fold import ScanFold
from phasecast.pipeline.tickets import FrameTicket
from phasecast.profiles import Profile
from phasecast.results import Result, open_result
from phasecast.services.attached_result import write_attached
from phasecast.services.declared import DeclaredScan, declare, stage_fields
from phasecast.services.derived_runs import software_versions
from phasecast.services.monitors import point_columns
from phasecast.services.placing import fold_rules
from phasecast.sources.declared_frames import keys_in_scan
from phasecast.sources.declared_scan import DECLARED_KEY
from phasecast.sources.file_names import readable_name
from phasecast.sources.position_log import CHANNEL, RowNote, encode_row
from phasecast.sources.position_log_decoder import LogDecoder

ATTACHED_KEY = "attached_positions"
"""Key of a result's metadata that says which log its positions come from, and which result everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What became of it.

    Parameters
    ----------
    path
        The new result.
    ledger
        Its sums.
    remarks
        What was found on the way, one line each.
    doubt
        Why frames and positions may not belong together; empty if nothing speaks against it.
    """

    path: Path
    ledger: dict[str, int]
    remarks: tuple[str, ...]
    doubt: str

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return {"result": str(self.path), "ledger": self.ledger, "remarks": self.remarks, "doubt": self.doubt}


def attach_positions(result: Path, log: Path, *, scan: Path, output: Path | None = None) -> Attached:
    """Write a new result with the patterns of a closed one and the positions of a log; the old one is only read.

    Frames and rows are joined and checked by the same code as during a scan.

    Parameters
    ----------
    result
        A closed result.
    log
        The log; all its rows, also a last one without a newline.
    scan
        Declaration of the scan with its ``[log]``, whose path is not used.
    output
        The new file; default: ``<result>_positions.nxs`` beside the old one, or the first free number after it.

    Raises
    ------
    PhasecastError
        If one of them cannot be read, the result still grows, no row of the log is this scan's, or the new
        file exists already.
    """
    try:
        content = log.read_bytes()
    except OSError as error:
        raise PhasecastError(f"cannot be read ({error.strerror})", where=str(log), remedy="name the log") from error
    with open_result(result) as old:
        if not old.is_closed:
            raise ResultFileError("this result is still being written", where=str(result), remedy="wait for its end")
        declared = _declared(old, scan)
        frames = _frames(old)
        start, fold, remarks = _fold(declared, frames, log, content)
        target = output or _free_name(result)
        header = _header(old.header, declared, start, result, log, content)
        write_attached(target, header, old, fold)
    return Attached(
        path=target,
        ledger=fold.ledger.sums(),
        remarks=tuple(remarks),
        doubt=fold.doubt.reason if fold.doubt is not None else "",
    )


def _declared(old: Result, scan: Path) -> DeclaredScan:
    try:
        profile = Profile.model_validate(dict(old.header.profile))
    except ValidationError as error:
        raise ProfileError(
            f"the profile in it does not fit this version: {error.errors(include_url=False)[0]['msg']}",
            where=str(old.path),
            remedy="attach with the version that wrote the result",
        ) from error
    declared = declare(profile, scan)
    if declared.declaration.log is None:
        raise ProfileError("says nothing of the log", where=f"{scan}: log", remedy="add [log] with its columns")
    declaration = declared.declaration.model_copy(update={"positions": "log"})
    return replace(declared, declaration=declaration)


def _frames(old: Result) -> list[tuple[int, FrameTicket]]:
    """Return the frames of a result, with their rows, in order of their numbers."""
    frames = old.frames
    times = old.ledger["time_s"].to_numpy()
    states = old.ledger["state"].to_numpy()
    found = []
    for row in np.flatnonzero(np.isin(states, (PointState.DONE, PointState.REJECTED))).tolist():
        one = {name: frames[name].to_numpy()[row] for name in ("store", "path", "offset", "number", "sha256")}
        number, path = int(one["number"]), str(one["path"])
        keys = (counter_key(number), file_key(PurePosixPath(path).name))
        reference = FrameReference(
            store="file" if one["store"] == "file" else "capture",
            path=path,
            offset=int(one["offset"]),
            number=number,
            sha256=str(one["sha256"]),
        )
        ticket = FrameTicket(
            frame_id=FrameId(f"{row}"),
            series=str(old.header.metadata.get("series", "")) or PurePosixPath(path).stem.rpartition("_")[0],
            number=number,
            keys=keys,
            received_s=float(times[row]),
            hardware_s=float(times[row]),
            reference=reference,
        )
        found.append((row, ticket))
    if not found:
        raise ResultFileError("no frame was reduced", where=str(old.path), remedy="choose another result")
    return sorted(found, key=lambda entry: entry[1].number)


def _fold(
    declared: DeclaredScan, frames: list[tuple[int, FrameTicket]], log: Path, content: bytes
) -> tuple[ScanStart, ScanFold, list[str]]:
    """Join frames and rows as the live service does."""
    assert declared.declaration.log is not None
    director = declared.director({})
    rules = fold_rules(declared.profile)
    decoder = LogDecoder(declared.declaration.log, point_s=declared.declaration.exposure_s)
    start: ScanStart | None = None
    fold: ScanFold | None = None
    remarks: list[str] = []

    def take(message: Message) -> None:
        nonlocal start, fold
        match message:
            case ScanStart():
                start, fold = message, ScanFold(message, rules)
            case PointMeasured() if fold is not None:
                fold.add_point(message)
            case PositionDoubt() if fold is not None:
                fold.add_doubt(message)
                remarks.append(message.reason)
            case ScanStop() if fold is not None:
                fold.set_stop(message)
            case Defect() if message.frame_id is None:
                remarks.append(message.detail)
                if fold is not None:
                    fold.add_defect(message)

    now_s = time.time()
    rows = _rows(readable_name(log.name), content, now_s)
    tickets = iter(ticket for _, ticket in frames)
    record = next(rows, None)
    for ticket in tickets:
        for message in director.direct(_announce(ticket), _record(now_s)):
            take(message)
        assert fold is not None
        fold.add_frame(replace(ticket, keys=keys_in_scan(ticket.series, ticket.keys)), None)
        if record is not None:
            for decoded in decoder.decode(record):
                for message in director.direct(decoded, record):
                    take(message)
            record = next(rows, None)
    while record is not None:
        for decoded in decoder.decode(record):
            for message in director.direct(decoded, record):
                take(message)
        record = next(rows, None)
    assert start is not None
    assert fold is not None
    if not fold.measured_points:
        raise PhasecastError(
            "no row of the log belongs to this scan" + (f"; {remarks[0]}" if remarks else ""),
            where=str(log),
            remedy="compare the columns, and the names of the files in it, with the declaration",
        )
    if fold.stop is None:
        fold.set_stop(ScanStop(uid=start.uid, time_s=now_s, exit_status="abort", measured_points=None))
    fold.close(now_s=now_s)
    return start, fold, remarks


def _announce(ticket: FrameTicket) -> Defect:
    """Return a frame as the director needs it, without its pixels."""
    return Defect(
        reason="",
        detail="",
        channel="files",
        received_s=ticket.received_s,
        frame_id=ticket.frame_id,
        number=ticket.number,
        frame_keys=ticket.keys,
        hardware_s=ticket.hardware_s,
        reference=ticket.reference,
        series=ticket.series,
    )


def _rows(name: str, content: bytes, now_s: float) -> Iterator[RawRecord]:
    for row, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        yield _record(now_s, encode_row(RowNote(name=name, row=row), line))


def _record(now_s: float, parts: list[bytes] | None = None) -> RawRecord:
    position = CapturePosition(segment="", offset=0)
    return RawRecord(position=position, received_s=now_s, channel=CHANNEL, parts=tuple(parts or ()))


def _free_name(result: Path) -> Path:
    names = (f"{result.stem}_positions{number}" for number in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(path for name in names if not (path := result.with_name(f"{name}.nxs")).exists())


def _header(
    old: ResultHeader, declared: DeclaredScan, start: ScanStart, result: Path, log: Path, content: bytes
) -> ResultHeader:
    fields = stage_fields(declared.profile)
    known = {column.name for column in old.point_columns}
    added = tuple(column for column in point_columns(declared.profile) if column.name not in known)
    provenance = {
        "log": readable_name(str(log.absolute())),
        "log_sha256": hashlib.sha256(content).hexdigest(),
        "log_bytes": len(content),
        "from_result": result.name,
        "from_result_uid": old.result_uid,
        "attached_s": time.time(),
        "attached": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": software_versions(),
    }
    declaration = start.metadata[DECLARED_KEY]
    neighbours = old.processing.get("neighbours")
    processing = {} if neighbours is None else {"neighbours": f"{neighbours}; as it was before positions were attached"}
    return replace(
        old,
        processing={**old.processing, **processing},
        result_uid=str(uuid.uuid4()),
        axes=start.axes,
        shape=start.shape,
        snaking=start.snaking,
        expected_points=start.expected_points,
        horizontal_field=fields.x,
        vertical_field=fields.y,
        point_columns=(*old.point_columns, *added),
        profile=declared.profile.model_dump(mode="json"),
        metadata={**old.metadata, DECLARED_KEY: declaration, ATTACHED_KEY: provenance},
    )
