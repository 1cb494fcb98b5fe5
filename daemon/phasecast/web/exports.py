"""Taking what is in view along: the map as PNG, its points as CSV, the NeXus file, or what is to be measured again."""

import time
from pathlib import Path
from typing import Any

import panel as pn

from phasecast.web.exports_folder import Kind
from phasecast.web.hub import Hub
from phasecast.web.jobs import Job
from phasecast.web.live_scan import LiveScan
from phasecast.web.scans_table import ActionTable, Part, file_link, printable
from phasecast.web.session import Session

_KINDS: tuple[Kind, ...] = ("png", "csv", "nexus")
_KINDS_OF_MAP: tuple[Kind, ...] = ("png", "csv", "repair_csv", "repair_plan")
_FAILURE_SHOWN_S = 60.0


class ExportsPanel:
    """Exports of the scan or map in view; what takes time says so and is saved by the browser when it is there.

    Parameters
    ----------
    hub
        Makes the files.
    session
        Whose words and language they have.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words = hub, session.words
        self._scan: LiveScan | None = None
        self._awaited: dict[tuple[str, ...], int] = {}
        """Jobs that this session asked for, to the number of each: nobody else's browser shall save the file."""
        self._failures: dict[str, tuple[str, float]] = {}
        self.table = ActionTable(css_classes=["pc-exports"], sizing_mode="stretch_width")
        self.table.on_msg(lambda event: self._asked(event.data))
        self.panel: Any = pn.Column(self.table, sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Offer what can be had of a scan right now; None hides all."""
        self._scan = scan
        self._fetch()
        if scan is None:
            self.table.say([])
            return
        parts: list[Part] = [{"text": self._words("exports.save"), "style": "faint"}]
        parts += [self._button(scan, kind) for kind in _kinds_of(scan)]
        now_s = time.monotonic()
        parts += [
            {"text": self._words("exports.failed", reason=printable(text)), "style": "bad", "hook": "pc-export-failed"}
            for text, since_s in self._failures.values()
            if now_s - since_s < _FAILURE_SHOWN_S
        ]
        self.table.say([{"key": "exports", "style": "row", "cells": [parts]}])

    def _button(self, scan: LiveScan, kind: Kind) -> Part:
        name, hook = scan.path.name, f"pc-export-{kind}"
        if kind == "nexus" and not scan.columns.is_growing:
            return {"text": self._words("exports.nexus"), "href": file_link("results", name),
                    "file": printable(name), "style": "button", "hook": hook}  # fmt: skip
        running = self._state(kind, name) is not None
        text = f"exports.{kind}_growing" if kind == "nexus" else f"exports.{kind}"
        label = self._words("exports.making", what=self._words(text)) if running else self._words(text)
        return {"text": label, "ask": {"export": kind}, "off": running, "hook": hook}

    def _state(self, kind: Kind, name: str) -> Job | None:
        job = self._hub.jobs.state(self._key(kind, name))
        return job if job is not None and job.running else None

    def _key(self, kind: Kind, name: str) -> tuple[str, ...]:
        return (kind, name, self._words.language)

    def _asked(self, message: Any) -> None:
        kind = message.get("export") if isinstance(message, dict) else None
        if self._scan is None or kind not in _kinds_of(self._scan):
            return
        result, tools, language = self._scan.path, self._hub.tools, self._words.language
        results = self._scan.paths if self._scan.is_map else result
        paths = self._scan.paths
        try:
            target = self._hub.exports.file_of(result, kind, language)
        except OSError as error:
            self._failures[kind] = (f"{error.strerror}: {error.filename}", time.monotonic())
            return
        self._failures.pop(kind, None)

        def make() -> Path:
            match kind:
                case "png":
                    tools.draw_png(results, target, language)
                case "csv":
                    tools.write_csv(results, target)
                case "repair_csv" | "repair_plan":
                    tools.write_repair(paths, target)
                case _:
                    tools.snapshot(result, target)
            return target

        key = self._key(kind, result.name)
        self._awaited[key] = self._hub.jobs.start(key, make).number
        self.show(self._scan)

    def _fetch(self) -> None:
        for key, number in list(self._awaited.items()):
            job = self._hub.jobs.state(key)
            if job is None or (job.running and job.number == number):
                continue
            del self._awaited[key]
            if job.result is not None:
                address = self._hub.exports.address_of(job.result)
                self.table.download = {"href": address, "file": printable(job.result.name), "number": job.number}
            elif job.failure:
                self._failures[key[0]] = (job.failure, time.monotonic())


def _kinds_of(scan: LiveScan) -> tuple[Kind, ...]:
    return _KINDS_OF_MAP if scan.is_map else _KINDS
