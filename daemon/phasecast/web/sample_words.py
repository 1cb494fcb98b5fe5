"""What is known of a sample and who said so, as HTML; everything is escaped here."""

import html
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from phasecast.core.words import Words
from phasecast.records.samples import FIELDS, FORM_KEY, SampleForm
from phasecast.web.scans_table import printable

_MOST_FORMS = 12
_MOST_ENTRIES = 80
_LONGEST = 240
_MACHINERY = ("versions", "plan_", "hints", "num_", "detectors", "motors")
"""Beginnings of keys that a scan program writes for itself; they come last."""
ORIGINS = {
    "scan": "from_scan",
    "standing form": "from_standing",
    "form": "from_form",
    "folder": "from_folder",
    "sample file": "from_file",
    "proposal": "from_proposal",
}
"""Where a field comes from, to its entry in the catalogue."""


class SampleWords:
    """Text of the sample tab in the words of one session.

    Parameters
    ----------
    words
        Of the session.
    """

    def __init__(self, words: Words) -> None:
        self._words = words

    def label(self, field: str, origin: str = "") -> str:
        """Return the name of a field, with where its text comes from."""
        name = self._words(f"sample.{field}")
        return f"{name} · {self._words(f'sample.{ORIGINS[origin]}')}" if origin in ORIGINS else name

    def history(self, forms: Sequence[tuple[SampleForm, Mapping[str, str]]], taken: Mapping[str, Any]) -> str:
        """Return who said what, the newest first.

        Parameters
        ----------
        forms
            Each with the fields that it changed, the newest first.
        taken
            The form that the scan took over when it started, as `Sample.form`; empty if there was none.
        """
        lines = [self._form(form.who, form.time_s, changed) for form, changed in forms[:_MOST_FORMS]]
        if taken:
            fields = taken.get("fields")
            lines.append(
                self._form(
                    str(taken.get("who", "")), _number(taken.get("time_s")),
                    fields if isinstance(fields, Mapping) else {}, scans=int(_number(taken.get("scans_before"))),
                )
            )  # fmt: skip
        if not lines:
            return f"<p class='hint'>{html.escape(self._words('sample.nobody'))}</p>"
        return f"<h4>{html.escape(self._words('sample.history'))}</h4>{''.join(lines)}"

    def takers(self, scans: int) -> str:
        """Return how many scans took over the form that stands."""
        return f"<p class='{'warn' if scans else 'hint'}'>{html.escape(self._words('sample.taken', scans=scans))}</p>"

    def metadata(self, metadata: Mapping[str, Any]) -> str:
        """Return what the scan says of itself."""
        entries = list(flat({key: value for key, value in metadata.items() if key != FORM_KEY}))
        entries.sort(key=lambda entry: entry[0].startswith(_MACHINERY))
        if not entries:
            return f"<p class='hint'>{html.escape(self._words('sample.no_metadata'))}</p>"
        rows = "".join(
            f"<tr><td>{html.escape(printable(name))}</td><td>{html.escape(printable(text))}</td></tr>"
            for name, text in entries[:_MOST_ENTRIES]
        )
        more = f"<p class='hint'>+ {len(entries) - _MOST_ENTRIES}</p>" if len(entries) > _MOST_ENTRIES else ""
        head = html.escape(self._words("sample.metadata"))
        return f"<h4>{head}</h4><table class='facts'>{rows}</table>{more}"

    def _form(self, who: str, time_s: float, fields: Mapping[str, str], *, scans: int | None = None) -> str:
        words, when = self._words, _time(time_s)
        if scans is None:
            head = words("sample.said", who=who, time=when)
        else:
            head = words("sample.standing", who=who, time=when, scans=scans)
        said = "; ".join(
            f"{self.label(name) if name in FIELDS else name}: {text or words('sample.cleared')}"
            for name, text in fields.items()
        )
        return f"<p>{html.escape(printable(head))}<br><span class='hint'>{html.escape(printable(said))}</span></p>"


def flat(metadata: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (name, text) of nested metadata; names of inner keys follow those of outer ones after a dot."""
    for key, value in metadata.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        text = " ".join(text.split())
        if text:
            yield name, text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _time(time_s: float) -> str:
    try:
        return datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M:%S") if time_s > 0 else "–"
    except (ValueError, OverflowError, OSError):
        return "–"
