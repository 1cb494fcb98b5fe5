"""A raw detector frame, decoded once at the edge, and where to read it again."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType, Protocol

import numpy as np
from numpy.typing import NDArray

FrameId = NewType("FrameId", str)
"""Identity of a frame within a scan: ``<series>/<number>`` on a wire, the file's name in a folder."""

FrameKey = NewType("FrameKey", str)
"""A name an event can call a frame by: ``counter:17``, ``file:name_00017.cbf``, ``datum:<id>``."""


def counter_key(number: int) -> FrameKey:
    """Key of a frame by the detector's own running number."""
    return FrameKey(f"counter:{number}")


def file_key(name: str) -> FrameKey:
    """Key of a frame by the name of its file, without folders; composed and decomposed letters are the same (NFC)."""
    return FrameKey(f"file:{unicodedata.normalize('NFC', name)}")


def datum_key(datum_id: str) -> FrameKey:
    """Key of a frame by the datum that a bluesky event names."""
    return FrameKey(f"datum:{datum_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReference:
    """Where the raw bytes of a frame lie.

    Parameters
    ----------
    store
        ``capture``: a record in a capture segment; ``file``: a file of its own.
    path
        Segment name inside the captures folder, or the file's path.
    offset
        Byte offset of the record in the segment; index of the frame inside a file.
    number
        The detector's own number of the frame.
    sha256
        Of the file's bytes; empty for captures, whose records carry their own checksum.
    """

    store: Literal["capture", "file"]
    path: str
    offset: int
    number: int
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One raw frame.

    Parameters
    ----------
    frame_id
        Identity; a second frame with the same one is a duplicate.
    series
        The detector's arm-to-disarm series, or the run folder.
    number
        Running number in the series, from the detector.
    image
        Counts, shape (rows, cols), integers.
    keys
        Every name an event may call it by.
    received_s
        POSIX time at which it reached this process.
    hardware_s
        Start of the exposure on the detector's own clock in seconds; its zero is arbitrary. None if unknown.
    exposure_s
        Exposure time in seconds. None if unknown.
    position_um
        Position that the frame itself states, as axis name to um; empty if it states none.
    scalars
        Other numbers the frame itself carries.
    reference
        Where to read it again.
    run
        Uid of the raw run whose documents name it; empty where its wire does not say.
    """

    frame_id: FrameId
    series: str
    number: int
    image: NDArray[np.integer]
    keys: tuple[FrameKey, ...]
    received_s: float
    hardware_s: float | None = None
    exposure_s: float | None = None
    position_um: Mapping[str, float] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)
    reference: FrameReference
    run: str = ""


class FrameStore(Protocol):
    """Reads a raw frame back from where it was recorded."""

    def read(self, reference: FrameReference) -> NDArray[np.integer]:
        """Return the frame, shape (rows, cols).

        Raises
        ------
        PhasecastError
            If the bytes are gone or no longer the ones that were recorded.
        """
        ...
