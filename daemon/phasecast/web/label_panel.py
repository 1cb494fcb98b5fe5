"""Labels: a person says which classes the chosen points hold; saved at once, undone with one button."""

import html
from datetime import datetime
from typing import Any

import numpy as np
import panel as pn
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.requests import MAX_LABEL_POINTS, LabelPoints, UndoLabel
from phasecast.records.labels import Label, LabelBook, label_path
from phasecast.web.asking import Asking
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.session import Session
from phasecast.web.theme import PARTS

_LISTED = 6


class LabelPanel:
    """The labelling panel of one session.

    Parameters
    ----------
    hub
        Mailbox and data directory.
    session
        Words, chosen points, and who looks.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._session = hub, session
        self._words = session.words
        self._scan: LiveScan | None = None
        self._points: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._book: LabelBook | None = None
        self._shown: tuple[Any, ...] = ()
        words = self._words
        self._classes = pn.widgets.CheckButtonGroup(
            name="", options=[], css_classes=["pc-label-classes"], button_type="primary", button_style="outline",
            sizing_mode="stretch_width", stylesheets=[":host .bk-btn-group { flex-wrap: wrap; }"],
        )  # fmt: skip
        self._note = pn.widgets.TextInput(
            placeholder=words("page.label_note"), css_classes=["pc-label-note"], width=220
        )
        self._save = pn.widgets.Button(
            name=words("page.label_save"), button_type="primary", css_classes=["pc-label-save"], width=120
        )
        self._undo = pn.widgets.Button(name=words("page.label_undo"), css_classes=["pc-label-undo"], width=120)
        self._save.on_click(lambda _: self._ask_for_label())
        self._undo.on_click(lambda _: self._ask_for_undo())
        self._asking = Asking(hub.mailbox, words, "pc-label-answer")
        self._list = pn.pane.HTML("", stylesheets=[PARTS], css_classes=["pc-label-list"], sizing_mode="stretch_width")
        self.panel = pn.Column(
            pn.pane.HTML(f"<b>{html.escape(words('page.label_title'))}</b>", stylesheets=[PARTS]),
            self._classes,
            pn.Row(self._note, self._save, self._undo),
            self._asking.line,
            self._list,
            css_classes=["pc-label"],
            sizing_mode="stretch_width",
        )

    def show(self, scan: LiveScan, points: NDArray[np.int64]) -> None:
        """Bring the panel up to date with the chosen points and the labels in force."""
        if scan is not self._scan:
            self._scan = scan
            self._book = LabelBook(label_path(self._hub.directory, scan.header.raw_uid))
            self._classes.options = {
                self._words.name_of(phase.name_en, phase.name_ja): phase.id for phase in scan.header.classes
            }
            self._classes.value = []
        assert self._book is not None
        answered = self._asking.look()
        changed = self._read(self._book)
        if not np.array_equal(points, self._points):
            self._points = points
            self._classes.value = list(self._label_of_chosen().classes) if self._label_of_chosen() else []
        state = (scan, points.tobytes())
        if answered or changed or state != self._shown:
            self._shown = state
            self._write_list()
        self._save.disabled = points.size == 0 or not scan.header.classes

    def labels(self) -> list[Label]:
        """Labels of the scan that are in force."""
        return self._book.labels if self._book is not None else []

    def _read(self, book: LabelBook) -> bool:
        try:
            return book.refresh()
        except PhasecastError as error:
            self._asking.refuse(str(error))
            return False

    def _label_of_chosen(self) -> Any:
        if self._points.size != 1:
            return None
        point = int(self._points[0])
        return next((label for label in reversed(self.labels()) if label.point == point), None)

    def _write_list(self) -> None:
        words, names = self._words, {value: name for name, value in self._classes.options.items()}
        labels = self.labels()
        lines = "".join(
            f"<div>{words('common.point')} {label.point}: "
            f"<b>{html.escape(', '.join(names.get(name, name) for name in label.classes) or '–')}</b> "
            f"<span class='hint'>{html.escape(label.who)}, "
            f"{datetime.fromtimestamp(label.time_s).strftime('%Y-%m-%d %H:%M')} {html.escape(label.note)}</span></div>"
            for label in labels[: -_LISTED - 1 : -1]
        )
        head = html.escape(words("page.labels_of_scan", count=len(labels)))
        self._list.object = f"{self._conflict_html(names)}<p class='hint'>{head}</p>{lines}"

    def _conflict_html(self, names: dict[str, str]) -> str:
        """Say who sees the chosen point differently: the newest label replaces nobody else's."""
        if self._points.size != 1 or self._book is None:
            return ""
        said = [label for label in self._book.said if label.point == int(self._points[0])]
        if len({frozenset(label.classes) for label in said}) < 2:
            return ""
        opinions = "; ".join(
            f"{label.who}: {', '.join(names.get(name, name) for name in label.classes) or '–'}" for label in said
        )
        return f"<p class='warn'>{html.escape(self._words('page.label_conflict', opinions=opinions))}</p>"

    def _ask_for_label(self) -> None:
        who = self._who()
        if who is None or self._scan is None:
            return
        if self._points.size > MAX_LABEL_POINTS:
            self._asking.refuse(self._words("page.label_too_many", most=MAX_LABEL_POINTS))
            return
        if not self._classes.value:
            self._asking.refuse(self._words("page.label_class_first"))
            return
        try:
            request: LabelPoints | PhasecastError = LabelPoints(
                scan_raw_uid=self._scan.header.raw_uid,
                result=self._scan.path.name,
                points=tuple(int(point) for point in self._points),
                classes=tuple(self._classes.value),
                who=who,
                note=self._note.value.strip(),
            )
        except PhasecastError as error:
            request = error
        self._asking.ask(request)

    def _ask_for_undo(self) -> None:
        """Take back the label of the chosen point, or else the last request of all."""
        who, chosen = self._who(), self._label_of_chosen()
        if who is None:
            return
        labels = self.labels()
        if chosen is None and not labels:
            self._asking.refuse(self._words("page.label_none"))
            return
        label_id = chosen.id if chosen is not None else labels[-1].request
        self._asking.ask(UndoLabel(label_id=label_id, who=who))

    def _who(self) -> str | None:
        who: str = self._session.view.who.strip()
        if not who:
            self._asking.refuse(self._words("page.name_first"))
            return None
        return who
