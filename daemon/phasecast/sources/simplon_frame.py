"""What streams say of a frame, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference, counter_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect

CORRUPT_FRAME = "corrupt frame"
CORRUPT_HEADER = "corrupt header"
MALFORMED = "malformed message"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameIdentity:
    """What is known of a frame even when its image cannot be read.

    Parameters
    ----------
    series
        Name of its series.
    series_id
        Number of that series as the detector counts; None where it counts none.
    number
        Number of the frame in the series, from 0.
    hardware_s, exposure_s
        Start on the detector's clock, whose zero is arbitrary, and real time; None if unknown.
    """

    series: str
    series_id: int | None
    number: int
    hardware_s: float | None
    exposure_s: float | None

    @property
    def frame_id(self) -> FrameId:
        """Identity of the frame within a scan."""
        return FrameId(f"{self.series}/{self.number}")

    @property
    def keys(self) -> tuple[FrameKey, ...]:
        """Names by which an event may call the frame."""
        own = () if self.series_id is None else (FrameKey(f"series:{self.series_id}/{self.number}"),)
        return (counter_key(self.number), *own)

    def frame(self, image: NDArray[Any], record: RawRecord, scalars: Mapping[str, float] | None = None) -> Frame:
        """Return the frame with its image, shape (rows, cols), and the numbers that came with it."""
        return Frame(
            frame_id=self.frame_id,
            series=self.series,
            number=self.number,
            image=image,
            keys=self.keys,
            received_s=record.received_s,
            hardware_s=self.hardware_s,
            exposure_s=self.exposure_s,
            scalars=scalars or {},
            reference=self._reference(record),
        )

    def defect(self, error: Exception, record: RawRecord) -> Defect:
        """Return the defect that stands for the frame, whose image cannot be used."""
        return Defect(
            reason=CORRUPT_FRAME,
            detail=f"frame {self.frame_id}: {error}",
            channel=record.channel,
            received_s=record.received_s,
            frame_id=self.frame_id,
            number=self.number,
            frame_keys=self.keys,
            hardware_s=self.hardware_s,
            reference=self._reference(record),
        )

    def _reference(self, record: RawRecord) -> FrameReference:
        return FrameReference(
            store="capture", path=record.position.segment, offset=record.position.offset, number=self.number
        )


def defect_of(record: RawRecord, reason: str, detail: str) -> Defect:
    """Return a defect that is of no frame."""
    return Defect(reason=reason, detail=detail, channel=record.channel, received_s=record.received_s)


def product_of(*counts: object) -> int | None:
    """Return how many frames images times triggers are; None if that is not said or not possible."""
    total = 1
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count < 2**31:
            return None
        total *= count
    return total
