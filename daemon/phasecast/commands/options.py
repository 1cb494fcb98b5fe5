"""Options that several commands share, and what is read from their text."""

from pathlib import Path
from typing import Annotated

import typer

from phasecast.core.errors import PhasecastError
from phasecast.core.words import Language

DataDir = Annotated[Path, typer.Option("--data-dir", help="Data directory of the beamtime.")]
ProfileName = Annotated[str, typer.Option("--profile", help="Name of a shipped profile, or a TOML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
RawRoots = Annotated[
    list[Path] | None,
    typer.Option("--raw-root", help="Folder below which raw frames lie now; several may be given.", show_default=False),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
LiveCatalog = Annotated[
    str,
    typer.Option(
        "--catalog", help="Where finished runs are listed: embedded (with the extra), none, or a Tiled server."
    ),
]
MapName = Annotated[str, typer.Option("--name", help="Name of the map; makes one map of scans that name others.")]
MapOffset = Annotated[
    list[str] | None,
    typer.Option("--offset", help="FILE=X,Y: um to add to the positions of a result. Nothing is added unasked."),
]


def language_named(text: str) -> Language:
    """Return the language that an option names.

    Raises
    ------
    PhasecastError
        The program speaks no such language.
    """
    from phasecast.core.words import LANGUAGES

    chosen = next((name for name in LANGUAGES if name == text), None)
    if chosen is None:
        raise PhasecastError(
            f"{text!r} is no language", where="--language", remedy=f"give one of {', '.join(LANGUAGES)}"
        )
    return chosen


def map_shape(text: str) -> tuple[int, int]:
    """Return rows and columns of a map given as ``40x60``.

    Raises
    ------
    PhasecastError
        The text is no shape of a map, or the map would have no points.
    """
    rows, cross, columns = text.lower().partition("x")
    if not (cross and rows.isdigit() and columns.isdigit() and int(rows) and int(columns)):
        raise PhasecastError(f"{text!r} is no map shape", where="--shape", remedy="give rows x columns, such as 40x60")
    return int(rows), int(columns)


def replay_speed(text: str) -> float | None:
    """Return recorded seconds a second; None for as fast as it goes.

    Raises
    ------
    PhasecastError
        The text is neither ``max`` nor a positive number.
    """
    if text == "max":
        return None
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise PhasecastError(f"{text!r} is no speed", where="--speed", remedy="give max, or a number such as 1 or 10")
    return value
