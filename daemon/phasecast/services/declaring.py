"""Scans that people declare on the page while the service runs: taken or refused, recorded, and kept as TOML."""

import json
import logging
import re
import time
import unicodedata
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import ProfileError, SourceError
from phasecast.core.record import CapturePosition, Receiver
from phasecast.core.requests import Answer, DeclareScan
from phasecast.core.scan import ScanDeclared, ScanStart, ScanUid
from phasecast.pipeline.desk import ScanDesk
from phasecast.pipeline.open_scan import OwnRules
from phasecast.profiles import Profile, ScanDeclaration, parse_scan
from phasecast.records.clerk import answer
from phasecast.records.mailbox import RequestId, asked_s
from phasecast.records.whole_file import write_whole
from phasecast.services.declared import DeclaredScan, fit
from phasecast.services.placing import fold_rules
from phasecast.sources.capture import CaptureReader, CaptureWriter
from phasecast.sources.declaration_record import CHANNEL, encode_declaration
from phasecast.sources.declared_scan import DECLARED_KEY
from phasecast.sources.position_log import PositionLogReceiver
from phasecast.sources.scan_switch import ScanSwitch, TakenDeclaration, log_channel

logger = logging.getLogger(__name__)

DECLARATION_ID_KEY = "declaration_id"
_LATEST = "latest.json"
_STALE_S = 600.0
"""A declaration that waited longer for a daemon is no longer what the person looks at."""
_PATIENCE_S = 30.0
_NAME = re.compile(r"[^\w.-]+")


def scan_uid(declaration_id: str) -> ScanUid:
    """Return the uid of the one scan that a declaration opens: the same live, after a restart and in a replay."""
    return ScanUid(str(uuid.uuid5(uuid.NAMESPACE_URL, f"declaration:{declaration_id}")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """Where the newest declaration lies.

    Parameters
    ----------
    declaration_id
        Identity: the id of its request.
    position
        Its record in the capture.
    file
        Name of its TOML file.
    """

    declaration_id: str
    position: CapturePosition
    file: str


def read_latest(directory: DataDirectory) -> Latest | None:
    """Return where the newest declaration of a data directory lies; None if there is none or it cannot be read."""
    path = directory.scans / _LATEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Latest(
            declaration_id=str(content[DECLARATION_ID_KEY]),
            position=CapturePosition(segment=str(content["segment"]), offset=int(content["offset"])),
            file=str(content["file"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read (%s): a declaration without frames has to be made again", path, error)
        return None


class DeclaredProfiles:
    """Fits the profile to each scan that is declared; from the scan's own metadata alone, so that replay agrees.

    Parameters
    ----------
    profile
        The instrument's.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def fit_text(self, text: str, folder: Path, where: Path) -> DeclaredScan:
        """Return a declaration fitted to the instrument.

        Raises
        ------
        ProfileError
            If it breaks a rule or does not go with the profile.
        """
        declaration = parse_scan(text, where).with_log(self._profile.position_log, folder)
        return fit(self._profile, declaration, where)

    def of(self, start: ScanStart) -> DeclaredScan | None:
        """Return the declaration of a scan as fitted; None for a scan that the page did not declare."""
        content = start.metadata.get(DECLARED_KEY)
        if not isinstance(content, Mapping) or DECLARATION_ID_KEY not in content:
            return None
        known = {name: value for name, value in content.items() if name in ScanDeclaration.model_fields}
        return fit(self._profile, ScanDeclaration.model_validate(known), Path("declaration"))

    def rules_for(self, start: ScanStart) -> OwnRules | None:
        """Return the rules of a scan that the page declared."""
        declared = self.of(start)
        if declared is None:
            return None
        return OwnRules(fold=fold_rules(declared.profile), grace_s=declared.grace_s)

    def profile_for(self, start: ScanStart) -> Profile | None:
        """Return the profile of a scan that the page declared."""
        declared = self.of(start)
        return None if declared is None else declared.profile

    def taker(self, finished: Callable[[], Collection[str]]) -> Callable[[ScanDeclared], TakenDeclaration]:
        """Return what makes the director of a recorded declaration.

        Parameters
        ----------
        finished
            Raw uids of results that are finished.
        """

        def take(declared: ScanDeclared) -> TakenDeclaration:
            fitted = self.fit_text(declared.text, Path(declared.folder), Path("declaration"))
            notes = {DECLARATION_ID_KEY: declared.declaration_id, "declared_by": declared.who}
            uid = scan_uid(declared.declaration_id)
            director = fitted.director({}, finished(), uid=uid, notes=notes)
            return TakenDeclaration(declaration=fitted.declaration, director=director)

        return take


@dataclass(slots=True, kw_only=True)
class Declaring:
    """Takes or refuses what people declare.

    Parameters
    ----------
    directory
        The data directory; declarations are kept in its ``scans``.
    profiles
        Fit declarations to the instrument.
    capture, reader
        Where a declaration is recorded, and how far the loop has read.
    switch
        Knows what is declared and which series had frames.
    desk
        Knows the open scans.
    receivers
        Of the daemon's wires.
    refusal
        Entry of the catalogue that says why nothing can be declared here; empty if it can.
    latest
        The newest declaration that an earlier daemon took.
    """

    directory: DataDirectory
    profiles: DeclaredProfiles
    capture: CaptureWriter
    reader: CaptureReader
    switch: ScanSwitch | None
    desk: ScanDesk
    receivers: Sequence[Receiver]
    refusal: str
    latest: Latest | None
    _log: PositionLogReceiver | None = None
    _waiting: dict[RequestId, tuple[float, list[int | None]]] = field(default_factory=dict)
    """When a request was first seen, monotonic s, and how often each receiver had listed its folder by then."""

    def take(self, request_id: RequestId, request: DeclareScan, *, caught_up: bool) -> Answer | None:
        """Take a declaration or refuse it; None if it has to wait a moment.

        Parameters
        ----------
        caught_up
            Whether everything received has been worked off.
        """
        if self.latest is not None and self.latest.declaration_id == request_id:
            return answer("declared", {"file": self.latest.file})  # taken by a daemon that died before it answered
        if self.refusal or self.switch is None:
            return answer(self.refusal, ok=False)
        if time.time() - asked_s(request_id) > _STALE_S:
            return answer("declare_stale", ok=False)
        listed = [_listings(receiver) for receiver in self.receivers]
        since_s, listed_before = self._waiting.setdefault(request_id, (time.monotonic(), listed))
        decided = self._decide(
            request_id,
            request,
            # files that lay there when it was asked must be known; the first listing after it may have begun before it
            all_seen=caught_up
            and all(now is None or now - (before or 0) >= 2 for now, before in zip(listed, listed_before, strict=True))
            and not any(receiver.status().get("pending") for receiver in self.receivers),
        )
        if decided is None and time.monotonic() - since_s > _PATIENCE_S:
            decided = answer("declare_busy", ok=False)
        if decided is not None:
            del self._waiting[request_id]
        return decided

    def follow_log(self) -> None:
        """Listen to the log of the newest declaration, once the loop has come to it; cheap, called at every turn."""
        declared, declaration = (None, None) if self.switch is None else (self.switch.declared, self.switch.declaration)
        wanted = None if declared is None else log_channel(declared)
        if self._log is not None and self._log.channel != wanted:
            self.close()
        if declared is None or declaration is None or self._log is not None or self._is_finished(declared):
            return
        log = declaration.log if declaration.positions_from == "log" else None
        if log is None or log.path is None:
            return
        self._log = PositionLogReceiver(Path(log.path), channel=log_channel(declared))
        try:
            self._log.start(self.capture)
        except SourceError as error:
            logger.error("log of the declared scan: %s", error)

    def close(self) -> None:
        """Let go of the log."""
        if self._log is not None:
            self._log.stop()
        self._log = None

    def describe(self) -> dict[str, Any]:
        """What the status file says: whether scans can be declared, and what is; JSON-able."""
        declared, declaration = (None, None) if self.switch is None else (self.switch.declared, self.switch.declaration)
        said: dict[str, Any] = {"refusal": self.refusal, "latest": self.latest.file if self.latest else ""}
        if self._log is not None:
            said["log"] = self._log.status()
        if declared is not None and declaration is not None and self.switch is not None:
            said |= {
                "name": declaration.name,
                "points": declaration.points,
                "who": declared.who,
                "series": self.switch.claimed or declaration.series,
                "state": "waiting" if not self.switch.claimed else "over" if self._is_finished(declared) else "open",
            }
        return said

    def _is_finished(self, declared: ScanDeclared) -> bool:
        uid = scan_uid(declared.declaration_id)
        return bool(self.switch and self.switch.claimed) and all(fold.start.uid != uid for fold in self.desk.open_folds)

    def _decide(self, request_id: RequestId, request: DeclareScan, *, all_seen: bool) -> Answer | None:
        assert self.switch is not None
        measuring = [fold for fold in self.desk.open_folds if fold.stop is None]
        if measuring:
            fold = measuring[-1]
            name = str(fold.start.metadata.get("title") or fold.start.metadata.get("series") or fold.start.uid[:8])
            points = fold.ledger.sums()["done"]
            return answer("declare_open", {"name": name, "done": points, "points": len(fold.ledger)}, ok=False)
        try:
            scan = self.profiles.fit_text(request.text, self.directory.scans, Path("declaration"))
            _require_log(scan.declaration)
        except ProfileError as error:
            return answer("denied", {"reason": str(error)}, ok=False)
        declaration = scan.declaration
        begun = next((one for one in self.switch.seen if declaration.series and declaration.is_series(one)), None)
        if begun is not None:
            return answer("declare_series", {"series": begun}, ok=False)
        if not all_seen or self.desk.open_folds:
            return None
        return self._record(request_id, request, declaration)

    def _record(self, request_id: RequestId, request: DeclareScan, declaration: ScanDeclaration) -> Answer | None:
        assert self.switch is not None
        declared = ScanDeclared(
            declaration_id=request_id,
            text=request.text,
            folder=str(self.directory.scans.absolute()),
            who=request.who,
            declared_s=time.time(),
            known_series=frozenset(self.switch.seen),
        )
        replaces = self.switch.declared is not None and not self.switch.claimed
        file = _file_name(request_id, declaration.name)
        write_whole(self.directory.scans / file, request.text.encode("utf-8"))
        position = self.capture.append_if_read(
            CHANNEL, encode_declaration(declared), declared.declared_s, self.reader.position
        )
        if position is None:
            return None
        latest = Latest(declaration_id=request_id, position=position, file=file)
        content = {DECLARATION_ID_KEY: request_id, "segment": position.segment, "offset": position.offset, "file": file}
        write_whole(self.directory.scans / _LATEST, json.dumps(content).encode("utf-8"))
        self.latest = latest
        logger.warning("%s declares %d points: %s", request.who, declaration.points, file)
        return answer("declared_instead" if replaces else "declared", {"file": file})


def _listings(receiver: Receiver) -> int | None:
    """How often a receiver has listed its folder; None for one that has none."""
    listings = receiver.status().get("listings")
    return listings if isinstance(listings, int) else None


def _require_log(declaration: ScanDeclaration) -> None:
    log = declaration.log
    if declaration.positions_from != "log" or log is None:
        return
    where = "declaration: log.path"
    if log.path is None:
        raise ProfileError("positions come from a log, and nothing names its file", where=where, remedy="give its path")
    path = Path(log.path)
    if path.is_dir() or not path.parent.is_dir():
        raise ProfileError(f"{log.path!r} is no file in a folder that exists", where=where, remedy="correct the path")


def _file_name(request_id: RequestId, name: str) -> str:
    stamp = datetime.fromtimestamp(asked_s(request_id), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    slug = _NAME.sub("-", unicodedata.normalize("NFC", name)).strip("-.")[:40]
    return f"{stamp}_{slug or 'scan'}.toml"


def replay_start(
    latest: Latest | None, finished: Collection[str], start: CapturePosition | None
) -> CapturePosition | None:
    """Return where to read the capture from, so that a declaration whose scan is not finished is read again.

    Parameters
    ----------
    latest
        The newest declaration.
    finished
        Raw uids of results that are finished.
    start
        Where the unfinished results ask to begin; None if there are none.
    """
    if latest is None or scan_uid(latest.declaration_id) in finished:
        return start
    return latest.position if start is None else min(start, latest.position)
