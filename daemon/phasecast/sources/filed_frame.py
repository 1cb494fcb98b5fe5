"""What is known of a frame that is a file, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from phasecast.core.frame import Frame, FrameId, FrameKey, FrameReference
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect
from phasecast.sources.frame_header import FrameHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledFrame:
    """A frame that is a file, or lies in one, even when its image cannot be read.

    Parameters
    ----------
    file
        What people call the file.
    frame_id
        Identity within a scan; None for a file of many frames as a whole.
    series, number, keys
        See `Frame`; no number where the name has none.
    reference
        Where it can be read again.
    run
        Scan that named it; empty if none did.
    """

    file: str
    frame_id: FrameId | None
    series: str
    number: int | None
    keys: tuple[FrameKey, ...]
    reference: FrameReference
    run: str = ""

    def frame(
        self,
        image: NDArray[Any],
        header: FrameHeader,
        record: RawRecord,
        *,
        reference: FrameReference | None = None,
        scalars: Mapping[str, float] | None = None,
    ) -> Frame:
        """Return the frame with its image, shape (rows, cols), and what its header says.

        Parameters
        ----------
        image, header
            Content of the file.
        record
            That it came with.
        reference
            Where it was found after all; None where it was expected.
        scalars
            Numbers that came with it.
        """
        return Frame(
            frame_id=self.frame_id or FrameId(self.file),
            series=self.series,
            number=self.number or 0,
            image=image,
            keys=self.keys,
            received_s=record.received_s,
            hardware_s=header.hardware_s,
            exposure_s=header.exposure_s,
            position_um=header.position_um,
            scalars=scalars or {},
            reference=reference or self.reference,
            run=self.run,
        )

    def defect(self, reason: str, detail: str, record: RawRecord, *, reference: FrameReference | None = None) -> Defect:
        """Return the defect that stands for the frame; parameters as for `frame`."""
        return Defect(
            reason=reason,
            detail=f"{self.file}: {detail}",
            channel=record.channel,
            received_s=record.received_s,
            frame_id=self.frame_id,
            number=self.number,
            frame_keys=self.keys,
            reference=reference or self.reference,
            series=self.series,
            run=self.run,
        )
