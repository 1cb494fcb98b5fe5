"""Documents of a file with the frames that they name, for a run whose files lie in a folder by now."""

import logging
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from phasecast.core.record import CapturePosition, Channel, RawRecord
from phasecast.sources import document_frame_record
from phasecast.sources.document_frames import FrameFetcher
from phasecast.sources.document_roots import DocumentRoots, OutsideRootsError, moved_roots
from phasecast.sources.documents import CHANNEL, FETCHED, DocumentDecoder
from phasecast.sources.source_options import SourceOptions
from phasecast.sources.wanted_frames import Hdf5Place, Wanted, WantedFrames

logger = logging.getLogger(__name__)

Entry = tuple[float, Channel, list[bytes]]
"""Time in POSIX s, wire, parts."""
Line = tuple[float, bytes]
"""Time in POSIX s, message."""

_WIRE = Channel(f"{CHANNEL}.{FETCHED}")


def roots_of_named(lines: Iterable[Line], folder: Path, options: SourceOptions) -> DocumentRoots | None:
    """Find out where the files lie that documents name, which may have been moved since.

    Parameters
    ----------
    lines
        All documents.
    folder
        Where files may be read.
    options
        How documents are understood.

    Returns
    -------
    DocumentRoots or None
        None if documents name no frame files, or none of them is in the folder.
    """
    stated: list[str] = []

    def note(wanted: Wanted) -> None:
        if isinstance(wanted, WantedFrames):
            place = wanted.place
            path = place.path if isinstance(place, Hdf5Place) else f"{place.folder}/{place.names[0]}"
            if path not in stated[-1:]:
                stated.append(path)

    decoder = DocumentDecoder(fetches=True, want=note, image_field=options.documents.image_field)
    for time_s, message in lines:
        _decode(decoder, time_s, message)
    found = moved_roots(stated, folder.absolute())
    roots = DocumentRoots(found)
    if not any(_is_there(roots, path) for path in stated):
        if stated:
            logger.warning("%s: none of the files that documents name is there, such as %s", folder, stated[0][:200])
        return None
    for root in found:
        if root.stated != PurePosixPath(root.local):
            logger.warning("files that documents name in %s are read in %s", root.stated, root.local)
    return roots


def with_named_frames(
    lines: Iterable[Line], roots: DocumentRoots, options: SourceOptions, stop: threading.Event
) -> Iterator[Entry]:
    """Yield each document and, behind the one that names them, its frames as a live wire records them.

    Parameters
    ----------
    lines
        All documents.
    roots
        Where files may be read.
    options
        How frames are read.
    stop
        Ends it early.
    """
    fetcher = FrameFetcher(
        roots, budget=options.read_budget, max_bytes=options.max_image_bytes, copy_frames=options.copy_frames
    )
    decoder = DocumentDecoder(
        fetches=True,
        want=fetcher.want,
        image_field=options.documents.image_field,
        stage_fields=options.documents.stage_fields,
    )
    try:
        for time_s, message in lines:
            yield time_s, _WIRE, [message]
            _decode(decoder, time_s, message)
            # the files are closed: what is not there now never will be
            for parts in fetcher.look(is_final=True):
                yield time_s, document_frame_record.CHANNEL, parts
                if stop.is_set():
                    return
    finally:
        fetcher.close()


def _decode(decoder: DocumentDecoder, time_s: float, message: bytes) -> None:
    place = CapturePosition(segment="", offset=0)
    for _ in decoder.decode(RawRecord(position=place, received_s=time_s, channel=_WIRE, parts=(message,))):
        pass  # defects are said when the capture is read


def _is_there(roots: DocumentRoots, stated: str) -> bool:
    try:
        return roots.find(stated).exists()
    except OutsideRootsError:
        return False
