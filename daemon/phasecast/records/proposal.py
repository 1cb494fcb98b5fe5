"""Whose data a data directory holds: one proposal (課題番号), named in `proposal.toml`."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RecordsError, RequestError
from phasecast.records.toml_text import read_toml

PROPOSAL_FILE = "proposal.toml"
"""In the data directory; written by a person and only read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The proposal that a data directory is kept for.

    Parameters
    ----------
    id
        Its number (課題番号), as the facility writes it.
    title
        What it is about; empty if nobody said.
    users
        Name to affiliation of those who measure; empty affiliations are unknown.
    """

    id: str
    title: str = ""
    users: Mapping[str, str] = field(default_factory=dict)


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=128)
    title: str = Field(default="", max_length=400)
    users: dict[str, str] = Field(default_factory=dict)


def read_proposal(directory: DataDirectory) -> Proposal | None:
    """Return the proposal of a data directory; None if it is kept for none.

    Raises
    ------
    RecordsError
        If the file is there and cannot be read: whose data these are must not be guessed.
    """
    path = directory.root / PROPOSAL_FILE
    try:
        written = _Written.model_validate(read_toml(path))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RecordsError(
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=str(path),
            remedy="write id, title and [users] (name = affiliation)",
        ) from error
    return Proposal(id=written.id, title=written.title, users=dict(written.users))


def is_same_proposal(one: str, other: str) -> bool:
    """Tell whether two ways to write a proposal's number mean the same: width, case and separators do not count."""
    return _plain(one) == _plain(other)


def require_proposal(directory: DataDirectory, stated: str, *, where: str = "") -> None:
    """Refuse what is of another proposal than the data directory; what states none is of this one.

    Parameters
    ----------
    directory
        The data directory.
    stated
        The proposal that a scan, a form or a file states; empty if it states none.
    where
        What states it, for people.

    Raises
    ------
    RequestError
        If it is of another one.
    RecordsError
        If `proposal.toml` cannot be read.
    """
    proposal = read_proposal(directory)
    if proposal is None or not stated.strip() or is_same_proposal(proposal.id, stated):
        return
    raise RequestError(
        f"proposal {stated.strip()}, but this data directory is kept for proposal {proposal.id}",
        where=where,
        remedy="correct the number, or use another data directory for that proposal",
    )


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum())
