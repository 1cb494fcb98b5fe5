"""What every request must keep to: names, texts and rows of bounded size."""

import math
from collections.abc import Collection

from phasecast.core.errors import RequestError

MAX_NAME = 128
MAX_TEXT = 4000
MAX_VERTICES = 20_000


def check_name(text: str, what: str, *, empty: bool = False) -> None:
    """Raise `RequestError` unless a name is one line of at most `MAX_NAME` characters; ``empty`` allows none."""
    if not text and empty:
        return
    if not text.strip() or len(text) > MAX_NAME or not text.isprintable():
        raise RequestError(f"{what} {text[:40]!r}", remedy=f"give 1 to {MAX_NAME} printable characters on one line")


def check_text(text: str, what: str) -> None:
    """Raise `RequestError` unless a text is printable and of at most `MAX_TEXT` characters."""
    if len(text) > MAX_TEXT:
        raise RequestError(f"{what} has {len(text)} characters", remedy=f"give at most {MAX_TEXT}")
    if any(not (character.isprintable() or character in "\n\t") for character in text):
        raise RequestError(f"{what} holds control characters", remedy="give plain text")


def check_file_name(name: str) -> None:
    """Raise `RequestError` unless a name is that of a file, without a folder."""
    check_name(name, "result")
    if "/" in name or "\\" in name or name.startswith("."):
        raise RequestError(f"result {name[:40]!r}", remedy="give the name of a file in the results folder")


def check_unique(values: Collection[object], what: str) -> None:
    """Raise `RequestError` unless there are values and none comes twice."""
    if not values or len(set(values)) != len(values):
        raise RequestError(f"{what} are empty or name one twice", remedy="give each once")


def check_rows(rows: tuple[int, ...], what: str, *, at_most: int) -> None:
    """Raise `RequestError` unless rows are named once each, are not negative and at most ``at_most``."""
    if len(rows) > at_most:
        raise RequestError(f"{len(rows)} {what}", remedy=f"give at most {at_most}")
    check_unique(rows, what)
    if min(rows) < 0:
        raise RequestError(f"{what} hold {min(rows)}", remedy="rows count from 0")


def check_vertices(vertices: tuple[tuple[float, float], ...], *, at_least: int) -> None:
    """Raise `RequestError` unless corners are finite, at least ``at_least`` and at most `MAX_VERTICES`."""
    if not at_least <= len(vertices) <= MAX_VERTICES:
        raise RequestError(f"{len(vertices)} vertices", remedy=f"give {at_least} to {MAX_VERTICES}")
    if not all(math.isfinite(value) for vertex in vertices for value in vertex):
        raise RequestError("a vertex is not a number", remedy="give x and y in um")
