"""The list of all results in the data directory: how each stands, its report, and why what cannot be opened cannot."""

from datetime import datetime
from typing import Any

import numpy as np
import panel as pn

from phasecast.core.words import Words
from phasecast.records.results_list import ResultEntry
from phasecast.web.hub import Hub
from phasecast.web.jobs import Job
from phasecast.web.live_scan import LiveScan
from phasecast.web.scans_table import ActionTable, Part, file_link, printable
from phasecast.web.session import Session, address, arguments_of_request

_COLUMNS = ("state", "started", "sample", "scan", "points", "model", "size", "report")
_LANGUAGES = {"en": "English", "ja": "日本語"}
_UNITS = ("B", "kB", "MB", "GB", "TB")


class ScansTab:
    """List of results of one session; a click opens one on the map.

    Parameters
    ----------
    hub
        Lists the results and makes reports.
    session
        Whose view changes.
    """

    title_key = "scans.tab"

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view = hub, session.words, session.view
        self._arguments = arguments_of_request()
        self.table = ActionTable(
            head=[session.words(f"scans.{name}") for name in _COLUMNS],
            css_classes=["pc-scans-table"],
            sizing_mode="stretch_width",
        )
        self.table.on_msg(lambda event: self._asked(event.data))
        self.panel: Any = pn.Column(self.table, css_classes=["pc-scans"], sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Bring the list up to date."""
        # what cannot be opened stands below: its time is that of its last copy
        entries = sorted(self._hub.results(), key=lambda entry: not entry.is_readable)
        chosen = scan.path.name if scan is not None else ""
        jobs = {entry.path.name: self._hub.jobs.state(("report", entry.path.name)) for entry in entries}
        rows = [
            row_of(entry, self._words, job=jobs[entry.path.name], chosen=entry.path.name == chosen,
                   address=address({**self._arguments, "scan": printable(entry.path.name)}))
            for entry in entries
        ]  # fmt: skip
        self.table.say(rows or [{"key": "", "cells": [[{"text": self._words("scans.none"), "style": "faint"}]]}])

    def _asked(self, message: Any) -> None:
        # what comes from a browser may be anything
        if not isinstance(message, dict):
            return
        entry = self._hub.entry(str(message.get("scan", "")))
        if entry is None:
            return
        if message.get("do") == "open" and entry.is_readable:
            self._view.param.update(scan=entry.path.name, points=np.zeros(0, dtype=np.int64), point=None)
            self._view.param.trigger("to_map")
        elif message.get("do") == "report" and message.get("language") in _LANGUAGES:
            path, language = entry.path, str(message["language"])
            self._hub.jobs.start(("report", path.name), lambda: self._hub.tools.make_report(path, language))


def row_of(entry: ResultEntry, words: Words, *, job: Job | None, chosen: bool, address: str) -> dict[str, Any]:
    """Return one row of the list.

    Parameters
    ----------
    entry
        What is known of the result.
    words
        Of the session.
    job
        The report that is being made again; None if nobody asked for one.
    chosen
        Whether the result is in view.
    address
        Address of the page with the result in view.
    """
    name = entry.path.name
    state = [{"text": words(f"scans.{entry.state}"), "style": f"{entry.state} nowrap", "hook": "pc-scan-state"}]
    if entry.reason and entry.is_readable:
        state.append({"text": printable(entry.reason), "style": "faint"})
    if not entry.is_readable:
        cells = [state, [{"text": _time(entry.started_s), "style": "nowrap"}], [], _unreadable(entry), [], [],
                 [{"text": _size(entry.size_bytes), "style": "nowrap"}], []]  # fmt: skip
        return {"key": printable(name), "style": "unread", "cells": cells}
    about = f"{entry.plan} {entry.scan_id}" if entry.plan else ""
    cells = [
        state,
        [{"text": _time(entry.started_s), "style": "nowrap"}],
        [{"text": entry.sample or "–"}],
        [
            {"text": printable(name), "href": address, "ask": {"do": "open", "scan": name}, "hook": "pc-open"},
            {"text": " · ".join(part for part in (about, _shape(entry)) if part), "style": "faint"},
        ],
        _progress(entry),
        [{"text": entry.model or "–"}],
        [{"text": _size(entry.size_bytes), "style": "nowrap"}],
        _report(entry, words, job),
    ]
    return {"key": printable(name), "style": "chosen" if chosen else "", "cells": cells}


def _unreadable(entry: ResultEntry) -> list[Part]:
    return [
        {"text": printable(entry.path.name)},
        {"text": printable(entry.reason), "style": "reason", "hook": "pc-why"},
    ]


def _progress(entry: ResultEntry) -> list[Part]:
    parts: list[Part] = [{"text": f"{entry.done} / {entry.points}", "style": "nowrap"}]
    if entry.points:
        parts.append({"share": round(entry.done / entry.points, 3), "style": "bar"})
    return parts


def _report(entry: ResultEntry, words: Words, job: Job | None) -> list[Part]:
    name = entry.path.name
    parts: list[Part] = []
    if entry.report is not None:
        parts.append({"text": words("scans.open_report"), "href": file_link("reports", entry.report.name),
                      "target": "_blank", "hook": "pc-report"})  # fmt: skip
    running = job is not None and job.running
    failure = job.failure if job is not None and job.failure else entry.report_failure
    if running:
        parts.append({"text": words("scans.making_report"), "style": "faint"})
    elif failure:
        parts.append({"text": words("scans.no_report", reason=printable(failure)), "style": "bad",
                      "hook": "pc-report-failed"})  # fmt: skip
    elif entry.report is None:
        parts.append({"text": words("scans.report_later" if entry.state == "live" else "scans.report_missing"),
                      "style": "faint"})  # fmt: skip
    parts.append({"text": words("scans.make_again" if entry.report else "scans.make"), "style": "beside faint nowrap"})
    parts += [
        {"text": label, "ask": {"do": "report", "scan": name, "language": language}, "off": running,
         "style": "beside", "hook": f"pc-make-report-{language}"}
        for language, label in _LANGUAGES.items()
    ]  # fmt: skip
    return parts


def _shape(entry: ResultEntry) -> str:
    return " × ".join(str(points) for points in entry.shape) if entry.shape else ""


def _time(time_s: float) -> str:
    try:
        return datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M:%S") if time_s > 0 else "–"
    except (ValueError, OverflowError, OSError):
        return "–"


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if size >= 100 or unit == 0 else f"{size:.1f} {_UNITS[unit]}"
