"""How the scan stands right now: progress, speed, ledger, device, model, and whether anybody still speaks."""

import html
from typing import Any

import panel as pn

from phasecast.core.ledger import PointState
from phasecast.core.words import Words
from phasecast.web.colours import STATE_COLOURS
from phasecast.web.hub import STALE_S, Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.theme import PARTS


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
        facts: list[tuple[str, str]] = [(words("page.progress"), f"{sums['done']} / {points}")]
        if live:
            facts += self._live_facts(status, points - sums["done"])
        else:
            facts.append((words("page.source"), self._silence(columns.is_growing)))
        facts += [
            (words(f"state.{state.label}"), str(sums[state.label]))
            for state in (PointState.PENDING, PointState.RECEIVED, PointState.REJECTED, PointState.LOST_UPSTREAM,
                          PointState.DROPPED_BY_US, PointState.NOT_MEASURED)
            if sums[state.label]
        ]  # fmt: skip
        model = header.model
        facts.append((words("page.device"), f"{header.device.upper()}"))
        if model is not None:
            note = model.calibrated_on
            note = words("common.simulation_only") if note == "simulation only" else f"calibrated on {note}"
            facts.append((words("common.model"), f"{model.name} {model.version} · {note}"))
        cells = "".join(
            f"<div><small>{html.escape(label)}</small><b>{html.escape(value)}</b></div>" for label, value in facts
        )
        return f"<div class='now'>{cells}</div>{_bar(sums, points)}"

    def _live_facts(self, status: dict[str, Any], left: int) -> list[tuple[str, str]]:
        words = self._words
        rate = float(status.get("frames_per_s") or 0)
        remaining = f"{left / rate:.0f} s" if rate > 0 and left else "–"
        p50, p99 = status.get("latency_p50_ms"), status.get("latency_p99_ms")
        return [
            (words("page.remaining"), remaining),
            (words("page.frames_per_s"), f"{rate:.1f}"),
            (words("page.latency"), f"{p50 or 0:.0f} / {p99 or 0:.0f} ms"),
            (words("page.source"), self._sources(status)),
        ]

    def _sources(self, status: dict[str, Any]) -> str:
        words = self._words
        states = [
            f"{name} {words('page.connected') if source.get('connected', True) else words('page.disconnected')}"
            for name, source in status.get("sources", {}).items()
        ]
        return ", ".join(states) or "–"

    def _silence(self, growing: bool) -> str:
        words, age_s = self._words, self._hub.status_age_s()
        if not growing:
            return words("page.finished")
        if age_s > STALE_S:
            since = f"{age_s:.0f} s" if age_s < 86400 * 365 else "–"
            return words("page.stale", since=since)
        return words("page.waiting")


def _bar(sums: dict[str, int], points: int) -> str:
    parts = "".join(
        f"<i style='width:{100 * sums[state.label] / points:.2f}%;background:{STATE_COLOURS[state]}'></i>"
        for state in (PointState.DONE, PointState.RECEIVED, PointState.REJECTED, PointState.LOST_UPSTREAM,
                      PointState.DROPPED_BY_US, PointState.SUPERSEDED)
        if points and sums[state.label]
    )  # fmt: skip
    return f"<div class='bar'>{parts}</div>"
