"""The sample form: what people say of the sample, of the scan in view or of the scans to come."""

import html
from collections.abc import Mapping
from typing import Any

import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.requests import DescribeSample
from phasecast.records.samples import FIELDS, SampleBook, SampleForm, sample_of, samples_path
from phasecast.web.asking import Asking
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.sample_draft import Draft
from phasecast.web.sample_words import SampleWords
from phasecast.web.scans_table import printable
from phasecast.web.session import Session
from phasecast.web.theme import PARTS

_LONG = ("exposure_environment", "preparation", "comment")
_THIS, _NEXT = "this", "next"
_OLDER = 12


class SampleTab:
    """Sample form of one session.

    Parameters
    ----------
    hub
        Its mailbox takes what is saved.
    session
        Words, and who looks.
    """

    title_key = "sample.tab"

    def __init__(self, hub: Hub, session: Session) -> None:
        self._hub, self._words, self._view = hub, session.words, session.view
        self._say = SampleWords(session.words)
        self._book = SampleBook(samples_path(hub.directory))
        self._drafts: dict[str, Draft] = {}
        self._key = ""
        """Scan that the form on the screen is about; empty for those to come."""
        self._scan: LiveScan | None = None
        self._filling = False
        self._shown: tuple[Any, ...] = ()
        words = session.words
        self._about = pn.widgets.RadioButtonGroup(
            options={words("sample.for_next"): _NEXT}, value=_NEXT, css_classes=["pc-sample-about"],
            color="primary", variant="outline",
        )  # fmt: skip
        self._about.param.watch(lambda _: self.show(self._scan), "value")
        self._fields = {name: self._widget(name) for name in FIELDS}
        self._save = pn.widgets.Button(
            label=words("sample.save"), color="primary", css_classes=["pc-sample-save"], width=140
        )
        self._save.on_click(lambda _: self._ask())
        self._asking = Asking(hub.mailbox, words, "pc-sample-answer")
        self._hint, self._history, self._metadata = (
            pn.pane.HTML("", stylesheets=[PARTS], css_classes=[f"pc-sample-{name}"], sizing_mode="stretch_width")
            for name in ("hint", "history", "metadata")
        )
        form = pn.Column(
            self._about,
            self._hint,
            pn.GridBox(*self._fields.values(), ncols=2, sizing_mode="stretch_width"),
            pn.Row(self._save, self._asking.line, sizing_mode="stretch_width"),
            sizing_mode="stretch_width", min_width=560,
        )  # fmt: skip
        beside = pn.Column(self._history, self._metadata, sizing_mode="stretch_width", min_width=420)
        self.panel: Any = pn.Row(form, beside, css_classes=["pc-sample"], sizing_mode="stretch_width")

    def show(self, scan: LiveScan | None) -> None:
        """Bring the form and what stands beside it up to date; what the person typed stays."""
        came = scan is not None and self._scan is None
        self._scan = scan
        self._asking.look()
        try:
            self._book.refresh()
        except PhasecastError as error:
            self._asking.refuse(str(error))
        self._offer(scan, choose=came)
        about_this = self._about.value == _THIS and scan is not None
        self._key = scan.header.raw_uid if about_this and scan is not None else ""
        saved, origin = self._saved()
        draft = self._drafts.setdefault(self._key, Draft(FIELDS))
        draft.follow(saved)
        self._fill(draft, origin)
        self._write(draft)

    # form

    def _widget(self, name: str) -> Any:
        kind = pn.widgets.TextAreaInput if name in _LONG else pn.widgets.TextInput
        extra = {"rows": 2, "auto_grow": True, "max_rows": 8} if name in _LONG else {}
        widget = kind(
            label=self._say.label(name), css_classes=[f"pc-sample-{name}"], sizing_mode="stretch_width", **extra
        )

        def typed(*events: Any) -> None:
            if not self._filling:
                self._drafts[self._key].type(name, events[-1].new or "")

        widget.param.watch(typed, ["value", "value_input"])
        return widget

    def _offer(self, scan: LiveScan | None, *, choose: bool) -> None:
        words = self._words
        options = {}
        if scan is not None and scan.header.raw_uid:
            options[words("sample.for_this", name=printable(scan.path.stem))] = _THIS
        options[words("sample.for_next")] = _NEXT
        if options == self._about.options:
            return
        wanted = self._about.value if _THIS in options.values() and not choose else next(iter(options.values()))
        self._about.param.update(options=options, value=wanted)

    def _saved(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return what is known now, field to text and field to where it comes from."""
        if self._key and self._scan is not None:
            sample = sample_of(self._book, self._key, self._scan.header)
            return sample.fields, sample.origin
        standing = self._book.standing
        return (standing.fields if standing is not None else {}), {}

    def _fill(self, draft: Draft, origin: Mapping[str, str]) -> None:
        """Bring the widgets up to what the draft says; a field that somebody types into is right already."""
        self._filling = True
        try:
            for name, widget in self._fields.items():
                label = self._say.label(name, "" if draft.is_touched(name) else origin.get(name, ""))
                if widget.label != label:
                    widget.label = label
                text = draft.text[name]
                if (widget.value_input or "") != text:
                    widget.param.update(value=text, value_input=text)
        finally:
            self._filling = False

    def _ask(self) -> None:
        words, who = self._words, str(self._view.who).strip()
        draft = self._drafts[self._key]
        touched = draft.touched()
        if not touched:
            self._asking.refuse(words("sample.unchanged"))
            return
        if not who:
            self._asking.refuse(words("page.name_first"))
            return
        # a form for the scans to come stands alone; one about a scan adds to what the scan says of itself
        fields = touched if self._key else draft.filled()
        try:
            request: DescribeSample | PhasecastError = DescribeSample(scan_raw_uid=self._key, fields=fields, who=who)
        except PhasecastError as error:
            request = error
        self._asking.ask(request)

    # beside the form

    def _write(self, draft: Draft) -> None:
        overtaken = ", ".join(self._say.label(name) for name in FIELDS if name in draft.overtaken)
        hint = self._words("sample.hint_this" if self._key else "sample.hint_next")
        text = f"<p class='hint'>{html.escape(hint)}</p>"
        if overtaken:
            text += f"<p class='warn'>{html.escape(self._words('sample.overtaken', fields=overtaken))}</p>"
        if self._hint.object != text:
            self._hint.object = text
        standing = self._book.standing
        takers = len(self._book.takers(standing.request)) if standing is not None else 0
        state = (self._key, self._scan, len(self._book.requests), takers)
        if state == self._shown:
            return
        self._shown = state
        metadata = self._say.metadata(self._scan.header.metadata) if self._scan is not None else ""
        self._metadata.object = metadata
        if self._key and self._scan is not None:
            taken = sample_of(self._book, self._key, self._scan.header).form
            forms = [(form, form.fields) for form in reversed(self._book.about(self._key))]
            self._history.object = self._say.history(forms, taken)
        else:
            count = self._say.takers(takers) if standing is not None else ""
            self._history.object = count + self._say.history(_standing_forms(self._book), {})


def _standing_forms(book: SampleBook) -> list[tuple[SampleForm, Mapping[str, str]]]:
    """Return the newest forms for scans to come, each with what it changed, the newest first."""
    forms: list[tuple[SampleForm, Mapping[str, str]]] = []
    form = book.standing
    while form is not None and len(forms) < _OLDER:
        before = book.standing_at(form.time_s - 1e-6)
        known = before.fields if before is not None else {}
        names = [name for name in (*FIELDS, *known, *form.fields) if form.fields.get(name, "") != known.get(name, "")]
        forms.append((form, {name: form.fields.get(name, "") for name in dict.fromkeys(names)}))
        form = before
    return forms
