"""Draws the reliability diagram in the card of a model.

    python -m phasecast.services.reliability_picture bl16xu-rust docs/images/reliability-bl16xu-rust.svg

A bundle is named as the program names it, or by its folder; the file's ending says whether SVG or PNG is written.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from phasecast.core.errors import PhasecastError, RecordsError
from phasecast.core.words import words
from phasecast.records.models import CARD, ShelfModel, read_model
from phasecast.records.reliability import reliabilities
from phasecast.report.reliability_figure import write_reliability
from phasecast.services.page_models import shipped_models

ENDINGS = (".svg", ".png")


def draw_reliability(bundle: str, path: Path, *, language: str = "en") -> None:
    """Write the reliability diagrams of a bundle.

    Parameters
    ----------
    bundle
        Name of a bundle that comes with the program, or a folder.
    path
        File to write, SVG or PNG.
    language
        ``en`` or ``ja``.

    Raises
    ------
    RecordsError
        If there is no such bundle, it is damaged, its card holds no diagram, or the file cannot be of that kind.
    """
    if path.suffix not in ENDINGS:
        raise RecordsError(f"cannot write {path.suffix or 'a file without ending'}", where=str(path),
                           remedy=f"name a file {' or '.join(ENDINGS)}")  # fmt: skip
    model = _model(bundle)
    found = [one for one in reliabilities(model.card) if one.has_diagram]
    if not found:
        remedy = "judge the model first: phasecast_models.xrd.study writes it into the card"
        raise RecordsError("the card holds no reliability diagram", where=str(model.folder / CARD), remedy=remedy)
    about = described(model)
    write_reliability(found, path, words(language), title=f"{model.name} {model.version}", about=about)


def described(model: ShelfModel) -> str:
    """Return what the picture of a model says inside the file: the weights, and every number that is drawn."""
    parts = [f"model sha256 {model.sha256}"]
    for one in reliabilities(model.card):
        for curve in one.curves:
            pairs = " ".join(f"{a:g}/{b:g}" for a, b in zip(curve.confidence, curve.frequency, strict=True))
            parts.append(f"{one.on}, {curve.when}: ECE {curve.ece:g}, confidence/frequency {pairs}")
    return "; ".join(parts)


def _model(bundle: str) -> ShelfModel:
    shipped = {model.key: model for model in shipped_models()}
    model = shipped[bundle] if bundle in shipped else read_model(Path(bundle))
    if model.damage:
        raise RecordsError(model.damage, remedy=f"name a folder, or one of {', '.join(shipped)}")
    return model


def main(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder, or the name of one that comes with the program.")],
    output: Annotated[Path, typer.Argument(help="File to write, .svg or .png.")],
    language: Annotated[str, typer.Option(help="en or ja.")] = "en",
) -> None:
    """Draw the reliability diagram in the card of a model."""
    try:
        draw_reliability(bundle, output, language=language)
    except PhasecastError as error:
        sys.exit(f"phasecast: {error}")
    sys.stdout.write(f"{output} {output.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    typer.run(main)
