"""What, when, where and how, as far as the result file knows it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from phasecast.core.ledger import PointState
from phasecast.core.result import ResultHeader
from phasecast.report.material import Material
from phasecast.report.model import GeometryFact, Replay, ScanFact, Setting, Timing
from phasecast.results.grid import Floats
from phasecast.results.reader import Result

HC_KEV_ANGSTROM = 12.398419843320026
_LEAST_STEPS = 2


def sample_of(result: Result) -> dict[str, str]:
    """Return what the scan itself says of its sample, field to text."""
    metadata = result.header.metadata
    given = metadata.get("sample")
    fields: dict[str, str] = {}
    if isinstance(given, Mapping):
        fields = {str(key): str(value) for key, value in given.items() if isinstance(value, str | int | float)}
    elif isinstance(given, str):
        fields["name"] = given
    if "name" not in fields and isinstance(metadata.get("sample_name"), str):
        fields["name"] = metadata["sample_name"]
    return {key: value for key, value in fields.items() if value}


def scan_of(result: Result, material: Material, sample: Mapping[str, str]) -> ScanFact:
    """Return what was scanned, when and where."""
    header = result.header
    metadata = header.metadata
    cell, raster = material.cell_um, material.scene.placement is not None
    user = sample.get("operator") or _text(metadata, "user", "operator", "user_name")
    return ScanFact(
        result_file=result.path.name,
        result_uid=header.result_uid,
        raw_uid=header.raw_uid,
        scan_id=header.scan_id,
        plan_name=header.plan_name,
        started=datetime.fromtimestamp(header.started_s, UTC).isoformat(timespec="seconds"),
        ended=result.end_time or None,
        facility=_text(metadata, "facility", "beamline"),
        user=user,
        profile_name=header.profile_name,
        profile_title=str(header.profile.get("title") or ""),
        simulated=bool(metadata.get("simulated", False)),
        shape=header.shape,
        points=result.points - result.ledger_sums[PointState.SUPERSEDED.label],
        points_done=result.points_done,
        raster=raster,
        x_step_um=cell[0] if cell is not None and raster else None,
        y_step_um=cell[1] if cell is not None and raster else None,
        x_range_um=_range(material.x_um),
        y_range_um=_range(material.y_um),
        beam_um=_beam(metadata, header.profile),
    )


def geometry_of(header: ResultHeader) -> GeometryFact:
    """Return the geometry the patterns were integrated with."""
    arm = _part(header.processing, "arm")
    given = header.processing.get("geometry") if not arm else _part(arm, "base")
    geometry: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    axes = arm.get("axes")
    fields = tuple(_text(axis, "field") for axis in axes if isinstance(axis, Mapping)) if isinstance(axes, list) else ()
    nominal = _part(header.profile, "geometry")
    energy = _number(header.processing.get("energy_kev", header.profile.get("energy_kev")))
    wavelength = _number(geometry.get("wavelength_angstrom"))
    if wavelength is None and energy:
        wavelength = HC_KEV_ANGSTROM / energy
    tth = header.tth_deg
    return GeometryFact(
        detector=_text(geometry, "detector") or _text(_part(header.profile, "detector"), "model"),
        distance_mm=_first_number(geometry.get("distance_mm"), nominal.get("distance_mm")),
        arm_tth_deg=None if arm else _first_number(geometry.get("rot1_deg"), nominal.get("arm_tth_deg")),
        arm_fields=tuple(field for field in fields if field),
        origin=_text(arm or geometry, "origin"),
        residual_deg=_number(geometry.get("residual_deg")),
        geometry_id=_text(header.processing, "geometry_id"),
        energy_kev=energy,
        wavelength_angstrom=wavelength,
        tth_min_deg=float(tth[0]) if tth else None,
        tth_max_deg=float(tth[-1]) if tth else None,
        bins=len(tth),
    )


def settings_of(header: ResultHeader) -> tuple[Setting, ...]:
    """Return every correction and whether it was on; None where the file does not say."""
    corrections, detector = _part(header.profile, "corrections"), _part(header.profile, "detector")
    monitors, processing = _part(header.profile, "monitors"), header.processing
    factor = _number(corrections.get("polarisation_factor"))
    polarisation = corrections.get("polarisation", factor is not None if corrections else None)
    splitting = _text(corrections, "pixel_splitting")
    known = bool(detector)
    return (
        Setting(id="solid_angle", on=_flag(corrections.get("solid_angle"))),
        Setting(id="polarisation", on=_flag(polarisation), value="" if factor is None else f"{factor:g}"),
        Setting(id="splitting", on=None if splitting is None else splitting != "no", value=splitting or ""),
        Setting(id="flat", on=bool(detector.get("flat_file")) if known else None),
        Setting(id="dark", on=bool(detector.get("dark_file")) if known else None),
        Setting(id="mask", on=bool(detector.get("mask_file")) if known else None),
        Setting(
            id="monitor",
            on=bool(processing.get("monitor_applied", False)),
            value=_text(monitors, "i0_field") or "",
        ),
        Setting(id="transmission", on=bool(processing.get("transmission_applied", False))),
    )


def timing_of(result: Result) -> Timing:
    """Return how long the scan took."""
    started = result.header.started_s
    duration = None
    if result.end_time:
        duration = datetime.fromisoformat(result.end_time).timestamp() - started
    times = result.ledger["time_s"].values
    steps = np.diff(np.sort(times[np.isfinite(times)]))
    enough = steps.size >= _LEAST_STEPS
    return Timing(
        duration_s=duration,
        points_per_s=result.points_done / duration if duration and duration > 0 else None,
        point_period_s=float(np.median(steps)) if enough else None,
        longest_pause_s=float(steps.max()) if enough else None,
        exposure_s=_number(result.header.metadata.get("exposure_s")),
    )


def replay_of(result: Result) -> Replay:
    """Return where the raw data lie and the command that makes the result again from them."""
    processing = result.header.processing
    start = processing.get("capture_start")
    frames = result.frames
    stores, paths = frames["store"].values.astype(str), frames["path"].values.astype(str)
    segments = sorted(set(paths[stores == "capture"].tolist()))
    first = start.get("segment") if isinstance(start, Mapping) else None
    if isinstance(first, str) and first not in segments:
        segments.insert(0, first)
    command = None
    if segments:
        profile = result.header.profile_name or "PROFILE"
        command = (
            f"phasecast live xrd --profile {profile} --data-dir replayed --source capture:///DATA-DIR/captures --once"
        )
    given = processing.get("sources")
    sources = tuple(str(uri) for uri in given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    offset = start.get("offset") if isinstance(start, Mapping) else None
    return Replay(
        segments=tuple(segments),
        first_offset=int(offset) if isinstance(offset, int) else None,
        frame_files=len(set(paths[stores == "file"].tolist())),
        sources=sources,
        command=command,
    )


def _beam(metadata: Mapping[str, Any], profile: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the size of the beam (horizontal, vertical) where scan or profile say it."""
    nominal = _part(profile, "beam")
    for given in (metadata.get("beam_size_um"), (nominal.get("horizontal_um"), nominal.get("vertical_um"))):
        if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
            sizes = [_number(value) for value in given]
            if sizes[0] is not None and sizes[1] is not None and min(sizes[0], sizes[1]) > 0:
                return sizes[0], sizes[1]
    return None


def _range(values: Floats) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else None


def _part(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(tree: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        found = tree.get(name)
        if isinstance(found, Mapping):
            found = found.get("name")
        if isinstance(found, str | int | float) and str(found).strip():
            return str(found).strip()
    return None


def _number(value: Any) -> float | None:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
    return number if np.isfinite(number) else None


def _first_number(*values: Any) -> float | None:
    return next((number for number in map(_number, values) if number is not None), None)


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)
