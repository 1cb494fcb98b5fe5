"""The sample form: what a person says of the sample, before, during and after a scan.

A form that is filled in without a scan holds for every scan that starts from then on, until another one replaces it:
the sample stays mounted for alignment, overview and detail scans, and beamlines know metadata that way (``RE.md`` of
bluesky). The price, a forgotten form on the next sample, is made visible: each result says who filled the form in,
when, and how many scans took it before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.requests import DescribeSample
from phasecast.core.result import ResultHeader
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry, append

FIELDS = (
    "name",
    "sample_id",
    "material",
    "exposure_environment",
    "exposure_duration",
    "preparation",
    "thickness_um",
    "orientation",
    "operator",
    "proposal",
    "institution",
    "comment",
)
"""Fields of the form, in its order; their labels are ``sample.<field>`` in the catalogue of words."""

FORM_KEY = "sample_form"
"""Key of a result's metadata that holds the form its scan took over."""

_IN_METADATA: dict[str, tuple[str, ...]] = {
    "name": ("sample_name",),
    "sample_id": ("sample_id",),
    "operator": ("operator", "user", "username"),
    "proposal": ("proposal", "proposal_id", "proposal_number"),
    "institution": ("institution", "affiliation"),
    "comment": ("comment", "purpose"),
}
"""Where scans of beamlines commonly say it themselves."""
_IN_SAMPLE = {"id": "sample_id", "uid": "sample_id", "description": "comment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleForm:
    """One filled-in form.

    Parameters
    ----------
    request
        Request it came with.
    raw_uid
        Scan it is about; empty for those that start after it.
    fields
        Field to text; an empty text clears the field.
    who, time_s
        Who filled it in, and when (POSIX s).
    """

    request: str
    raw_uid: str
    fields: Mapping[str, str]
    who: str
    time_s: float


class SampleBook(Book):
    """Sample forms of a data directory: `refresh` takes what is new."""

    @property
    def standing(self) -> SampleForm | None:
        """The form that the next scan takes over; None if nobody filled one in."""
        return self._standing[-1] if self._standing else None

    def standing_at(self, time_s: float) -> SampleForm | None:
        """Return the form that a scan that started then took over; None if there was none."""
        return next((form for form in reversed(self._standing) if form.time_s <= time_s), None)

    def about(self, raw_uid: str) -> list[SampleForm]:
        """Return the forms that name a scan, in order of time."""
        return list(self._about.get(raw_uid, ()))

    def takers(self, request: str) -> list[str]:
        """Return the scans that took over a form, in order."""
        return list(self._takers.get(request, ()))

    def _clear(self) -> None:
        self._standing: list[SampleForm] = []
        self._about: dict[str, list[SampleForm]] = {}
        self._takers: dict[str, list[str]] = {}

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "form":
                form = SampleForm(
                    request=str(entry["request"]),
                    raw_uid=str(entry["raw_uid"]),
                    fields={str(name): str(text) for name, text in entry["fields"].items()},
                    who=str(entry["who"]),
                    time_s=float(entry["time_s"]),
                )
                forms = self._about.setdefault(form.raw_uid, []) if form.raw_uid else self._standing
                forms.append(form)
            case "taken":
                self._takers.setdefault(str(entry["form"]), []).append(str(entry["raw_uid"]))


def samples_path(directory: DataDirectory) -> Path:
    """Return the journal of the sample forms."""
    return directory.notebook / "samples.jsonl"


def form_entry(request: DescribeSample, request_id: str, *, time_s: float) -> Entry:
    """Return the entry that keeps a form; `time_s` is when the person sent it."""
    return {
        **stamp(request_id, request.who, time_s),
        "kind": "form",
        "raw_uid": request.scan_raw_uid,
        "fields": dict(request.fields),
    }


def take_form(directory: DataDirectory, raw_uid: str, *, time_s: float) -> dict[str, Any]:
    """Return the standing form for a scan that starts now, and note that the scan took it; empty if there is none.

    Keys: ``request``, ``who``, ``time_s``, ``fields``, ``scans_before`` (how many scans took it before this one).

    Raises
    ------
    RecordsError
        If the journal cannot be read or written.
    """
    path = samples_path(directory)
    book = SampleBook(path)
    book.refresh()
    form = book.standing
    if form is None:
        return {}
    before = book.takers(form.request)
    if raw_uid not in before:
        append(path, [{**stamp("", "live-xrd", time_s), "kind": "taken", "form": form.request, "raw_uid": raw_uid}])
    return {
        "request": form.request,
        "who": form.who,
        "time_s": form.time_s,
        "fields": dict(form.fields),
        "scans_before": len([uid for uid in before if uid != raw_uid]),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is known of the sample of one scan.

    Parameters
    ----------
    fields
        Field to text; only those that say something.
    origin
        Field to where it comes from: ``scan``, ``standing form`` or ``form``.
    form
        The form filled in before the scan, as `take_form` gives it; empty if there was none.
    """

    fields: Mapping[str, str]
    origin: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)


def sample_of(book: SampleBook, raw_uid: str, header: ResultHeader | None) -> Sample:
    """Merge what the scan says of itself, the form before it, and the forms about it; the later one wins.

    Parameters
    ----------
    book
        The forms, refreshed.
    raw_uid
        The scan.
    header
        Header of its result; None if there is none yet.
    """
    metadata = header.metadata if header is not None else {}
    fields = _from_metadata(metadata)
    origin = dict.fromkeys(fields, "scan")
    taken = metadata.get(FORM_KEY)
    form: dict[str, Any] = dict(taken) if isinstance(taken, Mapping) else {}
    if header is not None:
        # a form sent just before the start may have reached the journal just after it
        late = book.standing_at(header.started_s)
        if late is not None and late.time_s > float(form.get("time_s", float("-inf"))):
            form = {"request": late.request, "who": late.who, "time_s": late.time_s, "fields": dict(late.fields)}
    forms = [("standing form", form.get("fields", {}))]
    forms += [("form", later.fields) for later in book.about(raw_uid)]
    for name_of_origin, texts in forms:
        for name, text in texts.items() if isinstance(texts, Mapping) else ():
            fields[name], origin[name] = str(text).strip(), name_of_origin
    said = {name: text for name, text in fields.items() if text}
    return Sample(fields=said, origin={name: origin[name] for name in said}, form=form)


def sample_for(directory: DataDirectory, raw_uid: str, header: ResultHeader | None) -> dict[str, str]:
    """Return what is known of the sample of a scan, field to text; see `sample_of`.

    Raises
    ------
    RecordsError
        If the forms cannot be read.
    """
    book = SampleBook(samples_path(directory))
    book.refresh()
    return dict(sample_of(book, raw_uid, header).fields)


def _from_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, keys in _IN_METADATA.items():
        found = next((metadata[key] for key in keys if isinstance(metadata.get(key), str | int | float)), "")
        fields[name] = str(found)
    sample = metadata.get("sample")
    if isinstance(sample, Mapping):
        for key, value in sample.items():
            name = _IN_SAMPLE.get(str(key), str(key))
            if name in FIELDS and isinstance(value, str | int | float):
                fields[name] = str(value)
    elif isinstance(sample, str):
        fields["name"] = sample
    return {name: text.strip() for name, text in fields.items() if text.strip()}
