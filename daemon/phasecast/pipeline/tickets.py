"""What the join knows of a frame."""

from dataclasses import dataclass

from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference
from phasecast.core.scan import Defect


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTicket:
    """All of a frame that the join needs, without its pixels."""

    frame_id: FrameId
    series: str
    number: int
    keys: tuple[FrameKey, ...]
    received_s: float
    hardware_s: float | None
    reference: FrameReference | None

    @property
    def time_s(self) -> float:
        """Time on the detector's clock, or of receipt where it has none."""
        return self.received_s if self.hardware_s is None else self.hardware_s


def ticket_of(frame: Frame) -> FrameTicket:
    """Return all of a frame that the join needs."""
    return FrameTicket(
        frame_id=frame.frame_id,
        series=frame.series,
        number=frame.number,
        keys=frame.keys,
        received_s=frame.received_s,
        hardware_s=frame.hardware_s,
        reference=frame.reference,
    )


def ticket_of_defect(defect: Defect) -> FrameTicket | None:
    """Return the ticket of a frame that cannot be used; None if the defect is of no frame with a number."""
    if defect.frame_id is None or defect.number is None:
        return None
    return FrameTicket(
        frame_id=defect.frame_id,
        series=series_of_defect(defect),
        number=defect.number,
        keys=defect.frame_keys,
        received_s=defect.received_s,
        hardware_s=defect.hardware_s,
        reference=defect.reference,
    )


def series_of_defect(defect: Defect) -> str:
    """Return the series that a defect names, or that its frame's name begins with; empty if neither."""
    return defect.series or (defect.frame_id.rpartition("/")[0] if defect.frame_id else "")
