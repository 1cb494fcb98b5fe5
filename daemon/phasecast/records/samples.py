"""The sample form: what a person says of the sample, before, during and after a scan.

A form that is filled in without a scan holds for every scan that starts from then on, until another one replaces it:
the sample stays mounted for alignment, overview and detail scans, and beamlines know metadata that way (``RE.md`` of
bluesky). The price, a forgotten form on the next sample, is made visible: each result says who filled the form in,
when, and how many scans took it before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.requests import DescribeSample
from phasecast.core.result import ResultHeader
from phasecast.core.sample_fields import SAMPLE_FIELDS
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry, append

FIELDS = SAMPLE_FIELDS
"""Fields of the form, in its order; their labels are ``sample.<field>`` in the catalogue of words."""

FORM_KEY = "sample_form"
"""Key of a result's metadata that holds the form its scan took over."""
FOLDER_KEY = "sample_from_folder"
"""Key of a result's metadata that holds what the name of the frames' folder says: ``path`` and ``fields``."""
SIDECAR_KEY = "sample_file"
"""Key of a result's metadata that holds a sample file beside the frames: ``path``, ``who``, ``time_s``, ``fields``."""
PROPOSAL_KEY = "data_directory_proposal"
"""Key of a result's metadata that holds the proposal of its data directory: ``id``, ``title`` and ``users``."""

_IN_METADATA: dict[str, tuple[str, ...]] = {
    "name": ("sample_name",),
    "sample_id": ("sample_id",),
    "operator": ("operator", "user", "username"),
    "proposal": ("proposal", "proposal_id", "proposal_number"),
    "institution": ("institution", "affiliation"),
    "comment": ("comment", "purpose", "notes"),
    "condition": ("condition", "sample_condition"),
    "thickness_um": ("thickness_um", "section_thickness_um"),
    "mounted_side": ("mounted_side",),
}
"""Where scans of beamlines commonly say it themselves."""
_IN_SAMPLE = {
    "id": "sample_id",
    "uid": "sample_id",
    "description": "comment",
    "notes": "comment",
    "section_thickness_um": "thickness_um",
}


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

    def standing_of_file(self, file: str) -> Mapping[str, str]:
        """Return what a sample file said when it was last looked at, of scans to come; empty if it never did."""
        return self._of_files.get(("", file), {})

    def about_of_file(self, raw_uid: str, file: str) -> Mapping[str, str]:
        """Return what a sample file said of a scan when it was last looked at; empty if it never did."""
        return self._of_files.get((raw_uid, file), {})

    def takers(self, request: str) -> list[str]:
        """Return the scans that took over a form, in order."""
        return list(self._takers.get(request, ()))

    def _clear(self) -> None:
        self._standing: list[SampleForm] = []
        self._about: dict[str, list[SampleForm]] = {}
        self._takers: dict[str, list[str]] = {}
        self._of_files: dict[tuple[str, str], Mapping[str, str]] = {}

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
                if entry.get("file"):
                    said = entry.get("file_fields", {})
                    self._of_files[form.raw_uid, str(entry["file"])] = {str(key): str(said[key]) for key in said}
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
        Field to where it comes from: ``proposal`` (of the data directory), ``scan``, ``folder`` (its name),
        ``standing form``, ``sample file`` (beside the frames) or ``form``.
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
    taken = metadata.get(FORM_KEY)
    form: dict[str, Any] = dict(taken) if isinstance(taken, Mapping) else {}
    if header is not None:
        # a form sent just before the start may have reached the journal just after it
        late = book.standing_at(header.started_s)
        if late is not None and late.time_s > float(form.get("time_s", float("-inf"))):
            form = {"request": late.request, "who": late.who, "time_s": late.time_s, "fields": dict(late.fields)}
    layers = _at_start(metadata, form) + [("form", later.fields) for later in book.about(raw_uid)]
    return _merged(layers, form)


def sample_at_start(metadata: Mapping[str, Any]) -> Sample:
    """Return what is known of a sample when its scan starts: all that a result file can hold of it.

    Parameters
    ----------
    metadata
        Of the result: what the scan says of itself, and under its own keys what was found beside it.
    """
    taken = metadata.get(FORM_KEY)
    form: dict[str, Any] = dict(taken) if isinstance(taken, Mapping) else {}
    return _merged(_at_start(metadata, form), form)


_Layer = tuple[str, Mapping[str, Any]]


def _at_start(metadata: Mapping[str, Any], form: Mapping[str, Any]) -> list[_Layer]:
    """Return what is said of a sample at the start of its scan; the later entry of the list is the nearer to it."""
    proposal = _fields_under(metadata, PROPOSAL_KEY, "id")
    return [
        ("proposal", {"proposal": proposal} if isinstance(proposal, str) else {}),
        ("scan", _from_metadata(metadata)),
        ("folder", _fields_under(metadata, FOLDER_KEY)),
        ("standing form", form.get("fields", {})),
        ("sample file", _fields_under(metadata, SIDECAR_KEY)),
    ]


def _fields_under(metadata: Mapping[str, Any], key: str, name: str = "fields") -> Any:
    found = metadata.get(key)
    return found.get(name, {}) if isinstance(found, Mapping) else {}


def _merged(layers: Sequence[_Layer], form: Mapping[str, Any]) -> Sample:
    fields: dict[str, str] = {}
    origin: dict[str, str] = {}
    for name_of_origin, texts in layers:
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
