"""The list of all results in the data directory: how each stands, its report, and why what cannot be opened cannot."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import panel as pn

from phasecast.core.words import Words
from phasecast.records.maps_list import MapEntry
from phasecast.records.results_list import ResultEntry
from phasecast.web.hub import Hub
from phasecast.web.jobs import Job
from phasecast.web.live_scan import LiveScan
from phasecast.web.map_words import map_label
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
        chosen = scan.address if scan is not None else ""
        rows = []
        for found, group in grouped(entries, self._hub.maps()):
            if found is not None:
                rows.append(self._map_row(found, chosen))
            for entry in group:
                row = row_of(entry, self._words, job=self._hub.jobs.state(("report", entry.path.name)),
                             chosen=entry.path.name == chosen, address=self._address(entry.path.name))  # fmt: skip
                if found is not None:
                    row["style"] = f"{row['style']} part".strip()
                    if entry in found.others:
                        row["cells"][0].append({"text": self._words("map.also_this_scan"), "style": "faint"})
                rows.append(row)
        self.table.say(rows or [{"key": "", "cells": [[{"text": self._words("scans.none"), "style": "faint"}]]}])

    def _asked(self, message: Any) -> None:
        # what comes from a browser may be anything
        if not isinstance(message, dict):
            return
        name = str(message.get("scan", ""))
        entry, found = self._hub.entry(name), self._hub.map_entry(name)
        if entry is None and found is None:
            return
        if message.get("do") == "open" and (entry is None or entry.is_readable):
            self._view.param.update(scan=name, points=np.zeros(0, dtype=np.int64), point=None)
            self._view.param.trigger("to_map")
        elif message.get("do") == "report" and message.get("language") in _LANGUAGES:
            language = str(message["language"])
            results = entry.path if entry is not None else tuple(one.path for one in found.entries) if found else ()
            self._hub.jobs.start(("report", name), lambda: self._hub.tools.make_report(results, language))

    def _address(self, name: str) -> str:
        # a row of one scan is another point in the next
        arguments = {key: value for key, value in self._arguments.items() if key != "point"}
        return address({**arguments, "scan": printable(name)})

    def _map_row(self, found: MapEntry, chosen: str) -> dict[str, Any]:
        report = self._hub.directory.reports / f"{found.newest.path.stem}-map.html"
        return map_row_of(
            found,
            self._words,
            superseded=self._hub.superseded(found),
            job=self._hub.jobs.state(("report", found.address)),
            report=report if report.is_file() else None,
            chosen=found.address == chosen,
            address=self._address(found.address),
        )


def scan_options(hub: Hub, words: Words) -> dict[str, str]:
    """Return what can be chosen to look at, label to address: the newest scan, maps of several scans, all scans."""
    options = {words("page.newest"): ""}
    for found in hub.maps():
        options[printable(map_label(found, words))] = found.address
    for entry in hub.results():
        if printable(entry.path.name) != entry.path.name:
            continue  # a name that is no text cannot be sent; the list of scans says so
        label = f"{entry.path.stem} · {entry.sample}" if entry.sample else entry.path.stem
        options[label] = entry.path.name
    return options


def grouped(
    entries: Sequence[ResultEntry], maps: Sequence[MapEntry]
) -> list[tuple[MapEntry | None, tuple[ResultEntry, ...]]]:
    """Return the results with those of one map together, in the place of the first; each with its map or None."""
    of_name = {entry.path.name: found for found in maps for entry in (*found.entries, *found.others)}
    groups: dict[str, tuple[MapEntry | None, list[ResultEntry]]] = {}
    for entry in entries:
        found = of_name.get(entry.path.name)
        key = found.address if found is not None else entry.path.name
        groups.setdefault(key, (found, []))[1].append(entry)
    return [(found, tuple(group)) for found, group in groups.values()]


def map_row_of(
    found: MapEntry,
    words: Words,
    *,
    superseded: int | None,
    job: Job | None,
    report: Path | None,
    chosen: bool,
    address: str,
) -> dict[str, Any]:
    """Return the row of a map, above those of its scans.

    Parameters
    ----------
    found
        The map.
    words
        Of the session.
    superseded
        Points that another one counts for; None if that is not known yet.
    job
        The report that is being made; None if nobody asked for one.
    report
        Its report; None if there is none.
    chosen
        Whether the map is in view.
    address
        Address of the page with the map in view.
    """
    state = "live" if found.live else "closed"
    points = [words("map.summary", scans=len(found.entries), points=found.points)]
    points += [words("map.superseded", superseded=superseded)] if superseded is not None else []
    cells: list[list[Part]] = [
        [{"text": words(f"scans.{state}"), "style": f"{state} nowrap", "hook": "pc-map-state"}],
        [{"text": _time(found.entries[0].started_s), "style": "nowrap"}],
        [{"text": found.newest.sample or "–"}],
        [{"text": printable(map_label(found, words)), "href": address, "hook": "pc-open-map",
          "ask": {"do": "open", "scan": found.address}}],
        [{"text": text} for text in points],
        [{"text": found.newest.model or "–"}],
        [{"text": _size(sum(entry.size_bytes for entry in found.entries)), "style": "nowrap"}],
        _report_parts(found.address, report, "", found.live != (), words, job),
    ]  # fmt: skip
    return {"key": found.address, "style": "map chosen" if chosen else "map", "cells": cells}


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
    return _report_parts(entry.path.name, entry.report, entry.report_failure, entry.state == "live", words, job)


def _report_parts(
    name: str, report: Path | None, report_failure: str, is_live: bool, words: Words, job: Job | None
) -> list[Part]:
    parts: list[Part] = []
    if report is not None:
        parts.append({"text": words("scans.open_report"), "href": file_link("reports", report.name),
                      "target": "_blank", "hook": "pc-report"})  # fmt: skip
    running = job is not None and job.running
    failure = job.failure if job is not None and job.failure else report_failure
    if running:
        parts.append({"text": words("scans.making_report"), "style": "faint"})
    elif failure:
        parts.append({"text": words("scans.no_report", reason=printable(failure)), "style": "bad",
                      "hook": "pc-report-failed"})  # fmt: skip
    elif report is None:
        parts.append({"text": words("scans.report_later" if is_live else "scans.report_missing"),
                      "style": "faint"})  # fmt: skip
    parts.append({"text": words("scans.make_again" if report else "scans.make"), "style": "beside faint nowrap"})
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
