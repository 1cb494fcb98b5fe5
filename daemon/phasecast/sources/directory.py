"""A watched folder of frame files: CBF, TIFF, EDF, HDF5 or bare pixels, as a detector's server leaves them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from phasecast.core.errors import SourceError
from phasecast.core.record import Channel
from phasecast.sources.file_names import readable_name
from phasecast.sources.file_record import CHANNEL, encode_file
from phasecast.sources.folder_watch import FolderWatch
from phasecast.sources.hdf5_frames import DATASET
from phasecast.sources.read_budget import ReadBudget
from phasecast.sources.receiver import ThreadedReceiver

__all__ = ["CHANNEL", "DirectoryReceiver"]


class DirectoryReceiver(ThreadedReceiver):
    """Watches a folder and records path, size, time and SHA-256 of every frame file that is complete.

    Parameters
    ----------
    folder
        The folder; its direct sub-folders are watched too. Nothing is written there.
    channel
        Name of the wire in the capture.
    wait
        Whether the folder may appear later.
    poll_s
        Pause between two looks.
    existing, timeout_s, number_pattern, raw_shape, max_bytes, patterns, number_fields, sidecar, budget, dataset
        See `FolderWatch`.
    copy_frames
        Whether the files' bytes are recorded too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        channel: Channel = CHANNEL,
        wait: bool = False,
        poll_s: float = 0.05,
        existing: bool = True,
        timeout_s: float = 30.0,
        number_pattern: re.Pattern[str] | None = None,
        raw_shape: tuple[int, int] | None = None,
        max_bytes: int = 256 << 20,
        patterns: Sequence[str] = (),
        number_fields: Sequence[str] = (),
        sidecar: str | None = None,
        budget: ReadBudget | None = None,
        copy_frames: bool = False,
        dataset: str = DATASET,
    ) -> None:
        super().__init__(channel)
        self._folder = Path(folder).absolute()
        self._wait = wait
        self._poll_s = poll_s
        self._incomplete = 0
        self._watch = FolderWatch(
            self._folder,
            existing=existing,
            timeout_s=timeout_s,
            number_pattern=number_pattern,
            raw_shape=raw_shape,
            max_bytes=max_bytes,
            patterns=patterns,
            number_fields=number_fields,
            sidecar=sidecar,
            budget=budget,
            wait=self._stopping.wait,
            keep_content=copy_frames,
            dataset=dataset,
        )

    def go_on_behind(self, whole: Mapping[str, tuple[int, float]], frames: Mapping[str, int]) -> None:
        """Leave out what an earlier process recorded; see `FolderWatch.go_on_behind`."""
        self._watch.go_on_behind(whole, frames)

    def status(self) -> dict[str, object]:
        """State and counters, JSON-able; ``listings`` counts how often the folder was listed."""
        return super().status() | {
            "listings": self._watch.listings,
            "folder": readable_name(str(self._folder)),
            "pending": self._watch.pending,
            "incomplete": self._incomplete,
            "recorded_before": self._watch.recorded_before,
        }

    def _open(self) -> None:
        if not self._wait and not self._folder.is_dir():
            raise SourceError(
                "the watched folder does not exist",
                where=str(self._folder),
                remedy="make it, or add ?wait=1 to the source if it appears later",
            )

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._state = "watching" if self._folder.is_dir() else "folder missing"
            for found in self._watch.look():
                self._incomplete += bool(found.problem)
                self._record(encode_file(found), self._now_s())
                if self._stopping.is_set():
                    return
            self._stopping.wait(self._poll_s)

    def _close(self) -> None:
        self._watch.close()
