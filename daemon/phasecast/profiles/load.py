"""Finds, reads and checks profiles; every refusal names file, field, value and remedy."""

import difflib
import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from phasecast.core.errors import ProfileError
from phasecast.profiles.classification import is_cif
from phasecast.profiles.scan_declaration import ScanDeclaration
from phasecast.profiles.schema import Profile
from phasecast.profiles.upgrade import upgrade
from phasecast_profiles.shipped import shipped_profiles


def list_profiles() -> dict[str, Path]:
    """Name to file of every profile that ships, sorted by name."""
    return shipped_profiles()


def load_profile(name_or_path: str | Path) -> Profile:
    """Load a profile by the name of a shipped one or by the path of a TOML file.

    File names inside the profile are taken relative to it and come back absolute.

    Raises
    ------
    ProfileError
        If there is no such profile or it breaks a rule; the message names file, field, value and remedy.
    """
    path = _find(name_or_path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot be read: {error}", where=str(path), remedy="check the file") from error
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"is not valid TOML: {error}", where=str(path), remedy="correct that line") from error
    try:
        lifted = upgrade(tables)
    except ValueError as error:
        raise ProfileError(
            str(error), where=f"{path}: schema_version", remedy="correct it, or update phasecast"
        ) from error
    try:
        profile = Profile.model_validate(lifted)
    except ValidationError as error:
        raise _readable(error, path) from error
    return _with_absolute_files(profile, path.parent)


def load_scan(path: str | Path) -> ScanDeclaration:
    """Load the declaration of a scan from a TOML file; the path of its log comes back absolute.

    Raises
    ------
    ProfileError
        If it cannot be read or breaks a rule; the message names file, field, value and remedy.
    """
    path = Path(path).expanduser()
    try:
        declaration = parse_scan(path.read_text(encoding="utf-8-sig"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot be read: {error}", where=str(path), remedy="check the file") from error
    return declaration.with_log(None, path.absolute().parent)


def parse_scan(text: str, path: Path) -> ScanDeclaration:
    """Return the declaration that a TOML text holds.

    Raises
    ------
    ProfileError
        If it breaks a rule; `path` is where the message says it stands.
    """
    try:
        return ScanDeclaration.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"is not valid TOML: {error}", where=str(path), remedy="correct that line") from error
    except ValidationError as error:
        raise _readable(error, path, ScanDeclaration) from error


def _find(name_or_path: str | Path) -> Path:
    shipped = shipped_profiles()
    if isinstance(name_or_path, str) and name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path.resolve()
    close = difflib.get_close_matches(str(name_or_path), shipped, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ProfileError(
        f"no profile {str(name_or_path)!r}",
        remedy=f"{hint}give the path of a TOML file or one of: {', '.join(shipped)}",
    )


def _with_absolute_files(profile: Profile, folder: Path) -> Profile:
    def absolute(part: BaseModel, fields: Sequence[str]) -> dict[str, str]:
        named = {field: getattr(part, field) for field in fields}
        return {field: str((folder / Path(value).expanduser()).resolve()) for field, value in named.items() if value}

    detector = profile.detector.model_copy(update=absolute(profile.detector, ("mask_file", "flat_file", "dark_file")))
    geometry = profile.geometry.model_copy(update=absolute(profile.geometry, ("poni_file",)))
    corrections, empty = profile.corrections, profile.corrections.empty_frame
    if empty is not None:
        empty = empty.model_copy(update=absolute(empty, ("file",)))
        corrections = corrections.model_copy(update={"empty_frame": empty})

    def crystals(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str((folder / Path(name).expanduser()).resolve()) if is_cif(name) else name for name in names)

    classes = tuple(item.model_copy(update={"structures": crystals(item.structures)}) for item in profile.classes)
    others = {"others": crystals(profile.classification.others)}
    update: dict[str, Any] = {"detector": detector, "geometry": geometry, "corrections": corrections}
    update |= {"classes": classes, "classification": profile.classification.model_copy(update=others)}
    return profile.model_copy(update=update)


def _readable(error: ValidationError, path: Path, root: type[BaseModel] = Profile) -> ProfileError:
    problems = error.errors(include_url=False)
    # An unknown key is most often a misspelt one, and explains the "missing" that comes with it.
    problem = next((entry for entry in problems if entry["type"] == "extra_forbidden"), problems[0])
    location = problem["loc"]
    dotted = ".".join(str(part) for part in location)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    kind = problem["type"]
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1], root)
        close = difflib.get_close_matches(str(location[-1]), known, n=2, cutoff=0.5)
        what = f"unknown key {str(location[-1])!r}, value {problem['input']!r}"
        remedy = f"did you mean {' or '.join(close)}?" if close else f"known keys: {', '.join(known)}"
    elif kind == "missing":
        what = "this key is required"
        remedy = _description(location, root) or "add it"
    else:
        reason = problem["msg"].removeprefix("Value error, ")
        what = reason if isinstance(problem["input"], dict) else f"wrong value {problem['input']!r}: {reason}"
        remedy = _description(location, root) or "correct it"
    return ProfileError(what + more, where=f"{path}: {dotted}" if dotted else str(path), remedy=remedy)


def _part_at(location: Sequence[str | int], root: type[BaseModel]) -> type[BaseModel] | None:
    """Return the schema part that a location inside a profile lies in."""
    part: type[BaseModel] | None = root
    for step in location:
        if isinstance(step, int):
            continue
        if part is None or step not in part.model_fields:
            return None
        part = _model_in(part.model_fields[step].annotation)
    return part


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (typing.Union, UnionType, tuple):
        return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
    return None


def _known_keys(location: Sequence[str | int], root: type[BaseModel]) -> list[str]:
    part = _part_at(location, root)
    return list(part.model_fields) if part else []


def _description(location: Sequence[str | int], root: type[BaseModel]) -> str:
    names = [step for step in location if isinstance(step, str)]
    for length in range(len(names), 0, -1):
        part = _part_at(names[: length - 1], root)
        if part is not None and names[length - 1] in part.model_fields:
            return part.model_fields[names[length - 1]].description or ""
    return ""
