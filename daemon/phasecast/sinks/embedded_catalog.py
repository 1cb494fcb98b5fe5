"""The catalog that lies in a data directory: SQLite files, and a Tiled server that runs in this process alone."""

import copy
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import CatalogError

PROFILE = "beamtime"
"""Name of the Tiled profile that opens the embedded catalog."""
PROFILES_FOLDER = "profiles"
_PROFILE_FILE = "beamtime.yml"
_SPECS = [{"name": "CatalogOfBlueskyRuns", "version": "3.0"}]
_EXPORTER = {"BlueskyRun": {"application/json-seq": "bluesky_tiled_plugins.exporters:json_seq_exporter"}}
_PATIENCE_S = 2.0


def embedded_client(stack: ExitStack, directory: DataDirectory) -> Any:
    """Return Tiled's client of the catalog of a data directory, made if missing.

    Parameters
    ----------
    stack
        Closes it.
    directory
        The data directory.

    Raises
    ------
    CatalogError
        If the data directory was moved since the catalog was made.
    sqlite3.Error
        If its databases are locked or damaged.
    """
    for folder in (directory.catalog / PROFILES_FOLDER, directory.catalog / "storage"):
        folder.mkdir(parents=True, exist_ok=True)
    _require_same_place(directory)
    is_made = _require_unlocked(directory)
    from tiled.catalog import from_uri
    from tiled.client import Context, from_context
    from tiled.media_type_registration import default_serialization_registry
    from tiled.server.app import build_app
    from tiled.server.app import logger as server_logger
    from tiled.utils import import_object

    server_logger.setLevel(logging.CRITICAL)
    arguments = _arguments(directory)
    _write_profile(directory, arguments)
    registry = copy.deepcopy(default_serialization_registry)
    for spec, exporters in _EXPORTER.items():
        for media_type, exporter in exporters.items():
            # without it a run cannot be had as documents: 406
            registry.register(spec, media_type, import_object(exporter))
    # asked to make it where it is missing, Tiled starts a process for that each time: 3 s
    tree = from_uri(**arguments, init_if_not_exists=not is_made)
    app = build_app(tree, serialization_registry=registry)
    return from_context(stack.enter_context(Context.from_app(app)))


def _require_same_place(directory: DataDirectory) -> None:
    """Raise `CatalogError` if the data directory was moved: the catalog holds absolute paths."""
    profile = directory.catalog / PROFILES_FOLDER / _PROFILE_FILE
    place = f"sqlite:///{directory.catalog.resolve() / 'catalog.db'}"
    if profile.is_file() and place not in profile.read_text(encoding="utf-8"):
        raise CatalogError(
            "it was made for another folder, and all its paths lead there",
            where=str(directory.catalog),
            remedy="remove the folder; `phasecast catalog sync` makes it again",
        )


def _require_unlocked(directory: DataDirectory) -> bool:
    """Return whether the catalog has been made; raise `sqlite3.Error` where its databases cannot be written.

    Tiled itself takes minutes to say so, in a traceback.
    """
    is_made = False
    for name in ("catalog.db", "tables.db"):
        connection = sqlite3.connect(directory.catalog / name, timeout=_PATIENCE_S, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            connection.execute("ROLLBACK")
            is_made = is_made or "nodes" in tables
        finally:
            connection.close()
    return is_made


def _arguments(directory: DataDirectory) -> dict[str, Any]:
    place = directory.catalog.resolve()
    return {
        "uri": f"sqlite:///{place / 'catalog.db'}",
        "writable_storage": [str(place / "storage"), f"sqlite:///{place / 'tables.db'}"],
        # frames of raw runs may lie anywhere; it is opened with the rights of whoever reads
        "readable_storage": ["/"],
        "specs": _SPECS,
    }


def _write_profile(directory: DataDirectory, arguments: Mapping[str, Any]) -> None:
    """Write the profile with which any Tiled or databroker client opens the catalog, without phasecast."""
    import yaml

    content = {PROFILE: {"direct": {"trees": [{"path": "/", "tree": "catalog", "args": dict(arguments)}]}}}
    content[PROFILE]["direct"]["media_types"] = _EXPORTER  # type: ignore[assignment]
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    path = directory.catalog / PROFILES_FOLDER / _PROFILE_FILE
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
