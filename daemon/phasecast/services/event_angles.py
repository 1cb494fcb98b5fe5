"""Arm angles that an event states and its frame does not: the frame is integrated when the two have met."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.protocols import Reduced, Rejection
from phasecast.pipeline.fold_rules import Outcome
from phasecast.xrd.stages import NO_ARM_ANGLE, XrdStage, angle_column

CONTRADICTION = "contradicting arm angles"
_AGREE_DEG = 0.005 + 0.0025
"""Two statements of one angle may differ by a step of the geometry, and the one in the result is rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAngles:
    """Brings a frame and the angles of its event together.

    Parameters
    ----------
    stage
        What integrates; its profile declares the arm.
    read
        Reads the counts of a frame back from where they were recorded, shape (rows, cols).
    """

    stage: XrdStage
    read: Callable[[FrameReference], NDArray[np.integer]]

    def __call__(self, reference: FrameReference, outcome: Outcome, numbers: Mapping[str, float]) -> Outcome:
        """Return what becomes of a frame whose event is known.

        A frame that was rejected because it states no angle is read again and integrated with those of the event. A
        frame that states other angles than its event is rejected: nobody knows which are right.

        Parameters
        ----------
        reference
            Where the frame lies.
        outcome
            What became of it by itself.
        numbers
            What its event, and the start of its scan, state.
        """
        arm = self.stage.integrator.arm
        if arm is None:
            return outcome
        stated = {axis.field: numbers[axis.field] for axis in arm.axes if axis.field in numbers}
        if isinstance(outcome, Reduced):
            for axis in arm.axes:
                if axis.field not in stated:
                    continue
                of_event = axis.sign * stated[axis.field] + axis.offset_deg
                of_frame = float(outcome.columns[angle_column(axis.field)])
                if not abs(of_event - of_frame) <= _AGREE_DEG:
                    return Rejection(
                        reason=CONTRADICTION,
                        detail=f"{axis.field} is at {of_frame:g} deg by the frame and {of_event:g} deg by its event",
                    )
        elif isinstance(outcome, Rejection) and outcome.reason == NO_ARM_ANGLE and len(stated) == len(arm.axes):
            return self._integrate(reference, stated)
        return outcome

    def _integrate(self, reference: FrameReference, stated: Mapping[str, float]) -> Outcome:
        try:
            image = self.read(reference)
        except PhasecastError as error:
            return Rejection(reason=NO_ARM_ANGLE, detail=f"cannot be read again to be integrated: {error}")
        frame = Frame(
            frame_id=FrameId(f"{reference.path}/{reference.number}"),
            series="",
            number=reference.number,
            image=image,
            keys=(),
            received_s=0.0,
            scalars=stated,
            reference=reference,
        )
        return self.stage.process([frame])[0]
