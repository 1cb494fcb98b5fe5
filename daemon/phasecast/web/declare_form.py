"""The fields of a declared scan as a form knows them: made from the model, so that no limit is written down twice."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from phasecast.profiles import ScanDeclaration
from phasecast.profiles.scan_declaration import Column

_SPOKEN = {
    "greater_than": ("gt",), "greater_than_equal": ("ge",), "less_than": ("lt",), "less_than_equal": ("le",),
    "string_too_long": ("max_length",), "too_many": ("points", "most"), "few_frames": ("frames", "points", "lead_in"),
    "join_column": ("join",), "missing": (), "string_too_short": (), "no_step": (), "pulse_factor": (),
    "needs_zone": (), "unknown_zone": (),
}  # fmt: skip
"""Kinds of errors that the catalogue has a line for, with what fills its places."""
_BLAME = {
    "no_step": ("step_x_um", "step_y_um"), "too_many": ("nx",), "few_frames": ("frames_per_row",),
    "pulse_factor": ("factor",), "needs_zone": ("time_zone",), "join_column": ("join",),
}  # fmt: skip
"""Fields that an error of the whole table is said beside."""
SCALARS = "log.scalars"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of the form.

    Parameters
    ----------
    name
        Its place in the declaration, dotted (``log.x.column``).
    kind
        ``text``, ``choice`` or ``switch``.
    description
        What the model says of it.
    choices
        What can be chosen; the empty text stands for left out.
    default
        Text of the model's default; empty where it has none.
    needed
        Whether it must be filled in.
    is_column, is_words
        Whether it names a column of the log; whether it is free text, in which no digit is changed.
    """

    name: str
    kind: Literal["text", "choice", "switch"]
    description: str
    choices: tuple[str, ...] = ()
    default: str = ""
    needed: bool = False
    is_column: bool = False
    is_words: bool = False

    @property
    def in_log(self) -> bool:
        """Whether it says something of the log of positions."""
        return self.name.startswith("log.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a field.

    Parameters
    ----------
    key
        Its line in the catalogue.
    values
        What fills the places.
    """

    key: str
    values: Mapping[str, object]


def _fields(model: type[BaseModel], prefix: str = "") -> list[FormField]:
    found: list[FormField] = []
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is not None:
            found += _fields(inner, f"{prefix}{name}.")
            continue
        choices = _choices_in(field.annotation)
        default = "" if field.is_required() or name == "scalars" else text_of(field.default)
        optional = not field.is_required() and field.default is None
        found.append(
            FormField(
                name=f"{prefix}{name}",
                kind="switch" if field.annotation is bool else "choice" if choices else "text",
                description=field.description or "",
                choices=(*([""] if optional else []), *choices) if choices else (),
                default=default,
                needed=field.is_required(),
                is_column=field.annotation in (Column, Column | None),
                is_words=field.annotation in (str, str | None),
            )
        )
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _choices_in(annotation: Any) -> tuple[str, ...]:
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Literal:
            return tuple(str(choice) for choice in get_args(part))
    return ()


def text_of(value: object) -> str:
    """Return how a value stands in its field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {column}" for name, column in value.items())
    return f"{value:.12g}" if isinstance(value, float) else str(value)


FIELDS: dict[str, FormField] = {field.name: field for field in _fields(ScanDeclaration)}
"""All fields, in the model's order."""


def empty_form() -> dict[str, str]:
    """Return the texts of a form that nobody has filled in; positions are the declared ones."""
    return {name: field.default for name, field in FIELDS.items()} | {"positions": "computed"}


def form_of(declaration: ScanDeclaration) -> dict[str, str]:
    """Return the texts of a form that says what a declaration says."""
    texts = empty_form() | {"positions": declaration.positions_from}
    for name in texts:
        value: Any = declaration
        for step in name.split("."):
            value = getattr(value, step) if value is not None else None
        if value is not None:
            texts[name] = text_of(value)
    return texts


def has_log(texts: Mapping[str, str]) -> bool:
    """Whether the form speaks of a log: positions come from one, or will."""
    return texts["positions"] != "computed"


def declaration_in(texts: Mapping[str, str]) -> ScanDeclaration | dict[str, Problem]:
    """Return what a form declares, or what is wrong with its fields; empty names stand for the form as a whole."""
    tables: dict[str, Any] = {}
    if has_log(texts):
        tables["log"] = {"x": {}, "y": {}}
    for name, field in FIELDS.items():
        text = texts[name].strip()
        if field.in_log and "log" not in tables:
            continue
        if field.kind == "switch":
            _put(tables, name, bool(text))
        elif text:
            _put(tables, name, _value(field, text))
    try:
        return ScanDeclaration.model_validate(tables)
    except ValidationError as error:
        problems: dict[str, Problem] = {}
        for entry in error.errors(include_url=False, include_input=False):
            if entry["type"] == "int_parsing" and entry["loc"][-1] == "constrained-int":
                continue  # a column that is no number is a name, and what is wrong with the name comes next
            for name in _blamed(entry, texts):
                problems.setdefault(name, _problem(entry))
        return problems


def _put(tables: dict[str, Any], name: str, value: object) -> None:
    *path, last = name.split(".")
    for step in path:
        tables = tables.setdefault(step, {})
    tables[last] = value


def _value(field: FormField, text: str) -> object:
    if field.name == SCALARS:
        pairs = (part.partition("=") for part in text.replace("、", ",").split(",") if part.strip())
        return {name.strip(): _column(column.strip()) for name, _, column in pairs}
    if field.is_column:
        return _column(text)
    if field.is_words:
        return text
    plain = unicodedata.normalize("NFKC", text)  # full-width digits, as an input method leaves them
    return int(plain) if field.name.endswith(".sign") else plain


def _column(text: str) -> int | str:
    plain = unicodedata.normalize("NFKC", text)
    return int(plain) if plain.isdecimal() else text


def _blamed(entry: Mapping[str, Any], texts: Mapping[str, str]) -> tuple[str, ...]:
    place = ".".join(str(step) for step in entry["loc"])
    prefix = f"{place}." if place else ""
    named = tuple(f"{prefix}{name}" for name in _BLAME.get(entry["type"], ()))
    if entry["type"] == "no_step":
        named = tuple(name for name in named if not float(unicodedata.normalize("NFKC", texts[name])))
    if named:
        return named
    # a place within a field, such as one of the scalars, is the field's
    return (next((name for name in FIELDS if place == name or place.startswith(f"{name}.")), ""),)


def _problem(entry: Mapping[str, Any]) -> Problem:
    kind, context = str(entry["type"]), dict(entry.get("ctx") or {})
    if kind in _SPOKEN:
        return Problem(key=f"declare.error_{kind}", values={name: _short(context[name]) for name in _SPOKEN[kind]})
    if kind.startswith(("int_", "float_", "finite_")):
        whole = "whole" if kind.startswith("int_") else "number"
        return Problem(key=f"declare.error_{whole}", values={})
    if kind.startswith("datetime"):
        return Problem(key="declare.error_time", values={})
    return Problem(key="declare.error_other", values={"reason": str(entry["msg"])})


def _short(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value
