"""What a detector needs of the wire its frames leave by."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phasecast.simulate.faults import Defect


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One exposed frame.

    Parameters
    ----------
    counts
        int32 counts, shape (rows, cols).
    series, number
        Number of the arming, from 1, and of the frame in it, from 0.
    start_ns, stop_ns
        Clock of the detector with an arbitrary zero.
    start_time
        Seconds since 1970 at the start, for text that carries a date.
    defect
        What goes wrong with it on the wire.
    """

    counts: NDArray[np.int32]
    series: int
    number: int
    start_ns: int
    stop_ns: int
    start_time: float
    defect: Defect = ""


class FrameTransport(Protocol):
    """A wire for frames; every call comes from one thread."""

    @property
    def address(self) -> str:
        """URI a consumer opens."""
        ...

    def arm(self, series: int, *, frames: int, exposure_s: float) -> None:
        """Announce a series of so many frames."""
        ...

    def send(self, exposure: Exposure) -> bool:
        """Send one frame; False if it was lost because nobody took it."""
        ...

    def end(self, series: int) -> None:
        """Announce the end of a series."""
        ...

    def close(self) -> None:
        """Release sockets and files."""
        ...


def deformed(exposure: Exposure) -> NDArray[np.int32]:
    """Counts as they go out: without the last column where the shape is to be wrong."""
    counts = exposure.counts
    return np.ascontiguousarray(counts[:, :-1]) if exposure.defect == "wrong_shape" else counts


def damaged(blob: bytes, exposure: Exposure, *, header: int) -> bytes:
    """Encoded bytes as they go out: cut in half, or 64 bytes inverted behind a header of given length."""
    if exposure.defect == "truncated":
        return blob[: max(header, len(blob) // 2)]
    if exposure.defect == "flipped":
        broken = bytearray(blob)
        middle = header + (len(blob) - header) // 2
        broken[middle : middle + 64] = bytes(255 - value for value in broken[middle : middle + 64])
        return bytes(broken)
    return blob
