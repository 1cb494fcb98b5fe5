"""The sentences and tables of a report in one language, ready for the template."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from phasecast.core.ledger import PointState
from phasecast.core.words import Words
from phasecast.report.methods import pair, quantity, setting_text, validation_text
from phasecast.report.model import DriftFact, PhaseShare, RegionShares, Report
from phasecast.report.names import label_of, name_of
from phasecast.results.composite import CROSSED, MISSING_COLOURS, UNSURE_COLOUR
from phasecast.results.scene import Scene

_PARTS = ("steel", "rust", "outside")
_FIELDS_SHOWN = 14


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
            points=f"{scan.points:,}",
        ),
        "flags": [(say(f"flag.{name}"), f"{count:,}") for name, count in report.quality.flags.items()],
        "surplus": unknown if report.quality.surplus_frames is None else f"{report.quality.surplus_frames:,}",
        "saturation": say(
            "report.saturation",
            points=f"{report.quality.saturated_points:,}",
            pixels=unknown if report.quality.saturated_pixels is None else f"{report.quality.saturated_pixels:,}",
        ),
        "reasons": [(name, f"{count:,}") for name, count in report.quality.reasons.items()],
        "defects": [(name, f"{count:,}") for name, count in report.quality.defects.items()],
        "drifts": list(_drifts(report, say)),
        "scan_rows": _scan_rows(report, say),
        "instrument_rows": _instrument_rows(report, say),
        "corrections": ("、" if say.language == "ja" else ", ").join(setting_text(one, say) for one in report.settings),
        "software": f"{say('report.software')}: " + ", ".join(f"{k} {v}" for k, v in report.versions.items()),
        "timing_rows": _timing_rows(report, say),
        "replay": list(_replay(report, say)),
        "made": say("report.made", version=report.phasecast, when=_moment(report.made), file=scan.result_file),
    }


def duration_text(seconds: float | None, say: Words) -> str:
    """Return a duration in the unit people would use."""
    if seconds is None:
        return say("report.unknown")
    if seconds < 120:
        return say("report.seconds", value=f"{seconds:.3g}")
    if seconds < 7200:
        return say("report.minutes_value", value=f"{seconds / 60:.1f}")
    return say("report.hours_value", value=f"{seconds / 3600:.1f}")


def _heading(report: Report, say: Words) -> str:
    name = report.sample.get("name") or report.scan.plan_name
    if not report.scan.scan_id:
        return name
    return f"{name} · {say('report.scan_number', number=report.scan.scan_id)}"


def _subheading(report: Report, say: Words) -> Iterator[str]:
    scan = report.scan
    yield scan.profile_title or scan.profile_name or say("report.unknown")
    ended = f" – {_moment(scan.ended)}" if scan.ended else ""
    yield f"{_moment(scan.started)}{ended} UTC"
    if scan.user:
        yield scan.user


def _moment(iso: str | None) -> str:
    return (iso or "")[:19].replace("T", " ")


def _notices(report: Report, say: Words) -> Iterator[tuple[str, str]]:
    scan = report.scan
    kind = "good" if report.condition == "complete" else "bad"
    yield kind, say(f"report.{report.condition}", done=f"{scan.points_done:,}", points=f"{scan.points:,}")
    if report.condition in ("empty",) and report.exit_status not in ("", "success"):
        status = {"abort": "aborted", "unfinished": "unfinished"}.get(report.exit_status, "failed")
        yield "bad", say(f"report.{status}", done=0, points=f"{scan.points:,}")
    if report.quality.doubt:
        yield "bad", say("report.doubt", why=report.quality.doubt)
    if not report.classes:
        yield "note", say("report.unclassified")
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


def _validation(report: Report, say: Words) -> str:
    return validation_text(report.model.calibrated_on, say) if report.model is not None else say("report.unknown")


def _validation_sentence(report: Report, say: Words) -> str:
    return say("report.validation_sentence", validation=_validation(report, say)) if report.model is not None else ""


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
        verdict=_verdict(line.drift, say),
    )


def _verdict(fact: DriftFact, say: Words) -> str:
    return say("report.drift_yes" if fact.significant else "report.drift_no")


def _scan_rows(report: Report, say: Words) -> list[tuple[str, str]]:
    scan, unknown = report.scan, say("report.unknown")
    labels = {"name": say("common.sample")}
    rows = [
        (labels.get(key, _field_label(key, say)), value) for key, value in list(report.sample.items())[:_FIELDS_SHOWN]
    ]
    if not rows:
        rows = [(say("common.sample"), unknown)]
    if scan.shape is not None and len(scan.shape) == 2 and scan.raster:
        shape = say("report.raster", columns=scan.shape[1], rows=scan.shape[0])
    else:
        shape = say("report.irregular", points=f"{scan.points:,}")
    extent = unknown
    if scan.x_range_um is not None and scan.y_range_um is not None:
        (x0, x1), (y0, y1) = scan.x_range_um, scan.y_range_um
        extent = f"x {x0:g} – {x1:g} µm, y {y0:g} – {y1:g} µm"
    return [
        *rows,
        (say("report.user"), scan.user or unknown),
        (say("report.facility"), scan.facility or unknown),
        (say("report.scan_id"), str(scan.scan_id) if scan.scan_id else unknown),
        (say("report.plan"), scan.plan_name or unknown),
        (say("report.timing_started"), _moment(scan.started)),
        (say("report.timing_ended"), _moment(scan.ended) or unknown),
        (say("report.shape"), shape),
        (say("report.step"), pair((scan.x_step_um, scan.y_step_um), "µm", say)),
        (say("report.extent"), extent),
        (say("report.result_file"), scan.result_file),
        (say("report.raw_uid"), scan.raw_uid or unknown),
    ]


def _field_label(key: str, say: Words) -> str:
    try:
        return say(f"sample.{key}")
    except KeyError:
        return key.replace("_", " ")


def _instrument_rows(report: Report, say: Words) -> list[tuple[str, str]]:
    geometry, unknown = report.geometry, say("report.unknown")
    axis = unknown
    if geometry.tth_min_deg is not None and geometry.tth_max_deg is not None:
        low, high = f"{geometry.tth_min_deg:.2f}", f"{geometry.tth_max_deg:.2f}"
        axis = say("report.bins", low=low, high=high, bins=geometry.bins)
    rows = [
        (say("report.profile"), report.scan.profile_name or unknown),
        (say("report.energy"), quantity(geometry.energy_kev, "keV", say)),
        (say("report.wavelength"), quantity(geometry.wavelength_angstrom, "Å", say, 6)),
        (say("report.beam"), pair(report.scan.beam_um, "µm", say)),
        (say("report.detector"), geometry.detector or unknown),
        (say("report.distance"), quantity(geometry.distance_mm, "mm", say)),
        (say("report.arm"), quantity(geometry.arm_tth_deg, "°", say)),
        (say("report.axis"), axis),
        (say("report.geometry_origin"), geometry.origin or unknown),
        (say("report.residual"), quantity(geometry.residual_deg, "°", say)),
        (say("report.geometry_id"), (geometry.geometry_id or unknown)[:16]),
    ]
    model = report.model
    rows.append((say("common.model"), f"{model.name} {model.version}" if model else say("report.none")))
    if model is not None:
        rows += [(say("report.model_hash"), model.sha256), (say("report.validation"), _validation(report, say))]
        rows.append(
            (say("report.labels"), say("report.labels_value", used=report.labels_used, given=report.labels_given))
        )
    note = f" ({report.device_note})" if report.device_note else ""
    rows.append((say("report.device"), f"{report.device}{note}"))
    return rows


def _timing_rows(report: Report, say: Words) -> list[tuple[str, str]]:
    timing, unknown = report.timing, say("report.unknown")
    return [
        (say("report.timing_started"), _moment(report.scan.started)),
        (say("report.timing_ended"), _moment(report.scan.ended) or unknown),
        (say("report.duration"), duration_text(timing.duration_s, say)),
        (say("report.timing_rate"), unknown if timing.points_per_s is None else f"{timing.points_per_s:.2f}"),
        (say("report.timing_period"), duration_text(timing.point_period_s, say)),
        (say("report.timing_pause"), duration_text(timing.longest_pause_s, say)),
        (say("report.timing_exposure"), duration_text(timing.exposure_s, say)),
    ]


def _replay(report: Report, say: Words) -> Iterator[str]:
    replay = report.replay
    if replay.segments:
        names = list(replay.segments)
        listed = ", ".join(names) if len(names) <= 4 else f"{names[0]} … {names[-1]} ({len(names)})"
        offset = say("report.unknown") if replay.first_offset is None else f"{replay.first_offset:,}"
        yield say("report.replay_capture", segments=listed, offset=offset)
    if replay.frame_files:
        yield say("report.replay_files", count=f"{replay.frame_files:,}")
    if not replay.segments and not replay.frame_files:
        yield say("report.replay_none")
    if replay.sources:
        yield f"{say('report.sources')}: {', '.join(replay.sources)}"
