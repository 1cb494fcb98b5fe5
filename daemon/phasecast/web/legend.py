"""What the colours of a layer mean, with the number of points of each."""

import html

from phasecast.core.ledger import PointState
from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.web.colours import STATE_COLOURS, UNSURE_HEX
from phasecast.web.layers import COMPOSITE, LEDGER, LayerKey
from phasecast.web.live_scan import LiveScan

_HATCH = "repeating-linear-gradient(45deg,#000 0 2px,#fff 2px 5px)"
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def formula_of(phase: PhaseClass) -> str:
    """Return a formula with its numbers set low."""
    formula = phase.formula
    return "".join(
        character.translate(_SUBSCRIPTS) if k and formula[k - 1].isalnum() else character
        for k, character in enumerate(formula)
    )


def label_of(phase: PhaseClass, words: Words) -> str:
    """Return the name of a class with its formula where the name does not hold it."""
    name, formula = words.name_of(phase.name_en, phase.name_ja), formula_of(phase)
    first = phase.formula.split("/")[0]
    return f"{name}, {formula}" if formula and not name.startswith(first) else name


def legend_html(scan: LiveScan, key: LayerKey, words: Words) -> str:
    """Return the legend of a layer."""
    sums = scan.columns.ledger_sums
    tally = scan.tally(key.threshold)
    entries: list[tuple[str, str]] = []
    if key.name == COMPOSITE:
        entries += [
            (phase.colour, f"{label_of(phase, words)}: {count}")
            for phase, count in zip(scan.header.classes, tally.classes, strict=True)
        ]
        entries.append((UNSURE_HEX, f"{words('page.no_class', threshold=f'{key.threshold:.2f}')}: {tally.without}"))
    if key.name == LEDGER:
        entries += [
            (STATE_COLOURS[state], f"{words(f'state.{state.label}')}: {sums[state.label]}")
            for state in PointState
            if sums[state.label]
        ]
    else:
        entries += [
            (STATE_COLOURS[state], f"{words(f'state.{state.label}')}: {sums[state.label]}")
            for state in (PointState.PENDING, PointState.REJECTED, PointState.LOST_UPSTREAM, PointState.DROPPED_BY_US)
            if sums[state.label]
        ]
    if key.name == LEDGER and scan.is_map and sums["superseded"]:
        entries.append((STATE_COLOURS[PointState.SUPERSEDED], words("map.twice")))
    if tally.doubtful:
        entries.append((_HATCH, f"{words('flag.position_doubtful')}: {tally.doubtful}"))
    items = "".join(
        f"<span><i style='background:{html.escape(colour)}'></i>{html.escape(text)}</span>" for colour, text in entries
    )
    mixtures = f"<span>{html.escape(words('page.stripes'))}</span>" if key.name == COMPOSITE else ""
    return f"<div class='legend'>{items}{mixtures}</div>"
