"""JSON parts of messages, checked against what they must hold."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from phasecast.core.errors import WireError

MAX_JSON_BYTES = 1 << 20

_Model = TypeVar("_Model", bound=BaseModel)


def parse_part(model: type[_Model], part: bytes) -> _Model:
    """Return what a JSON part says.

    Parameters
    ----------
    model
        What it must hold.
    part
        The part, as it came.

    Raises
    ------
    WireError
        If it is larger than `MAX_JSON_BYTES`, no JSON, or does not hold what it must.
    """
    if len(part) > MAX_JSON_BYTES:
        raise WireError(f"{len(part)} bytes of JSON")
    try:
        return model.model_validate_json(part)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:60] or "message"
        raise WireError(f"{where}: {first['msg'][:200]}") from error
