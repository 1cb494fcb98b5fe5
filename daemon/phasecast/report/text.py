"""The sentences and tables of a report in one language, ready for the template."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from phasecast.core.ledger import PointState
from phasecast.core.words import Words
from phasecast.report.blind_check import blind_text
from phasecast.report.fact_text import (
    duration_text,
    instrument_rows,
    moment_text,
    replay_paragraphs,
    scan_rows,
    timing_rows,
    validation_of,
)
from phasecast.report.map_text import map_notices, map_rows
from phasecast.report.methods import setting_text
from phasecast.report.model import DriftFact, PhaseShare, RegionShares, Report
from phasecast.report.names import label_of, name_of
from phasecast.results.composite import CROSSED, MISSING_COLOURS, UNSURE_COLOUR
from phasecast.results.scene import Scene

_PARTS = ("steel", "rust", "outside")


def page_text(report: Report, scene: Scene, say: Words) -> dict[str, Any]:
    """Return everything the template shows that is text."""
    scan = report.scan
    sections = ["maps", *(["fractions", "profile", "patterns", "unsure"] if report.regions else [])]
    sections += ["quality", "what", "timing", "replay", "methods"]
    whole = next((region for region in report.regions if region.kind == "all"), None)
    parts = [region for region in report.regions if region.kind != "all"]
    unknown = say("report.unknown")
    return {
        "heading": _heading(report, say),
        "subheading": " · ".join(_subheading(report, say)),
        "notices": list(_notices(report, say)),
        "tiles": _tiles(report, say),
        "sections": [(name, say(f"report.section_{name}")) for name in sections],
        "legend": list(_legend(report, scene, say)),
        "composite_caption": say("report.composite", threshold=report.threshold)
        if report.classes
        else say("report.total_caption"),
        "footprint": _footprint(report, say),
        "validation": _validation_sentence(report, say),
        "fractions": _fraction_rows(report, whole, say) if whole else [],
        "fractions_head": say(
            "report.fractions_head", region=say("report.whole"), points=f"{whole.points:,}", area=_area(whole, say)
        )
        if whole
        else "",
        "regions": [
            {
                "label": _region_name(region, say),
                "confirmed": region.confirmed,
                "status": say("report.confirmed") if region.confirmed else say("report.proposed"),
                "points": f"{region.points:,}",
                "area": _area(region, say),
            }
            for region in parts
        ],
        "region_rows": _region_rows(report, parts, say),
        "profile_caption": _profile_caption(report, say),
        "no_profile": say(f"report.no_profile_{report.no_profile}") if report.no_profile else "",
        "unsure": list(_unsure_rows(report, say)),
        "ledger": [(say(f"state.{name}"), f"{count:,}") for name, count in report.quality.ledger.items()],
        "ledger_sum": f"{sum(report.quality.ledger.values()):,}",
        "ledger_verdict": say(
            "report.ledger_agrees" if report.quality.ledger_agrees else "report.ledger_differs",
            points=f"{sum(report.quality.ledger.values()):,}",
        ),
        "flags": [(say(f"flag.{name}"), f"{count:,}") for name, count in report.quality.flags.items()],
        "surplus": unknown if report.quality.surplus_frames is None else f"{report.quality.surplus_frames:,}",
        "saturation": say(
            "report.saturation",
            points=f"{report.quality.saturated_points:,}",
            pixels=unknown if report.quality.saturated_pixels is None else f"{report.quality.saturated_pixels:,}",
        ),
        "reasons": [(say.reason(name), f"{count:,}") for name, count in report.quality.reasons.items()],
        "not_classified": [(name, f"{count:,}") for name, count in report.quality.not_classified.items()],
        "defects": [(say.reason(name), f"{count:,}") for name, count in report.quality.defects.items()],
        "drifts": list(_drifts(report, say)),
        "blind": blind_text(report, say),
        "scan_rows": [*scan_rows(report, say), *map_rows(report.map, say)],
        "instrument_rows": instrument_rows(report, say),
        "corrections": ("、" if say.language == "ja" else ", ").join(setting_text(one, say) for one in report.settings),
        "software": f"{say('report.software')}: " + ", ".join(f"{k} {v}" for k, v in report.versions.items()),
        "timing_rows": timing_rows(report, say),
        "replay": list(replay_paragraphs(report, say)),
        "made": say("report.made", version=report.phasecast, when=moment_text(report.made), file=scan.result_file),
    }


def _heading(report: Report, say: Words) -> str:
    name = report.sample.get("name") or report.scan.plan_name
    if not report.scan.scan_id:
        return name
    return f"{name} · {say('report.scan_number', number=report.scan.scan_id)}"


def _subheading(report: Report, say: Words) -> Iterator[str]:
    scan = report.scan
    yield scan.profile_title or scan.profile_name or say("report.unknown")
    ended = f" – {moment_text(scan.ended)}" if scan.ended else ""
    yield f"{moment_text(scan.started)}{ended} UTC"
    if scan.user:
        yield scan.user


def _notices(report: Report, say: Words) -> Iterator[tuple[str, str]]:
    scan = report.scan
    kind = "good" if report.condition == "complete" else "bad"
    yield kind, say(f"report.{report.condition}", done=f"{scan.points_done:,}", points=f"{scan.points:,}")
    if report.condition in ("empty",) and report.exit_status not in ("", "success"):
        status = {"abort": "aborted", "unfinished": "unfinished"}.get(report.exit_status, "failed")
        yield "bad", say(f"report.{status}", done=0, points=f"{scan.points:,}")
    if report.quality.doubt:
        yield "bad", say("report.doubt", why=report.quality.doubt)
    yield from map_notices(report.map, say)
    if not report.classes:
        yield "note", say("report.unclassified")
    if report.is_not_normalised:
        yield "note", say("report.not_normalised")
    elif report.quality.points_without_i0:
        points = f"{report.quality.points_without_i0:,}"
        yield "note", say("report.partly_normalised", points=points, done=f"{scan.points_done:,}")
    if report.quality.reasons.get("no beam"):
        yield "bad", say("report.no_beam", points=f"{report.quality.reasons['no beam']:,}")
    if report.model is not None and not report.labels_used:
        yield "note", _validation_sentence(report, say)
    for line in report.unread:
        yield "note", say("report.unread", what=line)
    if scan.simulated:
        yield "note", say("report.simulated")


def _tiles(report: Report, say: Words) -> list[tuple[str, str]]:
    scan = report.scan
    whole = next((region for region in report.regions if region.kind == "all"), None)
    tiles = [(say("report.points_done"), f"{scan.points_done:,} / {scan.points:,}")]
    if whole is not None and whole.area_um2 is not None:
        tiles.append((say("report.mapped_area"), f"{whole.area_um2:,.0f} µm²"))
    if report.timing.duration_s is not None:
        tiles.append((say("report.duration"), duration_text(report.timing.duration_s, say)))
    if report.classes:
        tiles.append((say("report.unsure_points"), f"{report.unsure_points:,}"))
    return tiles


def _legend(report: Report, scene: Scene, say: Words) -> Iterator[dict[str, str]]:
    if not report.classes:
        return
    counts = scene.present()[scene.done].sum(axis=0)
    for fact, count in zip(report.classes, counts.tolist(), strict=True):
        yield {"colour": fact.colour, "label": label_of(fact, say), "count": f"{count:,}", "mark": ""}
    if report.uncovered_points:
        label, count = say("report.no_class"), f"{report.uncovered_points:,}"
        yield {"colour": UNSURE_COLOUR, "label": label, "count": count, "mark": "□"}
    for state, colour in MISSING_COLOURS.items():
        count = report.quality.ledger.get(state.label, 0)
        if count:
            mark = "×" if state in CROSSED else "•"
            yield {
                "colour": colour,
                "label": say(f"state.{PointState(state).label}"),
                "count": f"{count:,}",
                "mark": mark,
            }
    doubtful = report.quality.flags.get("position_doubtful", 0)
    if doubtful:
        yield {"colour": "#000000", "label": say("report.doubtful_legend"), "count": f"{doubtful:,}", "mark": "/"}


def _footprint(report: Report, say: Words) -> str:
    if report.scan.x_range_um is None or report.scan.y_range_um is None:
        return say("report.no_positions")
    if report.scan.beam_um is None:
        return say("report.footprint_unknown")
    width, height = report.scan.beam_um
    return say("report.footprint", width=f"{width:g}", height=f"{height:g}")


def _validation_sentence(report: Report, say: Words) -> str:
    return say("report.validation_sentence", validation=validation_of(report, say)) if report.model is not None else ""


def _share_cell(share: PhaseShare) -> dict[str, str]:
    if share.value is None or share.low is None or share.high is None:
        return {"value": "–", "interval": ""}
    return {
        "value": f"{100 * share.value:.1f} %",
        "interval": f"{100 * share.low:.1f}–{100 * share.high:.1f}",
    }


def _fraction_rows(report: Report, region: RegionShares, say: Words) -> list[dict[str, Any]]:
    rows = []
    for fact in report.classes:
        shares = {share.threshold: share for share in region.shares if share.class_id == fact.id}
        rows.append(
            {
                "fact": fact,
                "label": label_of(fact, say),
                "cells": [_share_cell(shares[threshold]) for threshold in report.thresholds],
                "effective": f"{shares[report.threshold].effective_points:.0f}",
            }
        )
    return rows


def _region_rows(report: Report, regions: list[RegionShares], say: Words) -> list[dict[str, Any]]:
    return [
        {
            "fact": fact,
            "label": label_of(fact, say),
            "cells": [
                _share_cell(share)
                for region in regions
                for share in region.shares
                if share.class_id == fact.id and share.threshold == report.threshold
            ],
        }
        for fact in report.classes
    ]


def _region_name(region: RegionShares, say: Words) -> str:
    if region.kind == "all":
        return say("report.whole")
    return say(f"common.{region.id}") if region.kind == "part" and region.id in _PARTS else region.id


def _area(region: RegionShares, say: Words) -> str:
    return say("report.unknown") if region.area_um2 is None else f"{region.area_um2:,.0f}"


def _profile_caption(report: Report, say: Words) -> str:
    if report.profile is None:
        return ""
    status = say("report.confirmed") if report.profile.confirmed else say("report.proposed")
    return say("report.profile_caption", threshold=report.profile.threshold, status=status)


def _unsure_rows(report: Report, say: Words) -> Iterator[dict[str, str]]:
    comma, stop = ("、", "。") if say.language == "ja" else (", ", ". ")
    for point in report.least_sure:
        names = comma.join(f"{name_of(report.class_of(name), say)} {value:.2f}" for name, value in point.unsure.items())
        peaks = comma.join(f"{peak.tth_deg:.2f}° ({peak.significance:.0f} σ)" for peak in point.unexplained)
        why = [say("report.why_unsure", classes=names)] if names else []
        why.append(say("report.why_peak", peaks=peaks) if peaks else say("report.why_no_peak"))
        place = say("report.unknown")
        if point.x_um is not None and point.y_um is not None:
            place = f"{point.x_um:.1f}, {point.y_um:.1f}"
        yield {"number": str(point.point), "place": place, "why": stop.join(why)}


def _drifts(report: Report, say: Words) -> Iterator[str]:
    quality = report.quality
    for key, fact in (("drift_i0", quality.i0), ("drift_total", quality.total)):
        name = say(f"report.{key}")
        if fact is None or not fact.mean or not np.isfinite(fact.mean):
            yield say("report.drift_unknown", name=name)
            continue
        percent = 100 / fact.mean
        # the sample changes the total as well as the beam does: its change is told, not judged
        yield say(
            "report.drift_relative" if key == "drift_i0" else "report.drift_sample",
            name=name,
            change=f"{fact.change * percent:+.2f}",
            sigma=f"{fact.change_sigma * percent:.2f}",
            scatter=f"{fact.scatter * percent:.2f}",
            verdict=_verdict(fact, say),
        )
    line = quality.line
    if line is None:
        yield say("report.line_unknown")
        return
    name = say(
        "report.drift_line",
        phase=name_of(report.class_of(line.class_id), say),
        reference=f"{line.reference_deg:.3f}",
    )
    yield say(
        "report.drift_degrees",
        name=name,
        mean=f"{line.drift.mean:.4f}",
        change=f"{line.drift.change:+.4f}",
        sigma=f"{line.drift.change_sigma:.4f}",
        scatter=f"{line.drift.scatter:.4f}",
        points=f"{line.drift.points:,}",
        verdict=say("report.drift_beyond", limit=f"{line.limit_deg:g}")
        if line.beyond_limit
        else _verdict(line.drift, say),
    )


def _verdict(fact: DriftFact, say: Words) -> str:
    return say("report.drift_yes" if fact.significant else "report.drift_no")
