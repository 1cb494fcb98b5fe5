"""Reading raw frames back from where they were recorded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import CaptureError, FrameError
from phasecast.core.frame import Frame, FrameReference
from phasecast.core.record import CapturePosition
from phasecast.sources.capture import CaptureReader
from phasecast.sources.frame_file import read_frame_file
from phasecast.sources.recorded_file import read_verified
from phasecast.sources.uri import SourceOptions, make_decoder


class CaptureFrameStore:
    """Reads frames from capture segments and from files; a `phasecast.core.frame.FrameStore`.

    Parameters
    ----------
    captures_folder
        Where the segments lie now.
    file_roots
        Folders to look in for files that have moved since they were recorded.
    options
        How files and messages are decoded; those of the profile.
    """

    def __init__(
        self, captures_folder: Path, file_roots: Sequence[Path] = (), *, options: SourceOptions | None = None
    ) -> None:
        self._folder = Path(captures_folder)
        self._file_roots = tuple(file_roots)
        self._options = options or SourceOptions()

    def read(self, reference: FrameReference) -> NDArray[np.integer]:
        """Return the frame, shape (rows, cols).

        Raises
        ------
        CaptureError
            If the segment is gone or the record in it is not intact.
        FrameError
            If the record holds no frame, or the file is gone, has changed, or cannot be read.
        """
        if reference.store == "file":
            return self._read_file(reference)
        return self._read_capture(reference)

    def _read_capture(self, reference: FrameReference) -> NDArray[np.integer]:
        where = f"{reference.path} at byte {reference.offset}"
        path = self._folder / Path(reference.path).name
        if not path.is_file():
            raise CaptureError(
                "the capture segment is gone", where=str(path), remedy="bring it back to the captures folder"
            )
        with CaptureReader(path, follow=False) as reader:
            record = reader.read_record(CapturePosition(segment=path.name, offset=reference.offset))
        messages = list(make_decoder(record.channel, self._options).decode(record))
        frame = next((message for message in messages if isinstance(message, Frame)), None)
        if frame is None:
            raise FrameError("the record holds no frame that can be read", where=where)
        if frame.number != reference.number:
            raise FrameError(f"frame {frame.number} is recorded where {reference.number} was expected", where=where)
        return frame.image

    def _read_file(self, reference: FrameReference) -> NDArray[np.integer]:
        path = Path(reference.path)
        name = "/".join(path.parts[-2:]).lstrip("/")
        _, content = read_verified(path, name, reference.sha256, self._file_roots, self._options.max_image_bytes)
        return read_frame_file(
            path.name,
            content,
            raw_shape=self._options.raw_shape,
            max_bytes=self._options.max_image_bytes,
        ).image
