"""The arrays a report is made of, read from a result in one pass."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from phasecast.results.grid import Floats
from phasecast.results.layout import INTENSITY_COLUMN, SIGMA_COLUMN, THRESHOLD, UNSURE
from phasecast.results.partition import Surface, propose_parts, propose_surface
from phasecast.results.quality import Drift, LineDrift, intensity_drift, line_drift, rows_of
from phasecast.results.reader import Result
from phasecast.results.scene import Scene, scene_of

LEAST_SURE = 6
_BLOCK = 4096
_CANDIDATES = 500
_APART = 3.5
"""Cells between two of the least sure points, as far as there are enough: neighbours are unsure of the same thing."""

Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanPattern:
    """Mean of many patterns.

    Parameters
    ----------
    intensity, sigma
        Mean and its standard error from counting, (bins,).
    points
        Patterns in it.
    """

    intensity: Floats
    sigma: Floats
    points: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Arrays and drawings of a report.

    Parameters
    ----------
    scene
        What the maps show.
    tth_deg
        Axis of the patterns.
    x_um, y_um
        Measured positions, (n,); NaN where unknown.
    parts
        ``steel``, ``rust``, ``outside`` or ``unknown``, (n,).
    parts_confirmed
        Whether a person said so.
    surface, surface_confirmed, surface_declined
        The steel surface, whether a person confirmed it, and whether a person says that there is none.
    regions
        Name of a person's region to its points, (n,).
    class_means, region_means
        Class id, or part or region, to its mean pattern.
    least_sure
        Rows of the points with the least sure confidences, (k,).
    patterns, sigmas
        Patterns of those rows, (k, bins).
    i0, total, line
        Drifts.
    """

    scene: Scene
    tth_deg: Floats
    x_um: Floats
    y_um: Floats
    parts: NDArray[np.str_]
    parts_confirmed: bool
    surface: Surface | None
    surface_confirmed: bool
    surface_declined: bool
    regions: Mapping[str, Chosen] = field(default_factory=dict)
    class_means: Mapping[str, MeanPattern] = field(default_factory=dict)
    region_means: Mapping[str, MeanPattern] = field(default_factory=dict)
    least_sure: NDArray[np.int64]
    patterns: Floats
    sigmas: Floats
    i0: Drift | None
    total: Drift | None
    line: LineDrift | None

    @property
    def cell_um(self) -> tuple[float, float] | None:
        """Width and height of the area a point stands for; None where no position tells it."""
        if not np.any(np.isfinite(self.x_um) & np.isfinite(self.y_um)) or self.x_um.size < 2:
            return None
        if self.scene.placement is not None:
            return self.scene.width_um, self.scene.height_um
        # a scattered point is drawn a little smaller than its distance to the next
        return self.scene.width_um / 0.9, self.scene.height_um / 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSurface:
    """A surface that a person gave: its corners, none where there is no surface; and whether it is confirmed."""

    vertices_um: tuple[tuple[float, float], ...]
    confirmed: bool


def gather(
    result: Result,
    *,
    surface: GivenSurface | None = None,
    regions: Mapping[str, Chosen] | None = None,
    parts: NDArray[np.str_] | None = None,
) -> Material:
    """Read everything a report needs.

    Parameters
    ----------
    result
        Open, growing or closed.
    surface
        The surface a person gave; proposed if None.
    regions
        A person's regions, name to points (n,).
    parts
        The part of every point as a person confirmed it, (n,); proposed if None.
    """
    confirmed = parts is not None
    scene = scene_of(result)
    ledger = result.ledger
    x_um, y_um = ledger["x_um"].values, ledger["y_um"].values
    if parts is None:
        parts = propose_parts(scene.classes, scene.confidence, x_um, y_um, scene.placement)
    if surface is None:
        line = propose_surface(parts, x_um, y_um)
    else:
        line = Surface.beside(surface.vertices_um, parts, x_um, y_um) if surface.vertices_um else None
    given = dict(regions or {})
    present = scene.present(THRESHOLD) & scene.done[:, None]
    groups = {f"class {phase.id}": present[:, k] for k, phase in enumerate(scene.classes)}
    groups |= {name: (parts == name) & scene.done for name in ("steel", "rust", "outside")}
    groups |= {f"region {name}": chosen & scene.done for name, chosen in given.items()}
    groups["all"] = scene.done
    means = _mean_patterns(result, groups)
    least_sure = _least_sure(scene)
    return Material(
        scene=scene,
        tth_deg=np.asarray(result.header.tth_deg, dtype=np.float64),
        x_um=x_um,
        y_um=y_um,
        parts=parts,
        parts_confirmed=confirmed,
        surface=line,
        surface_confirmed=surface is not None and surface.confirmed,
        surface_declined=surface is not None and not surface.vertices_um,
        regions=given,
        class_means={name.removeprefix("class "): mean for name, mean in means.items() if name.startswith("class ")},
        region_means={name: mean for name, mean in means.items() if not name.startswith("class ")},
        least_sure=least_sure,
        patterns=rows_of(result, INTENSITY_COLUMN, least_sure),
        sigmas=rows_of(result, SIGMA_COLUMN, least_sure),
        i0=intensity_drift(result, "i0"),
        total=intensity_drift(result, "total_counts"),
        line=line_drift(result),
    )


def _least_sure(scene: Scene) -> NDArray[np.int64]:
    """Rows whose confidences lie nearest to even odds: largest sum of binary entropies, from different places."""
    if not scene.classes:
        return np.zeros(0, dtype=np.int64)
    p = np.clip(np.nan_to_num(scene.confidence.astype(np.float64)), 1e-9, 1 - 1e-9)
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum(axis=1)
    unsure = scene.done & ((p > UNSURE[0]) & (p < UNSURE[1])).any(axis=1)
    order = np.argsort(-np.where(unsure, entropy, -1.0), kind="stable")
    candidates = order[: min(_CANDIDATES, int(np.count_nonzero(unsure)))]
    apart = _APART * max(scene.width_um, scene.height_um)
    chosen: list[int] = []
    for row in candidates.tolist():
        distance = np.hypot(scene.x_um[chosen] - scene.x_um[row], scene.y_um[chosen] - scene.y_um[row])
        if len(chosen) < LEAST_SURE and not np.any(distance < apart):
            chosen.append(row)
    rest = [row for row in candidates.tolist() if row not in chosen]
    return np.asarray([*chosen, *rest][:LEAST_SURE], dtype=np.int64)


def _mean_patterns(result: Result, groups: Mapping[str, Chosen]) -> dict[str, MeanPattern]:
    """Mean pattern of each group of points; groups without a known pattern are left out."""
    names = list(groups)
    members = np.column_stack([groups[name] for name in names]).astype(np.float64)
    bins = len(result.header.tth_deg)
    sums, squares, counts = (np.zeros((len(names), bins)) for _ in range(3))
    intensity, sigma = result.column(INTENSITY_COLUMN).variable, result.column(SIGMA_COLUMN).variable
    for first in range(0, intensity.shape[0], _BLOCK):
        block = members[first : first + _BLOCK]
        used = block.any(axis=1)
        if not used.any():
            continue
        values = intensity[first : first + _BLOCK].values[used].astype(np.float64)
        errors = sigma[first : first + _BLOCK].values[used].astype(np.float64)
        known = np.isfinite(values) & np.isfinite(errors)
        weight = block[used].T
        if known.all():
            counts += weight.sum(axis=1)[:, None]
        else:
            counts += weight @ known.astype(np.float64)
            values[~known] = errors[~known] = 0.0
        sums += weight @ values
        squares += weight @ np.square(errors, out=errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        means, errors = sums / counts, np.sqrt(squares) / counts
    return {
        name: MeanPattern(intensity=means[k], sigma=errors[k], points=int(counts[k].max()))
        for k, name in enumerate(names)
        if counts[k].max(initial=0) > 0
    }
