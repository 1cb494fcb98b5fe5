"""Sample, people and proposal of a result, as NeXus names them."""

from collections.abc import Mapping

import h5py

from phasecast.core.result import ResultHeader
from phasecast.records.samples import PROPOSAL_KEY, sample_at_start
from phasecast.sinks.nexus_parts import put_group, put_number, put_text, to_json

_IN_SAMPLE = (
    "sample_id",
    "material",
    "condition",
    "exposure_environment",
    "exposure_duration",
    "preparation",
    "mounted_side",
    "orientation",
)


def create_sample(entry: h5py.Group, header: ResultHeader) -> None:
    """Create NXsample, NXuser and the proposal from all that was said before the scan; later words lie beside the file.

    Parameters
    ----------
    entry
        The NXentry.
    header
        What is known of the result.
    """
    metadata = header.metadata
    fields = sample_at_start(metadata).fields
    sample = put_group(entry, "sample", "NXsample")
    put_text(sample, "name", fields.get("name", "unknown"))
    given = metadata.get("sample")
    if given:
        put_text(sample, "description", given if isinstance(given, str) else to_json(given))
    for name in _IN_SAMPLE:
        if name in fields:
            put_text(sample, name, fields[name])
    _thickness(sample, fields)
    if "comment" in fields:
        notes = put_group(sample, "notes", "NXnote")
        put_text(notes, "type", "text/plain")
        put_text(notes, "data", fields["comment"])
    _people(entry, header, fields)


def _thickness(sample: h5py.Group, fields: Mapping[str, str]) -> None:
    if "thickness_um" not in fields:
        return
    try:
        put_number(sample, "thickness", float(fields["thickness_um"]), "um")
    except ValueError:
        # people write "about 30": kept as they said it
        put_text(sample, "thickness_um", fields["thickness_um"])


def _people(entry: h5py.Group, header: ResultHeader, fields: Mapping[str, str]) -> None:
    found = header.metadata.get(PROPOSAL_KEY)
    kept: Mapping[str, object] = found if isinstance(found, Mapping) else {}
    proposal = header.metadata.get("experiment_identifier") or fields.get("proposal")
    if proposal:
        put_text(entry, "experiment_identifier", str(proposal))
    if kept.get("title"):
        put_text(entry, "experiment_description", str(kept["title"]))
    members = kept.get("users")
    affiliations = {str(name): str(text) for name, text in members.items()} if isinstance(members, Mapping) else {}
    who = header.metadata.get("user") or header.metadata.get("user_name")
    stated = who.get("name", "") if isinstance(who, Mapping) else who
    operator = fields.get("operator") or str(stated or "") or next(iter(affiliations), "unknown")
    names = [operator, *(name for name in affiliations if name != operator)]
    for number, name in enumerate(names):
        user = put_group(entry, "user" if not number else f"user_{number}", "NXuser")
        put_text(user, "name", name)
        affiliation = affiliations.get(name) or (fields.get("institution", "") if not number else "")
        if affiliation:
            put_text(user, "affiliation", affiliation)
        if not number:
            put_text(user, "role", "operator")
