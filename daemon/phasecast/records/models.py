"""The shelf of one data directory: model bundles trained here, which of them is in use, and how that came about.

    <data-dir>/models/<name>-<version>/   a bundle: model.toml (its card) and weights.safetensors; never overwritten
                      active.json         which is in use, since when, who chose it and why
                      history.jsonl       a journal: trained, training failed or cancelled, in use, refused

Cards are read as text and weights only hashed, so that pages and scripts need no network library.
"""

import hashlib
import json
import re
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic_core import to_json

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RecordsError
from phasecast.records.book import Book, stamp
from phasecast.records.journal import Entry, append
from phasecast.records.whole_file import write_whole

CARD = "model.toml"
WEIGHTS = "weights.safetensors"
_ACTIVE = "active.json"
_HISTORY = "history.jsonl"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

What = Literal["trained", "failed", "cancelled", "in_use", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfModel:
    """A bundle on the shelf.

    Parameters
    ----------
    key
        Name of its folder, by which it is asked for.
    folder
        Where it lies.
    name, version, sha256, calibrated_on, owner
        What its card says; empty where it says nothing.
    made_s
        POSIX time at which the folder was finished.
    card
        The whole card.
    damage
        Why it cannot be used, one clear line; empty if it can.
    """

    key: str
    folder: Path
    name: str = ""
    version: str = ""
    sha256: str = ""
    calibrated_on: str = ""
    owner: str = ""
    made_s: float = 0.0
    card: Mapping[str, Any] = field(default_factory=dict, repr=False)
    damage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveModel:
    """The model in use.

    Parameters
    ----------
    model
        Folder on the shelf, or name of a bundle that comes with the program.
    sha256
        Hash of its weights.
    since_s
        POSIX time.
    who, why
        Who chose it, and why: ``trained``, ``chosen``.
    """

    model: str
    sha256: str
    since_s: float
    who: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvent:
    """An entry of the history.

    Parameters
    ----------
    what
        What happened.
    model
        Folder on the shelf, or name of a bundle that comes with the program.
    who, time_s
        Who asked for it, and when it happened, POSIX s.
    detail
        Why it failed or was refused, or the remark of who asked.
    request
        Id of the request.
    """

    what: What
    model: str
    who: str
    time_s: float
    detail: str
    request: str


class ModelHistory(Book):
    """The history of a shelf: `refresh` takes what is new, `events` is all of it in order."""

    def _clear(self) -> None:
        self.events: list[ModelEvent] = []

    def _take(self, entry: Entry) -> None:
        self.events.append(
            ModelEvent(
                what=entry["what"],
                model=str(entry["model"]),
                who=str(entry["who"]),
                time_s=float(entry["time_s"]),
                detail=str(entry.get("detail", "")),
                request=str(entry["request"]),
            )
        )


def shelf_key(name: str, version: str) -> str:
    """Return the folder name of a bundle."""
    return _UNSAFE.sub("-", f"{name}-{version}").strip(".-") or "model"


def next_version(directory: DataDirectory, name: str, *, after: str = "0") -> str:
    """Return the first number of a version of that name that is not on the shelf and comes after another one.

    Parameters
    ----------
    directory, name
        Where and what.
    after
        Version of a bundle of that name elsewhere, such as the shipped one; what is no number counts as 0.
    """
    number = int(after) + 1 if after.isdecimal() else 1
    while (directory.models / shelf_key(name, str(number))).exists():
        number += 1
    return str(number)


def list_models(directory: DataDirectory) -> list[ShelfModel]:
    """Return the bundles on the shelf, oldest first, also those that cannot be used and say why."""
    try:
        folders = [path for path in directory.models.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []
    return sorted((read_model(folder) for folder in folders), key=lambda model: (model.made_s, model.key))


def read_model(folder: Path) -> ShelfModel:
    """Return what lies in a folder of the shelf; one that is no bundle says so."""
    key = folder.name
    try:
        card_path, weights_path = folder / CARD, folder / WEIGHTS
        made_s = card_path.stat().st_mtime
        card = tomllib.loads(card_path.read_text(encoding="utf-8"))
        status = weights_path.stat()
        found = _sha256(weights_path, status.st_mtime_ns, status.st_size)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return ShelfModel(key=key, folder=folder, damage=f"{folder}: not a readable bundle ({error})")
    stated = str(card.get("sha256", ""))
    damage = ""
    if found != stated:
        damage = (
            f"{weights_path}: sha256 is {found[:16]}..., the card says {stated[:16]}... - "
            "the weights are damaged or belong to another card; restore the folder"
        )
    return ShelfModel(
        key=key,
        folder=folder,
        name=str(card.get("name", "")),
        version=str(card.get("version", "")),
        sha256=stated,
        calibrated_on=str(card.get("calibrated_on", "")),
        owner=str(card.get("owner", "")),
        made_s=made_s,
        card=card,
        damage=damage,
    )


def find_model(directory: DataDirectory, key: str) -> ShelfModel | None:
    """Return a bundle of the shelf by its key; None if there is none."""
    if not key or _UNSAFE.search(key) or key.startswith("."):
        return None
    folder = directory.models / key
    return read_model(folder) if folder.is_dir() else None


def read_active(directory: DataDirectory) -> ActiveModel | None:
    """Return which model was chosen last; None if nobody ever chose.

    Raises
    ------
    RecordsError
        If the file is there and says nothing that can be understood.
    """
    path = directory.models / _ACTIVE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return ActiveModel(
            model=str(content["model"]),
            sha256=str(content["sha256"]),
            since_s=float(content["since_s"]),
            who=str(content["who"]),
            why=str(content["why"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordsError(
            f"cannot tell which model is in use ({error})", where=str(path), remedy="choose one on the page"
        ) from error


def set_active(directory: DataDirectory, active: ActiveModel, *, request_id: str) -> None:
    """Write down which model is in use, in the history first.

    Raises
    ------
    RecordsError
        If it cannot be written.
    """
    note_event(directory, "in_use", active.model, who=active.who, request_id=request_id, detail=active.why)
    write_whole(directory.models / _ACTIVE, to_json({"schema_version": 1, **asdict(active)}, indent=1))


def note_event(
    directory: DataDirectory, what: What, model: str, *, who: str, request_id: str, detail: str = ""
) -> None:
    """Append to the history.

    Raises
    ------
    RecordsError
        If it cannot be written.
    """
    entry = {**stamp(request_id, who, time.time()), "what": what, "model": model, "detail": detail}
    append(directory.models / _HISTORY, [entry])


def read_history(directory: DataDirectory) -> list[ModelEvent]:
    """Return everything that happened to the shelf, oldest first.

    Raises
    ------
    RecordsError
        If the journal cannot be read.
    """
    history = ModelHistory(directory.models / _HISTORY)
    history.refresh()
    return history.events


def model_before(directory: DataDirectory) -> str:
    """Return the model that was in use before the one that is now, to go back to; empty if there is none.

    Raises
    ------
    RecordsError
        If the journal cannot be read.
    """
    used = [event.model for event in read_history(directory) if event.what == "in_use"]
    return next((model for model in reversed(used) if model != used[-1]), "")


@lru_cache(maxsize=64)
def _sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
