"""What a source can tell the pipeline: scans, positions, series, frames, and what went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference

ScanUid = NewType("ScanUid", str)
"""Uid of the raw run; what every result refers back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanAxis:
    """One scanned axis.

    Parameters
    ----------
    name
        Name of the dimension in the plan.
    field
        Field of the event that holds the measured position.
    """

    name: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanStart:
    """A scan begins.

    Parameters
    ----------
    uid
        Uid of the raw run.
    scan_id
        The beamline's short number; 0 if it gives none.
    time_s
        POSIX time stated by the scan.
    plan_name
        Name of the plan, for people.
    axes
        Scanned axes, slow to fast, in the plan's order of dimensions.
    shape
        Points per axis, slow to fast; None for scans that are not grids.
    snaking
        Per axis, whether every second sweep runs backwards.
    expected_points
        Number of points announced; None if the plan does not say. Aborted scans have fewer.
    metadata
        The rest of what the scan says of itself, JSON-able.
    series
        The only series of frames that is its own; empty if the scan does not say.
    """

    uid: ScanUid
    scan_id: int
    time_s: float
    plan_name: str
    axes: tuple[ScanAxis, ...]
    shape: tuple[int, ...] | None
    snaking: tuple[bool, ...]
    expected_points: int | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    series: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointMeasured:
    """The stage was at a point and the detector was asked for a frame.

    Parameters
    ----------
    uid
        The scan it belongs to.
    index
        Index of the point in the order of measurement, from 0.
    time_s
        POSIX time stated by the event.
    received_s
        POSIX time at which the event reached this process.
    position
        Event field (axis) to measured position, in the field's own unit.
    scalars
        All other numbers of the event (monitors).
    frame_keys
        Names by which the event calls its frame; empty if it calls none.
    time_is_measured
        Whether `time_s` tells when the stage was there; else it only says when that was learnt.
    """

    uid: ScanUid
    index: int
    time_s: float
    received_s: float
    position: Mapping[str, float]
    scalars: Mapping[str, float] = field(default_factory=dict)
    frame_keys: tuple[FrameKey, ...] = ()
    time_is_measured: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionDoubt:
    """Positions of a scan may be wrong.

    Parameters
    ----------
    uid
        The scan.
    from_index
        First point in doubt.
    to_index
        First point after it that is not; None if all later ones are in doubt.
    reason
        One clear line for a person.
    """

    uid: ScanUid
    from_index: int
    to_index: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanStop:
    """A scan ends.

    Parameters
    ----------
    uid
        The scan that ended.
    time_s
        POSIX time stated by the scan.
    exit_status
        ``success``, ``abort`` or ``fail``, as the scan says.
    measured_points
        Points really measured; None if the scan does not say.
    """

    uid: ScanUid
    time_s: float
    exit_status: str
    measured_points: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStart:
    """The detector was armed.

    Parameters
    ----------
    series
        Name of the series.
    received_s
        POSIX time at which the header reached this process.
    expected_frames
        Frames the detector will take; None if it does not say.
    settings
        What the detector says of itself, JSON-able (``photon_energy`` in eV and so on, the wire's own names).
    """

    series: str
    received_s: float
    expected_frames: int | None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEnd:
    """The detector ended a series."""

    series: str
    received_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """Something arrived that cannot be used. It is counted, and the stream goes on.

    Parameters
    ----------
    reason
        Short and countable, such as ``corrupt frame``.
    detail
        One clear line for a person.
    channel
        The wire it came over.
    received_s
        POSIX time at which it reached this process.
    frame_id
        The frame it was, where that much can be read.
    number
        Running number of that frame; None if unknown.
    frame_keys
        Names by which an event may call that frame.
    hardware_s
        Start of its exposure on the detector's clock; None if unknown.
    reference
        Where the raw bytes lie.
    series
        Series of that frame, where it is not what stands before the last ``/`` of `frame_id`.
    run
        Uid of the raw run whose documents name that frame; empty where its wire does not say.
    """

    reason: str
    detail: str
    channel: str
    received_s: float
    frame_id: FrameId | None = None
    number: int | None = None
    frame_keys: tuple[FrameKey, ...] = ()
    hardware_s: float | None = None
    reference: FrameReference | None = None
    series: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanDeclared:
    """A person declares the scan of the frames that come next.

    Parameters
    ----------
    declaration_id
        Identity; what is recorded twice is one declaration.
    text
        The declaration as TOML: `profiles.ScanDeclaration`.
    folder
        Folder that relative paths in it begin from.
    who
        The person.
    declared_s
        POSIX time at which the service took it.
    known_series
        Series that had frames before: they are not this scan's.
    """

    declaration_id: str
    text: str
    folder: str
    who: str
    declared_s: float
    known_series: frozenset[str] = frozenset()


Message = ScanStart | PointMeasured | PositionDoubt | ScanStop | SeriesStart | SeriesEnd | Frame | Defect | ScanDeclared
