"""What the card of a model says of its calibration: calibration errors and reliability diagrams.

On a linear scale nine tenths of all confidences lie within a few percent of 0; diagrams are drawn on the logit scale,
ln(p / (1 - p)), which stretches both ends alike.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Ground = Literal["hidden", "labels", "simulation"]
"""What a model was judged on: patterns of a generator it never learned from, held-out labels, its own simulation."""
When = Literal["stated", "before", "after"]

LOWEST, HIGHEST = 0.0001, 0.999
"""Ends of the drawn range; what lies beyond is drawn at the end."""
TICKS = (LOWEST, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, HIGHEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityCurve:
    """How often what was said with some confidence is true.

    Parameters
    ----------
    when
        ``before`` or ``after`` a training on labels; ``stated`` where there is one state only.
    ece
        Expected calibration error, 0 to 1; NaN if the card does not say.
    confidence, frequency
        Mean confidence, and share of what is true, of groups of equal size by rising confidence; empty where the card
        holds no diagram.
    low, high
        95 % interval of each frequency; empty if the card does not say.
    """

    when: When
    ece: float
    confidence: tuple[float, ...] = ()
    frequency: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Calibration on one ground.

    Parameters
    ----------
    on
        What the model was judged on.
    patterns
        Number of patterns, 0 if the card does not say.
    curves
        One, or before and after.
    """

    on: Ground
    patterns: int
    curves: tuple[ReliabilityCurve, ...]

    @property
    def has_diagram(self) -> bool:
        """Whether there is anything to draw."""
        return any(curve.confidence for curve in self.curves)

    def error_text(self, curve: ReliabilityCurve) -> str:
        """Return the calibration error with as many digits as the ground it was measured on bears."""
        return "–" if math.isnan(curve.ece) else f"{curve.ece:.{3 if self.on == 'labels' else 4}f}"


def reliabilities(card: Mapping[str, Any]) -> tuple[Reliability, ...]:
    """Return what a card says of calibration, the best evidence first; what cannot be understood is left out.

    A model that learned from labels is judged before and after; another one by the study in its card, or by simulation
    alone where there was no study.
    """
    metrics, study = _table(card, "metrics"), _table(card, "study")
    if "before" in metrics and "after" in metrics:
        states = {when: _table(metrics, when) for when in ("before", "after")}
        return _known(
            _ground("labels", {when: _table(state, "labels") for when, state in states.items()}, "labels"),
            _ground("simulation", {when: _table(state, "simulation") for when, state in states.items()}, "patterns"),
        )
    hidden = _table(study, "hidden")
    patterns = _whole(study.get("hidden_patterns_per_seed")) * max(_whole(study.get("seeds")), 1)
    judged = _known(_ground("hidden", {"stated": {**hidden, "patterns": patterns}}, "patterns"))
    return judged or _known(_ground("simulation", {"stated": metrics}, "patterns"))


def on_logit(shares: Iterable[float]) -> list[float]:
    """Return where shares between 0 and 1 are drawn: ln(p / (1 - p)), those beyond the range at its ends."""
    inside = (min(max(float(share), LOWEST), HIGHEST) for share in shares)
    return [math.log(share / (1 - share)) for share in inside]


def tick_texts() -> list[str]:
    """Return what stands at each of `TICKS`."""
    return [f"≤ {LOWEST:g}", *(f"{tick:g}" for tick in TICKS[1:-1]), f"≥ {HIGHEST:g}"]


def _known(*grounds: Reliability | None) -> tuple[Reliability, ...]:
    return tuple(ground for ground in grounds if ground is not None)


def _ground(on: Ground, tables: Mapping[Any, Mapping[str, Any]], count: str) -> Reliability | None:
    curves = tuple(_curve(when, table) for when, table in tables.items())
    if not any(curve.confidence or math.isfinite(curve.ece) for curve in curves):
        return None
    return Reliability(on=on, patterns=max(_whole(table.get(count)) for table in tables.values()), curves=curves)


def _curve(when: When, table: Mapping[str, Any]) -> ReliabilityCurve:
    ece = _shares([table.get("ece")])
    lists = _table(table, "reliability")
    confidence, frequency, low, high = (_shares(lists.get(name)) for name in ("confidence", "frequency", "low", "high"))
    if len(confidence) != len(frequency):
        confidence = frequency = ()
    if not len(confidence) == len(low) == len(high):
        low = high = ()
    return ReliabilityCurve(
        when=when, ece=ece[0] if ece else math.nan, confidence=confidence, frequency=frequency, low=low, high=high
    )


def _table(card: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = card.get(name)
    return table if isinstance(table, Mapping) else {}


def _shares(values: Any) -> tuple[float, ...]:
    """Numbers between 0 and 1; none of them if one is not."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return ()
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return tuple(numbers) if len(numbers) == len(values) and all(0 <= number <= 1 for number in numbers) else ()


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
