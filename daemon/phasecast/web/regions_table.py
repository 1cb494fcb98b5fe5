"""Numbers of the saved regions: points, area and the fraction of every class, worked out bit by bit."""

import html
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phasecast.core.region_requests import Points, Polygon
from phasecast.core.words import Words
from phasecast.records.regions import Region
from phasecast.results.fractions import Fraction
from phasecast.web.legend import label_of
from phasecast.web.regions_measure import Ground, class_fractions, mask_of

_BUDGET_S = 0.1
_KINDS = {Polygon: "kind_polygon", Points: "kind_points"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a region on one scan.

    Parameters
    ----------
    points, done
        Its points, and those with a result.
    area_um2
        Area of its done points; NaN where positions do not tell it.
    fractions
        One a class.
    """

    points: int
    done: int
    area_um2: float
    fractions: tuple[Fraction, ...]


class FactBook:
    """Facts of regions, kept until the scan, the threshold or the region changes."""

    def __init__(self) -> None:
        self._facts: dict[tuple[object, ...], Facts] = {}
        self._newest: dict[str, Facts] = {}

    def work(self, ground: Ground, threshold: float, regions: Sequence[Region]) -> bool:
        """Work out what is missing, for a tenth of a second at most; return whether anything changed."""
        began_s, changed = time.monotonic(), False
        keys = {region.name: _key(ground, threshold, region) for region in regions}
        self._facts = {key: facts for key, facts in self._facts.items() if key in set(keys.values())}
        self._newest = {name: facts for name, facts in self._newest.items() if name in keys}
        for region in regions:
            key = keys[region.name]
            if key in self._facts:
                continue
            chosen = mask_of(ground, region)
            done = int(np.count_nonzero(chosen & ground.done))
            self._facts[key] = self._newest[region.name] = Facts(
                points=int(np.count_nonzero(chosen)),
                done=done,
                area_um2=done * ground.area_um2,
                fractions=tuple(class_fractions(ground, chosen, threshold)),
            )
            changed = True
            if time.monotonic() - began_s > _BUDGET_S:
                break
        return changed

    @property
    def newest(self) -> Mapping[str, Facts]:
        """Name of a region to what was last worked out of it."""
        return self._newest


def table_html(
    ground: Ground, threshold: float, regions: Sequence[Region], facts: Mapping[str, Facts],
    colours: Mapping[str, str], words: Words,
) -> str:  # fmt: skip
    """Return the table of the saved regions."""
    if not regions:
        return f"<p class='hint'>{html.escape(words('regions.none'))}</p>"
    heads = [words(f"regions.{key}") for key in ("region", "role", "kind", "points_done", "area")]
    heads += [label_of(phase, words) for phase in ground.classes]
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    rows = "".join(_row(ground, region, facts.get(region.name), colours[region.name], words) for region in regions)
    note = words("regions.fractions_note", threshold=f"{threshold:.2f}") if ground.classes else ""
    return f"<div class='wide'><table><tr>{head}</tr>{rows}</table></div><p class='hint'>{html.escape(note)}</p>"


def _row(ground: Ground, region: Region, facts: Facts | None, colour: str, words: Words) -> str:
    kind = words(f"regions.{_KINDS.get(type(region.definition), 'kind_threshold')}")
    role = words(f"common.{region.role}") if region.role else "–"
    cells = [f"<td><i style='background:{colour}'></i>{html.escape(region.name)}</td>"]
    cells += [f"<td>{html.escape(text)}</td>" for text in (role, kind)]
    if facts is None:
        cells += ["<td>…</td>"] * (2 + len(ground.classes))
    else:
        area = f"{facts.area_um2:,.0f}" if np.isfinite(facts.area_um2) else "–"
        cells += [f"<td class='n'>{facts.done} / {facts.points}</td>", f"<td class='n'>{area}</td>"]
        cells += [f"<td class='n'>{_share(one)}</td>" for one in facts.fractions]
    return f"<tr title='{html.escape(region.who, quote=True)}'>{''.join(cells)}</tr>"


def _share(one: Fraction) -> str:
    if not np.isfinite(one.value):
        return "–"
    return f"<b>{_percent(one.value)} %</b> <small>{_percent(one.low)}–{_percent(one.high)}</small>"


def _percent(share: float) -> str:
    """Two figures where they tell something, and never 0 or 100 for what is not."""
    value = 100 * share
    if 0 < value < 0.1:
        return "&lt;0.1"
    if 99.9 < value < 100:
        return "&gt;99.9"
    return f"{value:.1f}" if 0 < value < 10 or 99 < value < 100 else f"{value:.0f}"


def _key(ground: Ground, threshold: float, region: Region) -> tuple[object, ...]:
    return ground.raw_uid, ground.version, threshold, region.name, region.time_s
