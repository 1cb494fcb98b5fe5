"""What a profile declares about the points of a scan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from phasecast.core.frame import FrameReference
from phasecast.core.protocols import Reduced, Rejection
from phasecast.pipeline.beam import BeamRules
from phasecast.pipeline.beam_points import TRANSMISSION
from phasecast.pipeline.join import JoinRule

Outcome = Reduced | Rejection | None
"""What became of a frame; None for a frame whose result is in the file already (after a restart)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRules:
    """What a profile declares about points.

    Parameters
    ----------
    join
        How frames find their points.
    place
        Measured position (event field to value) to sample coordinates (x_um, y_um); NaN where unknown.
    scalar_fields
        Name of a scalar column to the event field it comes from.
    beam
        What these scalars say of the beam.
    frames_place_themselves
        Whether there are no events at all and every frame is a point of its own.
    scores_need_transmission
        Whether points are said anew when their transmission becomes known.
    with_event
        What becomes of a frame once its event is known: takes the frame's reference, its outcome, and the numbers of
        the event and of the scan's start. None: the event changes nothing.
    """

    join: JoinRule
    place: Callable[[Mapping[str, float]], tuple[float, float]]
    scalar_fields: Mapping[str, str] = field(default_factory=dict)
    beam: BeamRules = field(default_factory=BeamRules)
    frames_place_themselves: bool = False
    scores_need_transmission: bool = False
    with_event: Callable[[FrameReference, Outcome, Mapping[str, float]], Outcome] | None = None

    @property
    def scalars(self) -> tuple[str, ...]:
        """Names of all scalar columns, stated and computed."""
        return (*self.scalar_fields, *((TRANSMISSION,) if self.beam.computes_transmission else ()))
