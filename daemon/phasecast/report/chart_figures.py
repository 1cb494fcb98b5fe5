"""Charts of a report: fractions, distance profile, patterns and drifts."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.report.fonts import writable
from phasecast.report.map_figures import MM
from phasecast.report.material import Material
from phasecast.report.model import Report
from phasecast.report.names import label_of, name_of
from phasecast.results.grid import Floats
from phasecast.results.quality import Drift

_GRID = "#EAECF0"
_INK = "#344054"
_STEEL_SIDE = "#F2F4F7"
_PALE = 0.82
_MOST_DOTS = 500
_NEAR_DEG = 0.15


def fraction_figure(report: Report, say: Words, *, width_mm: float) -> Figure:
    """Draw the area fraction of every class on the whole map with its interval, at the report's threshold."""
    whole = next(region for region in report.regions if region.kind == "all")
    shares = [share for share in whole.shares if share.threshold == report.threshold and share.value is not None]
    size = _font(width_mm)
    figure = Figure(figsize=(width_mm * MM, 0.24 * len(shares) + 0.55), layout="constrained")
    axes = figure.add_subplot()
    for k, share in enumerate(shares):
        fact = report.class_of(share.class_id)
        value, low, high = (100 * float(part or 0) for part in (share.value, share.low, share.high))
        axes.barh(k, value, height=0.62, color=fact.colour, edgecolor=_edge(fact.colour), linewidth=0.6)
        axes.plot([low, high], [k, k], color="#101828", linewidth=1.1)
        axes.plot(
            [low, low, np.nan, high, high], [k - 0.16, k + 0.16, np.nan, k - 0.16, k + 0.16], color="#101828", lw=1.1
        )
    axes.set_yticks(
        range(len(shares)),
        [writable(label_of(report.class_of(share.class_id), say)) for share in shares],
        fontsize=size,
    )
    axes.invert_yaxis()
    axes.set_xlim(0, max(5.0, min(100.0, 1.05 * max(100 * float(share.high or 0) for share in shares))))
    _plain(axes, size)
    axes.grid(axis="x", color=_GRID, linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(say("report.fraction_axis"), fontsize=size)
    return figure


def profile_figure(report: Report, say: Words, *, width_mm: float) -> Figure:
    """Draw the fraction of every class that occurs against the distance from the steel surface."""
    assert report.profile is not None
    size = _font(width_mm)
    figure = Figure(
        figsize=(width_mm * MM, max(width_mm * MM * 0.44, 2.0) + (0.3 if width_mm > 120 else 0.8)), layout="constrained"
    )
    axes = figure.add_subplot()
    x = [one.distance_um for one in report.profile.bins]
    step = min(np.diff(x)) if len(x) > 1 else 1.0
    axes.axvspan(min(x[0] - step, -step), 0, color=_STEEL_SIDE, linewidth=0)
    axes.axvline(0, color=_INK, linewidth=0.9, linestyle=(0, (4, 2)))
    for fact in report.classes:
        y = [100 * one.shares[fact.id] for one in report.profile.bins]
        if max(y) < 1:
            continue
        # a darker edge keeps the palest colours in sight on white
        axes.plot(x, y, color=_edge(fact.colour), linewidth=2.6, solid_joinstyle="round")
        axes.plot(
            x, y, color=fact.colour, linewidth=1.7, marker="o", markersize=2.6, markeredgewidth=0,
            label=writable(name_of(fact, say)),
        )  # fmt: skip
    _plain(axes, size)
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set(xlim=(x[0] - step / 2, x[-1] + step / 2), ylim=(0, 103))
    axes.set_xlabel(say("report.distance_axis"), fontsize=size)
    axes.set_ylabel(say("report.fraction_axis"), fontsize=size)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(loc="outside lower center", ncols=4 if width_mm > 120 else 2, fontsize=size, frameon=False)
    return figure


def mean_pattern_figure(report: Report, material: Material, say: Words, *, width_mm: float) -> Figure:
    """Draw the mean pattern of every class with its reference lines as sticks."""
    size = _font(width_mm)
    phases = [phase for phase in material.scene.classes if phase.id in material.class_means]
    columns = 2 if len(phases) > 1 and width_mm > 120 else 1
    rows = math.ceil(len(phases) / columns)
    figure = Figure(figsize=(width_mm * MM, rows * 1.12 + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for k, axes in enumerate(panels.ravel()):
        if k >= len(phases):
            axes.set_axis_off()
            continue
        mean = material.class_means[phases[k].id]
        _pattern(axes, material.tth_deg, mean.intensity, mean.sigma, size)
        _sticks(axes, [phases[k]])
        title = f"{label_of(phases[k], say)}  ·  {say('report.mean_of', points=mean.points)}"
        axes.set_title(writable(title), fontsize=size, loc="left", pad=3)
        _labels(axes, k, len(phases), columns, say, size)
    return figure


def unsure_figure(report: Report, material: Material, say: Words, *, width_mm: float) -> Figure:
    """Draw the patterns of the least sure points, with the lines of what is possible and the peaks nothing explains."""
    size = _font(width_mm)
    count = len(report.least_sure)
    columns = 2 if count > 1 and width_mm > 120 else 1
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width_mm * MM, rows * 1.3 + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    by_id = {phase.id: phase for phase in material.scene.classes}
    for k, axes in enumerate(panels.ravel()):
        if k >= count:
            axes.set_axis_off()
            continue
        point = report.least_sure[k]
        pattern, sigma = material.patterns[k], material.sigmas[k]
        _pattern(axes, material.tth_deg, pattern, sigma, size)
        _sticks(axes, [by_id[name] for name in dict.fromkeys((*point.leading, *point.unsure))])
        high = np.nanmax(pattern) if np.isfinite(pattern).any() else 1.0
        for peak in point.unexplained:
            near = pattern[np.abs(material.tth_deg - peak.tth_deg) < _NEAR_DEG]
            at = float(np.nanmax(near)) if np.isfinite(near).any() else high
            axes.plot(
                peak.tth_deg, at + 0.07 * high, marker="v", color="#D92D20", markersize=4,
                clip_on=False,
            )  # fmt: skip
        names = ", ".join(f"{name_of(report.class_of(name), say)} {value:.2f}" for name, value in point.unsure.items())
        axes.set_title(writable(f"{say('common.point')} {point.point}  ·  {names}"), fontsize=size, loc="left", pad=3)
        _labels(axes, k, count, columns, say, size)
    return figure


def drift_figure(report: Report, material: Material, say: Words, *, width_mm: float) -> Figure:
    """Draw the incident monitor and the position of the known line against time, as far as they are known."""
    size = _font(width_mm)
    drifts: list[tuple[Drift, float, str]] = []
    if material.i0 is not None and material.i0.mean:
        drifts.append((material.i0, 1 / material.i0.mean, say("report.relative")))
    if material.line is not None:
        drifts.append((material.line.drift, 1.0, say("report.position_deg")))
    figure = Figure(figsize=(width_mm * MM, 1.35 * len(drifts) + 0.3), layout="constrained")
    panels = figure.subplots(len(drifts), 1, squeeze=False, sharex=True)
    start = min(float(drift.time_s.min()) for drift, _, _ in drifts)
    for axes, (drift, factor, label) in zip(panels.ravel(), drifts, strict=True):
        minutes = (drift.time_s - start) / 60
        few = np.linspace(0, minutes.size - 1, min(minutes.size, _MOST_DOTS)).astype(np.int64)
        axes.plot(minutes[few], drift.value[few] * factor, ".", color="#84ADFF", markersize=2.5, markeredgewidth=0)
        line_at = np.array([minutes.min(), minutes.max()])
        slope = drift.slope_per_h / 60
        centre = (
            np.mean(minutes) if not np.isfinite(drift.sigma).all() else np.average(minutes, weights=drift.sigma**-2)
        )
        axes.plot(line_at, (drift.mean + slope * (line_at - centre)) * factor, color="#101828", linewidth=1.1)
        _plain(axes, size)
        axes.grid(color=_GRID, linewidth=0.6)
        axes.set_ylabel(label, fontsize=size)
        axes.ticklabel_format(useOffset=False)
    panels[-1, 0].set_xlabel(say("report.minutes"), fontsize=size)
    return figure


def _font(width_mm: float) -> float:
    return 6.5 if width_mm < 120 else 8.0


def _pattern(axes: Axes, tth: Floats, intensity: Floats, sigma: Floats, size: float) -> None:
    axes.fill_between(tth, intensity - sigma, intensity + sigma, color="#B2CCFF", linewidth=0)
    axes.plot(tth, intensity, color="#1849A9", linewidth=0.8)
    _plain(axes, size)
    if np.isfinite(intensity).any():
        low, high = float(np.nanmin(intensity)), float(np.nanmax(intensity))
        room = (high - low) or abs(high) or 1.0
        axes.set_ylim(min(low, 0.0) - 0.02 * room, high + 0.18 * room)
    axes.set_xlim(float(tth[0]), float(tth[-1]))


def _sticks(axes: Axes, phases: list[PhaseClass]) -> None:
    """Reference lines from the bottom of the panel, the strongest of each class a third of its height."""
    mixed = blended_transform_factory(axes.transData, axes.transAxes)
    for phase in phases:
        sticks = [[(tth, 0.0), (tth, 0.04 + 0.3 * height / 100)] for tth, height in phase.reference_lines]
        for colour, width in ((_edge(phase.colour), 2.0), (phase.colour, 1.2)):
            lines = LineCollection(sticks, colors=colour, linewidths=width, capstyle="butt", zorder=1)
            lines.set_transform(mixed)
            axes.add_collection(lines, autolim=False)


def _labels(axes: Axes, k: int, count: int, columns: int, say: Words, size: float) -> None:
    axes.set_xlabel(say("common.tth_deg") if k + columns >= count else "", fontsize=size)
    axes.tick_params(labelbottom=k + columns >= count)
    axes.set_ylabel(say("common.intensity") if k % columns == 0 else "", fontsize=size)
    axes.locator_params(axis="y", nbins=4)


def _plain(axes: Axes, size: float) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=size)


def _edge(colour: str) -> str:
    """Return an outline for a colour: grey for pale ones, the colour itself for others."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    light = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    return "#98A2B3" if light > _PALE else colour
