"""Which alarms stand, since when, and who has seen them; it survives a restart of the page."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RecordsError
from phasecast.records.acknowledgements import AcknowledgementBook, acknowledgements_path
from phasecast.records.alarms import KINDS, OF_THE_SCAN, Alarm, AlarmInputs, AlarmKind, AlarmRules, evaluate
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry, append

logger = logging.getLogger(__name__)

_UNWRITTEN = 1000
"""Entries that wait for a disk with room; the oldest are given up first."""


class AlarmBook(Book):
    """Alarms of a data directory.

    One process calls `step` (the one whose clerk works); all others call `refresh` and read `alarms`.

    Parameters
    ----------
    directory
        The data directory.
    rules
        Limits.
    """

    _standing: dict[AlarmKind, Alarm]
    _error: str

    def __init__(self, directory: DataDirectory, *, rules: AlarmRules | None = None) -> None:
        super().__init__(alarms_path(directory))
        self._rules = rules or AlarmRules()
        self._seen = AcknowledgementBook(acknowledgements_path(directory))
        self._unwritten: list[Entry] = []
        self.counters: Counter[str] = Counter()
        """``raised``, ``cleared``."""

    @property
    def alarms(self) -> list[Alarm]:
        """Alarms that stand, the gravest first, with who has seen them."""
        return [self._with_acknowledgement(self._standing[kind]) for kind in KINDS if kind in self._standing]

    @property
    def unacknowledged(self) -> list[Alarm]:
        """Alarms that stand and nobody has seen: these make a sound."""
        return [alarm for alarm in self.alarms if not alarm.acknowledged_by]

    @property
    def error(self) -> str:
        """Why the journal cannot be written or read; empty if it can. Alarms stand all the same."""
        return self._error

    def refresh(self) -> bool:
        """Take what is new: alarms from the process that steps, and acknowledgements; return whether there was."""
        return any([super().refresh(), self._seen.refresh()])

    def step(self, inputs: AlarmInputs) -> list[Alarm]:
        """Evaluate the rules, keep what changed, and return the alarms that are new. Never raises.

        Parameters
        ----------
        inputs
            What is known now; `standing` is filled in here.
        """
        self._try(self.refresh)
        before = {kind: alarm for kind, alarm in self._standing.items() if self._goes_on(alarm, inputs)}
        standing = {str(kind): alarm.since_s for kind, alarm in before.items()}
        now = {alarm.kind: alarm for alarm in evaluate(replace(inputs, standing=standing), self._rules)}
        new = [alarm for kind, alarm in now.items() if kind not in before]
        gone = [alarm for alarm in self._standing.values() if now.get(alarm.kind, alarm).id != alarm.id]
        gone += [alarm for kind, alarm in self._standing.items() if kind not in now]
        self._unwritten += [{**stamp("", "alarms", inputs.now_s), "kind": "cleared", "id": alarm.id} for alarm in gone]
        self._unwritten += [
            {
                **stamp("", "alarms", alarm.since_s),
                "kind": "raised",
                "id": alarm.id,
                "alarm": alarm.kind,
                "since_s": alarm.since_s,
                "scan_uid": alarm.scan_uid,
                "values": dict(alarm.values),
                "wording": alarm.wording,
            }
            for alarm in new
        ]
        del self._unwritten[:-_UNWRITTEN]
        self.counters["raised"] += len(new)
        self.counters["cleared"] += len(gone)
        self._try(self._write)
        self._standing = now
        return new

    def _goes_on(self, alarm: Alarm, inputs: AlarmInputs) -> bool:
        return alarm.kind not in OF_THE_SCAN or alarm.scan_uid == inputs.scan_uid

    def _write(self) -> bool:
        append(self.path, self._unwritten)
        self._unwritten = []
        return super().refresh()

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
            self._error = ""
        except RecordsError as error:
            if not self._error:
                logger.warning("%s", error)
            self._error = str(error)

    def _with_acknowledgement(self, alarm: Alarm) -> Alarm:
        seen = self._seen.of(alarm.id)
        return alarm if seen is None else replace(alarm, acknowledged_by=seen.who, acknowledged_s=seen.time_s)

    def _clear(self) -> None:
        self._standing = {}
        self._error = ""

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "raised":
                alarm = Alarm(
                    id=str(entry["id"]),
                    kind=_KIND_OF[entry["alarm"]],
                    since_s=float(entry["since_s"]),
                    scan_uid=str(entry["scan_uid"]),
                    values={str(name): str(value) for name, value in entry["values"].items()},
                    wording=str(entry["wording"]),
                )
                self._standing[alarm.kind] = alarm
            case "cleared":
                for kind, alarm in list(self._standing.items()):
                    if alarm.id == entry["id"]:
                        del self._standing[kind]


_KIND_OF: dict[str, AlarmKind] = {str(kind): kind for kind in KINDS}


def alarms_path(directory: DataDirectory) -> Path:
    """Return the journal of the alarms."""
    return directory.notebook / "alarms.jsonl"


def gravest(alarms: Sequence[Alarm]) -> Alarm | None:
    """Return the alarm for the one banner: the gravest that nobody has seen, else the gravest; None if none stands."""
    return next((alarm for alarm in alarms if not alarm.acknowledged_by), next(iter(alarms), None))
