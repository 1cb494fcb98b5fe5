"""What a profile says of its wires."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phasecast.core.record import Channel, Decoder
from phasecast.profiles import PositionLog
from phasecast.sources.document_options import DocumentOptions
from phasecast.sources.hdf5_frames import DATASET
from phasecast.sources.read_budget import ReadBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What a profile says of its wires; a URI's own parameters win.

    Parameters
    ----------
    counter_field, counter_offset
        Event field with the detector's number of the frame, and what to add to it: see `DocumentDecoder`.
    prefix
        Prefix of the documents' publisher.
    documents
        What else is declared of the bluesky wire.
    position_fields, um_per_number
        Axis to header key or expression: see `compile_position_fields`.
    position_in_sidecar
        Whether sidecars state them, and not headers.
    dataset
        Where frames are in HDF5 files.
    file_patterns
        Shell patterns of the files that are frames; all formats if empty.
    number_pattern
        Regular expression for the number in file names: see `parse_frame_name`.
    raw_shape
        (rows, cols) of ``.raw`` files.
    number_fields
        Keys whose numbers a frame states of itself, in header or sidecar; they become its scalars.
    sidecar
        Name of the text file beside each frame that must state them, see `sidecar_path`; None if there is none.
    monitor_fields
        Further keys whose numbers become scalars; a frame that does not state them is as good as any.
    existing
        Whether frames that lie in a folder already count.
    wait
        Whether a watched folder may appear later.
    poll_s
        Pause between two looks into a folder.
    timeout_s
        Time after which an incomplete file is given up.
    image_channel
        Channel whose images are taken of a stream that has several; the wire's name in the capture says it too.
    max_image_bytes
        Largest image, uncompressed, that is decoded.
    file_roots
        Folders to look in for files that have moved since they were recorded.
    read_budget
        Cap on reading frame files, shared by all who read them; None for no cap.
    copy_frames
        Whether the bytes of frame files are recorded too.
    log
        How the rows of a position log are read; None where none is declared.
    point_s
        Time of a point, s: see `LogDecoder`.
    log_decoder
        Makes the decoder of a log that a declaration in the capture names; None where `log` says how all are read.
    """

    counter_field: str | None = None
    counter_offset: int = 0
    prefix: str = ""
    documents: DocumentOptions = field(default_factory=DocumentOptions)
    file_patterns: tuple[str, ...] = ()
    position_fields: Mapping[str, str] = field(default_factory=dict)
    um_per_number: Mapping[str, float] = field(default_factory=dict)
    position_in_sidecar: bool = False
    dataset: str = DATASET
    number_pattern: str | None = None
    raw_shape: tuple[int, int] | None = None
    number_fields: tuple[str, ...] = ()
    sidecar: str | None = None
    monitor_fields: tuple[str, ...] = ()
    existing: bool = True
    wait: bool = False
    poll_s: float = 0.05
    timeout_s: float = 30.0
    image_channel: str = ""
    max_image_bytes: int = 128 << 20
    file_roots: tuple[Path, ...] = ()
    read_budget: ReadBudget | None = None
    copy_frames: bool = False
    log: PositionLog | None = None
    point_s: float = math.inf
    log_decoder: Callable[[Channel], Decoder] | None = None
