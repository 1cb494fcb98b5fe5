"""What people should look at: the points most worth a label, and those that two of them see differently."""

import html
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import panel as pn

from phasecast.records.conflicts import Claim, ClaimBook
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.model_tools import Proposed
from phasecast.web.scans_table import ActionTable, printable
from phasecast.web.session import Session
from phasecast.web.theme import PARTS

_CONFLICTS = 50


class ModelQueuePart:
    """Queue and contradictions of the scan in view; a click shows a point on the map.

    Parameters
    ----------
    hub
        Finds the points.
    session
        Whose view changes.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view = hub, session.words, session.view
        words = session.words
        self._state, self._conflict_state = (
            pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-{name}-state"], sizing_mode="stretch_width")
            for name in ("queue", "conflicts")
        )
        self._queue, self._conflicts = (
            ActionTable(
                head=[words(f"model.{column}") for column in columns],
                css_classes=[f"pc-{name}-table"],
                sizing_mode="stretch_width",
            )
            for name, columns in (
                ("queue", ("point", "unsure_of", "stands_for", "show")),
                ("conflicts", ("point", "said", "show")),
            )
        )
        for table in (self._queue, self._conflicts):
            table.on_msg(lambda event: self._asked(event.data))
        self.panel: Any = pn.Column(
            self._conflict_state, self._conflicts, self._state, self._queue, sizing_mode="stretch_width"
        )

    def show(self, scan: LiveScan, claims: ClaimBook, blind_rows: set[int], names: Mapping[str, str]) -> None:
        """Bring both lists up to date.

        Parameters
        ----------
        scan
            The scan.
        claims
            What people say of its points, up to date.
        blind_rows
            Rows of its blind checks: labels there would be chosen knowing what the model says.
        names
            Id of a class to its name.
        """
        self._show_conflicts(claims, names)
        found = self._hub.proposals.of(scan, frozenset(claims.rows | blind_rows))
        failure = self._hub.proposals.failure_of(scan)
        title = f"<h4>{html.escape(self._words('model.queue_title'))}</h4>"
        if failure:
            note, kind = failure, "bad"
        elif found is None:
            note, kind = self._words("model.queue_waits"), "hint"
        else:
            note, kind = self._words("model.queue_hint" if found else "model.queue_empty"), "hint"
        content = f"{title}<p class='{kind}'>{html.escape(note)}</p>"
        if content != self._state.object:
            self._state.object = content
        self._queue.visible = bool(found)
        self._queue.say([self._row(one, names) for one in found or ()])

    def _row(self, one: Proposed, names: Mapping[str, str]) -> dict[str, Any]:
        unsure = ", ".join(names.get(name, name) for name in one.unsure_of)
        return {
            "key": str(one.row),
            "cells": [
                [{"text": str(one.row)}],
                [
                    {"text": printable(unsure), "style": "beside"},
                    {"text": f"{one.confidence:.2f}", "style": "faint beside"},
                ],
                [{"text": str(one.stands_for), "style": "number"}],
                [{"text": self._words("model.show"), "ask": {"show": one.row}, "hook": "pc-queue-show"}],
            ],
        }

    def _show_conflicts(self, claims: ClaimBook, names: Mapping[str, str]) -> None:
        conflicts = claims.conflicts
        words = self._words
        content = ""
        if conflicts:
            title, hint = words("model.conflicts_title", count=len(conflicts)), words("model.conflicts_hint")
            content = f"<h4 class='warn'>{html.escape(title)}</h4><p class='hint'>{html.escape(hint)}</p>"
        if content != self._conflict_state.object:
            self._conflict_state.object = content
        self._conflicts.visible = bool(conflicts)
        self._conflicts.say([self._conflict(claims_of, names) for claims_of in conflicts[:_CONFLICTS]])

    def _conflict(self, claims: tuple[Claim, ...], names: Mapping[str, str]) -> dict[str, Any]:
        row = claims[0].point
        said = [{"text": printable(claim_text(claim, names))} for claim in claims]
        show = [{"text": self._words("model.show"), "ask": {"show": row}, "hook": "pc-conflict-show"}]
        return {"key": str(row), "cells": [[{"text": str(row)}], said, show]}

    def _asked(self, message: Any) -> None:
        # what comes from a browser may be anything
        row = message.get("show") if isinstance(message, dict) else None
        if isinstance(row, int) and row >= 0:
            self._view.choose(np.array([row], dtype=np.int64))
            self._view.param.trigger("to_map")


def claim_text(claim: Claim, names: Mapping[str, str]) -> str:
    """Return who says what, and when."""
    when = datetime.fromtimestamp(claim.time_s).strftime("%Y-%m-%d %H:%M")
    return f"{claim.who}: {', '.join(names.get(name, name) for name in claim.classes) or '–'} ({when})"
