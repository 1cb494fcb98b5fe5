"""The part of a profile that says what was measured beside each frame: flux, ring current, shutter and the like."""

from typing import Literal, Self

from pydantic import Field, model_validator

from phasecast.core.documents import LEDGER_COLUMNS
from phasecast.profiles.base import ProfilePart

I0 = "i0"
"""Name of the scalar that holds the incident flux; alarms, page and report find it by this name."""
TRANSMISSION = "transmission"
"""Name of the scalar that holds the transmission, stated or computed."""

MonitorRole = Literal["i0", "i1", "fluorescence", "ring_current", "shutter", "attenuator", "other"]


class NamedMonitor(ProfilePart):
    """One scalar that every point carries."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name in files and tables.")
    field: str = Field(
        min_length=1, description="Where it comes from: a field of the events, or a column of the log or sidecar."
    )
    unit: str = Field(default="counts", description="Unit of the raw value, such as counts, A, mA; empty for none.")
    offset: float = Field(
        default=0.0,
        description="What it reads without beam (dark current), in its unit and for one exposure. Files hold the raw "
        "value; the offset is subtracted before anything is computed.",
    )
    role: MonitorRole = Field(
        default="other",
        description="What it measures: i0 is the incident flux, i1 the flux behind the sample (chamber or photodiode).",
    )


class Monitors(ProfilePart):
    """Scalars that a point carries beside its frame; all may be left out."""

    i0_field: str | None = Field(
        default=None, description="Event field with the incident flux monitor, in counts per exposure."
    )
    transmission_field: str | None = Field(
        default=None, description="Event field with the sample's transmission, from 0 to 1."
    )
    named: tuple[NamedMonitor, ...] = Field(
        default=(),
        description="Further scalars, each with unit, offset and role. An incident monitor with an offset or another "
        "unit is one of these (name and role i0) instead of i0_field.",
    )
    i0_reference: float = Field(
        default=1.0,
        gt=0,
        description="Normalised patterns are scaled to this I0, in its unit and without its offset.",
    )
    least_i0: float = Field(
        default=0.0,
        ge=0,
        description="I0 without its offset below which there is no beam, whatever other points read; 0 for no such "
        "limit. Points below half the median of the others have none in any case.",
    )
    empty_ratio: float | None = Field(
        default=None,
        gt=0,
        description="I1/I0 without sample, offsets subtracted. With it, or with empty_point, transmission is computed "
        "as (I1/I0) / empty_ratio.",
    )
    empty_point: int | None = Field(
        default=None, ge=0, description="Point of every scan (from 0) that is measured beside the sample, instead."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names, roles = [one.name for one in self.all], [one.role for one in self.all]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"monitor names must differ; used twice: {', '.join(twice)}")
        taken = sorted({one.name for one in self.named} & ({*LEDGER_COLUMNS, "revision", "point", TRANSMISSION}))
        if taken:
            raise ValueError(f"these names have another meaning: {', '.join(taken)}; choose others")
        if any((one.name == I0) != (one.role == "i0") for one in self.all):
            raise ValueError("the monitor with role i0 is named i0, and no other")
        if roles.count("i1") > 1:
            raise ValueError("only one monitor can have the role i1")
        if self.empty_ratio is not None and self.empty_point is not None:
            raise ValueError("empty_ratio and empty_point exclude each other: keep one")
        if self.has_empty_beam and self.transmission_field is not None:
            raise ValueError("transmission is stated by transmission_field or computed, not both: keep one")
        if self.has_empty_beam and not {"i0", "i1"} <= set(roles):
            raise ValueError("to compute transmission takes monitors of the roles i0 and i1")
        return self

    @property
    def all(self) -> tuple[NamedMonitor, ...]:
        """Every monitor that is read, `i0_field` as one of them; without `transmission_field`."""
        if self.i0_field is None:
            return self.named
        return (NamedMonitor(name=I0, field=self.i0_field, role="i0"), *self.named)

    @property
    def has_empty_beam(self) -> bool:
        """Whether the ratio of the empty beam is declared."""
        return self.empty_ratio is not None or self.empty_point is not None

    def with_role(self, role: MonitorRole) -> NamedMonitor | None:
        """Return the first monitor of a role; None if there is none."""
        return next((one for one in self.all if one.role == role), None)
