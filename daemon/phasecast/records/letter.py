"""The file of one request: its text, and how it is read without trusting what lies there."""

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from phasecast.core.errors import RecordsError
from phasecast.core.region_requests import Definition
from phasecast.core.requests import Answer, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Content of a request's file.

    Parameters
    ----------
    schema_version
        Version of this shape.
    request
        What is asked for.
    answer
        What became of it; None while it waits.
    """

    schema_version: Literal[1] = 1
    request: Annotated[Request, Field(discriminator="kind")]
    answer: Answer | None = None


# named through a union, because pydantic takes no configuration for a bare dataclass
_LETTER: TypeAdapter[Letter | None] = TypeAdapter(
    Letter | None, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
)


def parse_request(content: bytes) -> Request:
    """Return the request that a file holds.

    Raises
    ------
    RecordsError
        If it is none: no JSON, an unknown kind or key, a value out of bounds.
    """
    return parse_letter(content).request


def parse_letter(content: bytes) -> Letter:
    """Return what a file holds: a request, and its answer if there is one.

    Raises
    ------
    RecordsError
        If it holds no request: no JSON, an unknown kind or key, a value out of bounds.
    """
    try:
        letter = _LETTER.validate_json(content)
    except ValidationError as error:
        first: Mapping[str, Any] = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"] if part != "Letter")
        raise RecordsError(str(first["msg"])[:300], where=place[:200], remedy="see core/requests.py") from error
    if letter is None:
        raise RecordsError("an empty request", remedy="see core/requests.py")
    return letter


@dataclass(frozen=True, slots=True)
class FoundLetter:
    """What lies at a place in the mailbox.

    Parameters
    ----------
    status
        What the file system says of it.
    letter
        Its content; None if it is no request.
    reason
        Why it is none; empty if it is one.
    """

    status: os.stat_result
    letter: Letter | None
    reason: str


def read_letter(path: Path, max_bytes: int) -> FoundLetter | None:
    """Read one file, whatever it is; None if it is not there."""
    try:
        # without waiting: a pipe that somebody put here must not stop anyone
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        with suppress(OSError):
            return FoundLetter(path.lstat(), None, str(error.strerror))
        return None
    letter, reason = None, ""
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            reason = "not a plain file"
        elif status.st_size > max_bytes:
            reason = f"{status.st_size} bytes; a request has at most {max_bytes}"
        else:
            with os.fdopen(os.dup(handle), "rb") as file:
                letter = parse_letter(file.read(max_bytes + 1))
    except (RecordsError, OSError) as error:
        reason = str(error)
    finally:
        os.close(handle)
    return FoundLetter(status, letter, reason)


def to_jsonable(request: Request | Definition) -> dict[str, Any]:
    """Return a request or a definition as JSON holds it."""
    content: dict[str, Any] = json.loads(to_json(request))
    return content
