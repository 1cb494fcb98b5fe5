"""The form that declares the scan of the frames that come next, where no bluesky announces it."""

import html
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import panel as pn
import tomli_w

from phasecast.core.errors import PhasecastError
from phasecast.core.requests import DeclareScan
from phasecast.profiles import ScanDeclaration, load_scan
from phasecast.web.asking import Asking
from phasecast.web.declare_form import FIELDS, FormField, Problem, declaration_in, empty_form, form_of, has_log
from phasecast.web.hub import STALE_S, Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.scans_table import printable
from phasecast.web.session import Session
from phasecast.web.theme import PARTS, WIDGETS

_LIST_S = 2.0
_EARLIER = 30
GROUPS: dict[str, tuple[str, ...]] = {
    "raster": (
        "name", "fast_axis", "nx", "ny", "step_x_um", "step_y_um", "origin_x_um", "origin_y_um", "exposure_s", "snake",
    ),
    "frames": ("series", "first_number", "lead_in_frames_per_row", "frames_per_row"),
    "positions": ("positions", "expected_start"),
    "log": (
        "log.path", "log.encoding", "log.delimiter", "log.join",
        "log.x.column", "log.x.unit", "log.x.factor", "log.x.sign",
        "log.y.column", "log.y.unit", "log.y.factor", "log.y.sign",
        "log.file", "log.number", "log.number_offset", "log.scalars",
        "log.time", "log.time_format", "log.time_zone", "log.patience_s", "log.existing",
    ),
}  # fmt: skip
"""Fields of each group, in rows of four."""


class DeclareTab:
    """Form of one session.

    Parameters
    ----------
    hub
        Its mailbox takes what is declared.
    session
        Words, and who looks.
    """

    title_key = "declare.tab"

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view = hub, session.words, session.view
        self._texts = empty_form()
        self._touched: set[str] = set()
        self._filling = False
        self._listed_s = -_LIST_S
        words = session.words
        self._lines: dict[str, Any] = {}
        self._widgets = {name: self._widget(field) for name, field in FIELDS.items()}
        self._earlier = pn.widgets.Select(
            name=words("declare.from_earlier"), options={words("declare.none"): ""}, value="", stylesheets=[WIDGETS],
            css_classes=["pc-declare-earlier"], width=420,
        )  # fmt: skip
        self._earlier.param.watch(lambda event: self._fill_from(str(event.new or "")), "value")
        self._declare = pn.widgets.Button(
            label=words("declare.declare"), color="primary", css_classes=["pc-declare-go"], width=180
        )
        self._declare.on_click(lambda _: self._ask())
        self._asking = Asking(hub.mailbox, words, "pc-declare-answer")
        self._state, self._sums = (
            pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-declare-{name}"], sizing_mode="stretch_width")
            for name in ("state", "sums")
        )
        groups = {name: self._group(name, fields) for name, fields in GROUPS.items()}
        self._log = groups["log"]
        hint = f"<p class='hint'>{html.escape(words('declare.hint'))}</p>"
        self.panel: Any = pn.Column(
            pn.pane.HTML(hint, stylesheets=[PARTS], sizing_mode="stretch_width"),
            self._state,
            self._earlier,
            *groups.values(),
            self._sums,
            pn.Row(self._declare, self._asking.line, sizing_mode="stretch_width"),
            css_classes=["pc-declare"], sizing_mode="stretch_width", max_width=1200,
        )  # fmt: skip
        self._judge()

    def show(self, scan: LiveScan | None) -> None:
        """Bring what the daemon says, and the list of earlier declarations, up to date; the fields stay."""
        del scan
        self._asking.look()
        _say(self._state, *self._daemon_says())
        if time.monotonic() - self._listed_s >= _LIST_S:
            self._listed_s = time.monotonic()
            self._offer_earlier()

    # form

    def _group(self, name: str, fields: tuple[str, ...]) -> Any:
        title = f"<h4>{html.escape(self._words(f'declare.group_{name}'))}</h4>"
        cells = [pn.Column(self._widgets[field], self._lines[field], width=270) for field in fields]
        return pn.Column(
            pn.pane.HTML(title, stylesheets=[PARTS]), pn.GridBox(*cells, ncols=4), sizing_mode="stretch_width"
        )

    def _widget(self, field: FormField) -> Any:
        words, css = self._words, [f"pc-declare-{field.name.replace('.', '-')}"]
        label = words(f"declare.{field.name.replace('.', '_')}") + (" *" if field.needed else "")
        value = self._texts[field.name]
        # the model speaks English alone
        help_text = field.description if words.language == "en" else None
        self._lines[field.name] = pn.pane.HTML(
            "", stylesheets=[PARTS], css_classes=[f"{css[0]}-error"], width=250, margin=(0, 10)
        )
        if field.kind == "switch":
            widget = pn.widgets.Checkbox(
                name=label, value=bool(value), css_classes=css, width=250, margin=(28, 10, 0, 10)
            )
        elif field.kind == "choice":
            options = {self._choice(field, choice): choice for choice in field.choices if choice or field.in_log}
            widget = pn.widgets.Select(
                name=label,
                options=options,
                value=value,
                css_classes=css,
                stylesheets=[WIDGETS],
                width=250,
                description=help_text,
            )
        else:
            widget = pn.widgets.TextInput(label=label, value=value, css_classes=css, width=250, description=help_text)

        def changed(*events: Any) -> None:
            if not self._filling:
                new = events[-1].new
                self._texts[field.name] = ("1" if new else "") if isinstance(new, bool) else str(new or "")
                self._touched.add(field.name)
                self._judge()

        widget.param.watch(changed, ["value", "value_input"] if field.kind == "text" else ["value"])
        return widget

    def _choice(self, field: FormField, choice: str) -> str:
        if field.name.rpartition(".")[2] in ("fast_axis", "unit", "sign", "encoding"):
            return {"-1": "−1", "1": "+1", "um": "µm", "pulse": self._words("declare.pulse")}.get(
                choice, self._words("declare.auto") if choice == "auto" else choice
            )
        return self._words(f"declare.choice_{choice or 'auto'}")

    def _judge(self) -> ScanDeclaration | None:
        """Say what is wrong with the fields that were touched, and what the scan would be."""
        found = declaration_in(self._texts)
        problems: Mapping[str, Problem] = found if isinstance(found, dict) else {}
        for name, line in self._lines.items():
            problem = problems.get(name) if name in self._touched else None
            _say(line, self._words(problem.key, **problem.values) if problem else "", "bad")
        self._log.visible = has_log(self._texts)
        if isinstance(found, dict):
            _say(self._sums, "", "hint")
            return None
        x_um, y_um = found.extent_um
        took = str(timedelta(seconds=round(found.least_s)))
        values = {"points": found.points, "frames": found.expected_frames, "x_um": f"{x_um:g}", "y_um": f"{y_um:g}"}
        _say(self._sums, self._words("declare.sums", time=took, **values), "good")
        return found

    def _ask(self) -> None:
        words, who = self._words, str(self._view.who).strip()
        self._touched.update(FIELDS)
        declaration = self._judge()
        if declaration is None:
            self._asking.refuse(words("declare.correct"))
        elif not self._is_daemon_there():
            self._asking.refuse(words("declare.no_daemon"))
        elif not who:
            self._asking.refuse(words("page.name_first"))
        else:
            content = declaration.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            try:
                self._asking.ask(DeclareScan(text=tomli_w.dumps(content), who=who))
            except PhasecastError as error:
                self._asking.refuse(str(error))

    # earlier declarations

    def _offer_earlier(self) -> None:
        paths = sorted(self._hub.directory.scans.glob("*.toml"), reverse=True)[:_EARLIER]
        options = {self._words("declare.none"): ""}
        options |= {path.stem: path.name for path in paths if printable(path.name) == path.name}
        if options != self._earlier.options:
            self._earlier.options = options

    def _fill_from(self, name: str) -> None:
        if not name or Path(name).name != name:
            return
        try:
            declaration = load_scan(self._hub.directory.scans / name)
        except PhasecastError as error:
            self._asking.refuse(str(error))
            return
        self._texts = form_of(declaration)
        self._filling = True
        try:
            for field, widget in self._widgets.items():
                text = self._texts[field]
                if FIELDS[field].kind == "text":
                    widget.param.update(value=text, value_input=text)
                else:
                    widget.value = bool(text) if FIELDS[field].kind == "switch" else text
        finally:
            self._filling = False
        self._judge()

    # the daemon

    def _is_daemon_there(self) -> bool:
        status = self._hub.status()
        return bool(status) and (status or {}).get("state") == "running" and self._hub.status_age_s() <= STALE_S

    def _daemon_says(self) -> tuple[str, str]:
        words = self._words
        if not self._is_daemon_there():
            return words("declare.no_daemon"), "bad"
        said = (self._hub.status() or {}).get("declaration", {})
        if said.get("refusal"):
            return words(f"answer.{said['refusal']}"), "warn"
        if "state" not in said:
            return words("declare.state_none"), "hint"
        values = {name: said.get(name, "") for name in ("name", "points", "who", "series")}
        values = {**values, "name": values["name"] or values["series"] or "–"}
        return words(f"declare.state_{said['state']}", **values), "good" if said["state"] == "waiting" else "hint"


def _say(pane: Any, text: str, kind: str) -> None:
    content = f"<p class='{kind}'>{html.escape(text)}</p>" if text else ""
    if pane.object != content:
        pane.object = content
