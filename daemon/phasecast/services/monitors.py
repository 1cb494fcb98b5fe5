"""From the monitors that a profile declares to columns of the result and rules of the fold."""

from pathlib import Path
from typing import TYPE_CHECKING

from phasecast.core.errors import FrameError, ProfileError
from phasecast.core.result import ColumnSpec
from phasecast.pipeline.beam import BeamRules
from phasecast.pipeline.beam_columns import BeamColumns, EmptyBeam
from phasecast.profiles import NamedMonitor, Profile
from phasecast.profiles.monitors import I0, TRANSMISSION
from phasecast.sources.frame_file import read_frame_file

if TYPE_CHECKING:
    from phasecast.xrd.integrator import Integrator

_MEANINGS = {
    "i0": "incident flux",
    "i1": "flux behind the sample",
    "fluorescence": "fluorescence",
    "ring_current": "current of the storage ring",
    "shutter": "shutter",
    "attenuator": "attenuator",
    "other": "scalar of the scan",
}
NORMALISED = "not normalised; reduction/columns/intensity_normalised holds patterns for one and the same I0"
NOT_NORMALISED = "not normalised: no incident monitor (I0)"
"""What a result says of its patterns, under ``normalisation`` of its processing."""


def normalisation_of(profile: Profile) -> str:
    """Return one sentence: whether the patterns of a result can be compared in height."""
    return NORMALISED if profile.monitors.with_role("i0") is not None else NOT_NORMALISED


def scalar_fields(profile: Profile) -> dict[str, str]:
    """Return name to field of every scalar that is read."""
    monitors = profile.monitors
    fields = {one.name: one.field for one in monitors.all}
    return fields | ({TRANSMISSION: monitors.transmission_field} if monitors.transmission_field else {})


def beam_rules(profile: Profile) -> BeamRules:
    """Return what the fold must know of a profile's monitors."""
    monitors, empty = profile.monitors, profile.corrections.empty_frame
    i0, i1 = monitors.with_role("i0"), monitors.with_role("i1")
    ratio = monitors.empty_ratio
    if ratio is None and empty is not None and empty.i1 is not None and i0 is not None and i1 is not None:
        ratio = (empty.i1 - i1.offset) / (empty.i0 - i0.offset)
    return BeamRules(
        i0=i0.name if i0 is not None else "",
        i1=i1.name if i1 is not None else "",
        transmission=TRANSMISSION if monitors.transmission_field else "",
        offsets={one.name: one.offset for one in monitors.all if one.offset},
        least_i0=monitors.least_i0,
        empty_ratio=ratio,
        empty_point=monitors.empty_point,
        empty_i0=empty.i0 - i0.offset if empty is not None and i0 is not None else None,
    )


def point_columns(profile: Profile) -> tuple[ColumnSpec, ...]:
    """Return the scalars of each point, stated and computed, with unit and meaning."""
    columns = [_raw_column(one) for one in profile.monitors.all]
    rules = beam_rules(profile)
    if rules.transmission:
        columns.append(ColumnSpec(name=TRANSMISSION, dtype="<f8", description="transmission, as the scan states it"))
    elif rules.computes_transmission:
        i0, i1 = profile.monitors.with_role("i0"), profile.monitors.with_role("i1")
        ratio = f"{rules.empty_ratio:.6g}" if rules.empty_ratio is not None else f"same of point {rules.empty_point}"
        columns.append(
            ColumnSpec(
                name=TRANSMISSION,
                dtype="<f8",
                description="transmission of the sample, (I1/I0) / (I1/I0 of the empty beam)",
                formula=f"({_net(i1)} / {_net(i0)}) / ({ratio})",
            )
        )
    return tuple(columns)


def beam_columns(profile: Profile, integrator: "Integrator") -> BeamColumns:
    """Return the patterns that are computed from frame and monitors together.

    Raises
    ------
    ProfileError
        If the frame of the empty beam cannot be read or is not the detector's.
    """
    i0 = profile.monitors.with_role("i0")
    return BeamColumns(
        bins=integrator.axes[0].bins,
        i0_reference=profile.monitors.i0_reference if i0 is not None else None,
        i0_text=_net(i0),
        empty=_empty_beam(profile, integrator),
    )


def _empty_beam(profile: Profile, integrator: "Integrator") -> EmptyBeam | None:
    empty = profile.corrections.empty_frame
    if empty is None:
        return None
    path = Path(empty.file)
    try:
        patterns = integrator.integrate(read_frame_file(path.name, path.read_bytes()).image)
    except (OSError, FrameError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ProfileError(
            f"the frame of the empty beam cannot be used: {reason}",
            where=str(path),
            remedy="correct corrections.empty_frame in the profile, or leave it out",
        ) from error
    return EmptyBeam(intensity=patterns.intensity[0].copy(), sigma=patterns.sigma[0].copy())


def _raw_column(one: NamedMonitor) -> ColumnSpec:
    offset = f"; {one.offset:g} without beam, not subtracted here" if one.offset else ""
    description = f"{_MEANINGS[one.role]}, as measured ({one.field}){offset}"
    return ColumnSpec(name=one.name, dtype="<f8", unit=one.unit, description=description)


def _net(one: NamedMonitor | None) -> str:
    if one is None:
        return I0
    return f"({one.name} - {one.offset:g})" if one.offset else one.name
