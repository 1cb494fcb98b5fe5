"""How the scan stands right now: progress, speed, ledger, device, model, and whether anybody still speaks."""

import html
import math
import time
from typing import Any

import panel as pn

from phasecast.core.ledger import PointState
from phasecast.core.result import split_neighbours
from phasecast.core.words import Words
from phasecast.results.normalisation import normalisation
from phasecast.web.colours import STATE_COLOURS
from phasecast.web.hub import STALE_S, Hub
from phasecast.web.live_map import LiveMap
from phasecast.web.live_scan import LiveScan
from phasecast.web.theme import PARTS

_COUNTED = (
    PointState.PENDING, PointState.RECEIVED, PointState.LOST_UPSTREAM, PointState.REJECTED, PointState.DROPPED_BY_US,
    PointState.NOT_MEASURED, PointState.SUPERSEDED,
)  # fmt: skip
_LOST = (PointState.LOST_UPSTREAM, PointState.REJECTED, PointState.DROPPED_BY_US)
"""States whose number is shown while a scan runs even if it is zero: nobody should have to wonder."""
_PERIODS = 3.0


class NowView:
    """The strip of facts above the tabs.

    Parameters
    ----------
    hub
        Reads the daemon's status.
    words
        Of the session.
    """

    def __init__(self, hub: Hub, words: Words) -> None:
        self._hub, self._words = hub, words
        self.panel = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-now"], sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None, name: str, problem: str) -> None:
        """Show how a scan stands; `problem` says why there is none."""
        text = self._scan_facts(scan, name) if scan is not None else self._nothing(problem)
        if text != self.panel.object:
            self.panel.object = text

    def say(self, problem: str) -> None:
        """Show a line instead of the facts."""
        self.panel.object = self._nothing(problem)

    def _nothing(self, problem: str) -> str:
        line = problem or self._words("page.no_scan")
        return f"<div class='now'><div class='{'bad' if problem else 'hint'}'>{html.escape(line)}</div></div>"

    def _scan_facts(self, scan: LiveScan, name: str) -> str:
        words, columns, header = self._words, scan.columns, scan.header
        sums, points = columns.ledger_sums, columns.points
        status = self._hub.status() or {}
        live = self._hub.is_live(name)
        facts: list[tuple[str, str, str]] = []
        if isinstance(scan, LiveMap):
            facts.append((words("map.name"), f"{scan.name} · {words('map.scan_count', scans=len(scan.paths))}", ""))
        # a place that was measured twice is one
        places = points - sums["superseded"]
        facts.append((words("page.progress"), f"{sums['done']} / {places}", ""))
        if live:
            facts += self._live_facts(status, name, places - sums["done"])
        else:
            facts.append(self._silence(columns.is_growing))
        facts += [
            (
                words(f"state.{state.label}"),
                str(sums[state.label]),
                "bad" if state in _LOST and sums[state.label] else "",
            )
            for state in _COUNTED
            if sums[state.label] or (live and state in _LOST)
        ]
        surplus = int(_scan_of(status, name).get("counters", {}).get("surplus_frames", 0)) if live else 0
        if surplus:
            facts.append((words("page.surplus"), str(surplus), "warn"))
        if normalisation(header, columns.state, columns.flags).is_missing:
            facts.append((words("page.normalisation"), words("page.not_normalised"), "warn"))
        model, several = scan.model
        facts.append((words("page.device"), header.device.upper(), ""))
        if model is not None:
            note, with_neighbours = split_neighbours(model.calibrated_on)
            note = words("common.simulation_only") if note == "simulation only" else f"calibrated on {note}"
            note = words("common.with_neighbours", calibrated=note) if with_neighbours else note
            more = f" · {words('page.several_models')}" if several else ""
            facts.append(
                (words("common.model"), f"{model.name} {model.version} · {note}{more}", "warn" if several else "")
            )
        cells = "".join(
            f"<div><small>{html.escape(label)}</small><b class='{kind}'>{html.escape(value)}</b></div>"
            for label, value, kind in facts
        )
        return f"<div class='now'>{cells}</div>{_bar(sums, points)}"

    def _live_facts(self, status: dict[str, Any], name: str, left: int) -> list[tuple[str, str, str]]:
        words = self._words
        rate = float(status.get("frames_per_s") or 0)
        remaining = f"{left / rate:.0f} s" if rate > 0 and left else "–"
        p50, p99 = status.get("latency_p50_ms"), status.get("latency_p99_ms")
        return [
            (words("page.remaining"), remaining, ""),
            (words("page.frames_per_s"), f"{rate:.1f}", ""),
            (words("page.latency"), f"{p50 or 0:.0f} / {p99 or 0:.0f} ms", ""),
            self._sources(status, name),
        ]

    def _sources(self, status: dict[str, Any], name: str) -> tuple[str, str, str]:
        """How the wires stand: connected, and whether frames really come."""
        words = self._words
        silent_s = _without_frames_s(_scan_of(status, name))
        if silent_s is not None:
            return words("page.source"), words("page.no_frames", since=f"{silent_s:.0f} s"), "bad"
        cut = [channel for channel, source in status.get("sources", {}).items() if not source.get("connected", True)]
        if cut:
            return words("page.source"), f"{', '.join(cut)} {words('page.disconnected')}", "bad"
        return words("page.source"), f"{', '.join(status.get('sources', {}))} {words('page.connected')}", ""

    def _silence(self, growing: bool) -> tuple[str, str, str]:
        words, age_s = self._words, self._hub.status_age_s()
        if not growing:
            return words("page.source"), words("page.finished"), ""
        if age_s > STALE_S:
            since = f"{age_s:.0f} s" if math.isfinite(age_s) else "–"
            return words("page.source"), words("page.stale", since=since), "bad"
        return words("page.source"), words("page.waiting"), ""


def _scan_of(status: dict[str, Any], name: str) -> dict[str, Any]:
    scans = status.get("scans", [])
    return next((scan for scan in scans if isinstance(scan, dict) and scan.get("result") == name), {})


def _without_frames_s(scan: dict[str, Any]) -> float | None:
    """Seconds without a frame while points are measured, if that is longer than frames usually take."""
    last_s, period_s = scan.get("last_frame_s"), float(scan.get("frame_period_s") or 0.0)
    if scan.get("state") != "measuring" or last_s is None:
        return None
    silent_s = time.time() - float(last_s)
    return silent_s if silent_s > max(STALE_S, _PERIODS * period_s) else None


def _bar(sums: dict[str, int], points: int) -> str:
    parts = "".join(
        f"<i style='width:{100 * sums[state.label] / points:.2f}%;background:{STATE_COLOURS[state]}'></i>"
        for state in (PointState.DONE, PointState.RECEIVED, PointState.REJECTED, PointState.LOST_UPSTREAM,
                      PointState.DROPPED_BY_US, PointState.SUPERSEDED)
        if points and sums[state.label]
    )  # fmt: skip
    return f"<div class='bar'>{parts}</div>"
