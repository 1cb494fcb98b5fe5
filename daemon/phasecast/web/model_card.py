"""What a training changed: figures before and after it, on labels that it did not learn from."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phasecast.core.words import Words
from phasecast.records.models import ShelfModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with its 95 % interval; NaN where nothing can be said."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        interval = "" if math.isnan(self.low) else f" ({self.low:.2f}–{self.high:.2f})"
        return f"{self.value:.2f}{interval}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """F1 of one class, before and after; ``positive`` labels hold it."""

    class_id: str
    positive: int
    f1: tuple[Figure, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCard:
    """What the card of a model says of its training on labels.

    Parameters
    ----------
    labels, measured
        Labels in all, and those that were held out to measure.
    samples, measured_samples
        Samples in all, and those that the held-out labels are of.
    held_out_by
        ``sample``, or what else kept the held-out labels apart.
    macro_f1, simulation
        Before and after: on the held-out labels, and on simulated patterns.
    classes
        One a class.
    """

    labels: int
    measured: int
    samples: int
    measured_samples: tuple[str, ...]
    held_out_by: str
    macro_f1: tuple[Figure, Figure]
    simulation: tuple[Figure, Figure]
    classes: tuple[ClassChange, ...]


def training_card(model: ShelfModel) -> TrainingCard | None:
    """Return what a card says of before and after; None where it says nothing of it that can be understood."""
    try:
        metrics, training = model.card["metrics"], model.card["training"]
        both = [metrics["before"], metrics["after"]]
        names = list(both[0]["labels"]["classes"])
        return TrainingCard(
            labels=int(training["labels"]),
            measured=int(training["measured"]),
            samples=len(training["samples"]),
            measured_samples=tuple(map(str, training["measured_samples"])),
            held_out_by=str(training["held_out_by"]),
            macro_f1=_pair([_figure(when["labels"], "macro_f1") for when in both]),
            simulation=_pair([_figure(when["simulation"], "macro_f1") for when in both]),
            classes=tuple(_change(name, [when["labels"]["classes"][name] for when in both]) for name in names),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def newest_trained(models: Sequence[ShelfModel]) -> tuple[ShelfModel, TrainingCard] | None:
    """Return the newest model that was trained on labels, with what its card says; None if there is none."""
    for model in reversed(models):
        card = training_card(model)
        if card is not None:
            return model, card
    return None


def card_html(model: ShelfModel, card: TrainingCard, words: Words, names: Mapping[str, str]) -> str:
    """Return the table of before and after.

    Parameters
    ----------
    model, card
        See `newest_trained`.
    words
        Of the session.
    names
        Id of a class to its name; ids that are not in it are shown as they are.
    """
    head = ("class", "positive", "f1_before", "f1_after")
    columns = "".join(f"<th>{html.escape(words(f'model.{name}'))}</th>" for name in head)
    rows = "".join(
        _row([names.get(one.class_id, one.class_id), str(one.positive), *map(str, one.f1)]) for one in card.classes
    )
    rows += _row([words("model.macro_f1"), str(card.measured), *map(str, card.macro_f1)])
    rows += _row([words("model.on_simulation"), "", *map(str, card.simulation)])
    title = words("model.card_title", name=f"{model.name} {model.version}")
    key = "card_by_sample" if card.held_out_by == "sample" else "card_not_by_sample"
    facts = words("model.card_facts", labels=card.labels, samples=card.samples, measured=card.measured)
    about = " ".join((facts, words(f"model.{key}", samples=", ".join(card.measured_samples))))
    return (
        f"<h4>{html.escape(title)}</h4><p class='hint'>{html.escape(about)}</p>"
        f"<table class='numbers whole'><tr>{columns}</tr>{rows}</table>"
        f"<p class='hint'>{html.escape(words('model.card_note'))}</p>"
    )


def _row(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _change(name: str, both: Sequence[Mapping[str, Any]]) -> ClassChange:
    return ClassChange(
        class_id=name,
        positive=int(both[0]["positive"]),
        f1=_pair([_figure(when, "f1") for when in both]),
    )


def _figure(table: Mapping[str, Any], name: str) -> Figure:
    return Figure(
        value=float(table.get(name, math.nan)),
        low=float(table.get(f"{name}_low", math.nan)),
        high=float(table.get(f"{name}_high", math.nan)),
    )


def _pair(figures: Sequence[Figure]) -> tuple[Figure, Figure]:
    before, after = figures
    return before, after
