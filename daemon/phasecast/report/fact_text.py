"""The tables of facts of a report in one language: what was scanned, with what, how long, and from which raw data."""

from collections.abc import Iterator

from phasecast.core.words import Words
from phasecast.report.methods import arm_text, pair, quantity, validation_text
from phasecast.report.model import Report

_FIELDS_SHOWN = 14


def duration_text(seconds: float | None, say: Words) -> str:
    """Return a duration in the unit people would use."""
    if seconds is None:
        return say("report.unknown")
    if seconds < 120:
        return say("report.seconds", value=f"{seconds:.3g}")
    if seconds < 7200:
        return say("report.minutes_value", value=f"{seconds / 60:.1f}")
    return say("report.hours_value", value=f"{seconds / 3600:.1f}")


def moment_text(iso: str | None) -> str:
    """Return an ISO time without its T and its fractions."""
    return (iso or "")[:19].replace("T", " ")


def validation_of(report: Report, say: Words) -> str:
    """Return how the confidences of a report were validated."""
    return validation_text(report.model.calibrated_on, say) if report.model is not None else say("report.unknown")


def scan_rows(report: Report, say: Words) -> list[tuple[str, str]]:
    """Return the table of what was scanned: name and value."""
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
        (say("report.timing_started"), moment_text(scan.started)),
        (say("report.timing_ended"), moment_text(scan.ended) or unknown),
        (say("report.shape"), shape),
        (say("report.step"), pair((scan.x_step_um, scan.y_step_um), "µm", say)),
        (say("report.extent"), extent),
        (say("report.result_file"), scan.result_file),
        (say("report.raw_uid"), scan.raw_uid or unknown),
    ]


def instrument_rows(report: Report, say: Words) -> list[tuple[str, str]]:
    """Return the table of how it was measured and computed: name and value."""
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
        (say("report.arm"), arm_text(geometry, say)),
        (say("report.axis"), axis),
        (say("report.geometry_origin"), geometry.origin or unknown),
        (say("report.residual"), quantity(geometry.residual_deg, "°", say)),
        (say("report.geometry_id"), (geometry.geometry_id or unknown)[:16]),
    ]
    model = report.model
    rows.append((say("common.model"), f"{model.name} {model.version}" if model else say("report.none")))
    if model is not None:
        rows += [(say("report.model_hash"), model.sha256), (say("report.validation"), validation_of(report, say))]
        for one in report.other_models:
            named = {"name": f"{one.name} {one.version}", "points": one.points, "hash": one.sha256[:16]}
            rows.append((say("report.other_model"), say("report.other_model_value", **named)))
        rows.append(
            (say("report.labels"), say("report.labels_value", used=report.labels_used, given=report.labels_given))
        )
    note = f" ({report.device_note})" if report.device_note else ""
    rows.append((say("report.device"), f"{report.device}{note}"))
    return rows


def timing_rows(report: Report, say: Words) -> list[tuple[str, str]]:
    """Return the table of times: name and value."""
    timing, unknown = report.timing, say("report.unknown")
    return [
        (say("report.timing_started"), moment_text(report.scan.started)),
        (say("report.timing_ended"), moment_text(report.scan.ended) or unknown),
        (say("report.duration"), duration_text(timing.duration_s, say)),
        (say("report.timing_rate"), unknown if timing.points_per_s is None else f"{timing.points_per_s:.2f}"),
        (say("report.timing_period"), duration_text(timing.point_period_s, say)),
        (say("report.timing_pause"), duration_text(timing.longest_pause_s, say)),
        (say("report.timing_exposure"), duration_text(timing.exposure_s, say)),
    ]


def replay_paragraphs(report: Report, say: Words) -> Iterator[str]:
    """Yield where the raw data lie."""
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


def _field_label(key: str, say: Words) -> str:
    try:
        return say(f"sample.{key}")
    except KeyError:
        return key.replace("_", " ")
