"""Lifts the tables of older profiles to the present schema, one version a step."""

from collections.abc import Callable, Mapping
from typing import Any

from phasecast.profiles.schema import SCHEMA_VERSION

STEPS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""For each version the pure function to the next one."""


def upgrade(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables as the present schema words them.

    Raises
    ------
    ValueError
        If the version is missing, not a number, or newer than this program.
    """
    version = tables.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise ValueError(f"it is {version!r}, but must be a number such as {SCHEMA_VERSION}")
    if version > SCHEMA_VERSION:
        raise ValueError(f"version {version} is newer than this phasecast, which knows {SCHEMA_VERSION}")
    lifted = dict(tables)
    while version < SCHEMA_VERSION:
        if version not in STEPS:
            raise ValueError(f"version {version} never existed; the present one is {SCHEMA_VERSION}")
        lifted = STEPS[version](lifted)
        version += 1
    lifted["schema_version"] = SCHEMA_VERSION
    return lifted
