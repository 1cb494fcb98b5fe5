"""What is known of a sample when its scan starts, beside what the scan says itself; and whose scan it is."""

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError, ScanRefusedError
from phasecast.core.scan import ScanStart
from phasecast.profiles import Profile
from phasecast.records.proposal import read_proposal, require_proposal
from phasecast.records.sample_files import SAMPLE_FILE, SampleFiles, usable_sample_file
from phasecast.records.samples import (
    FIELDS,
    FOLDER_KEY,
    FORM_KEY,
    PROPOSAL_KEY,
    SIDECAR_KEY,
    sample_at_start,
    take_form,
)

logger = logging.getLogger(__name__)

SERIES_KEY = "series"
"""Key of a scan's metadata that holds the series of its frame files: folder below the watched one, and prefix."""


class SampleSources:
    """Gathers what is said of the sample of a scan that starts; nothing of it can stop a scan.

    Parameters
    ----------
    directory
        The data directory.
    profile
        Its pattern for the names of folders.
    uris
        Sources; those of files tell where folders lie.
    """

    def __init__(self, directory: DataDirectory, profile: Profile, uris: Sequence[str]) -> None:
        self._directory = directory
        self._profile = profile
        self._roots = [folder for uri in uris if (folder := folder_of_source(uri)) is not None]
        self._files = SampleFiles(directory)

    def metadata_of(self, start: ScanStart, *, time_s: float) -> dict[str, Any]:
        """Return what to add to the metadata of a result: proposal, folder's name, form, sample file.

        Parameters
        ----------
        start
            The scan.
        time_s
            Now, POSIX s.
        """
        found: dict[str, Any] = {}
        folder = self._folder(start)
        try:
            proposal = read_proposal(self._directory)
            if proposal is not None:
                found[PROPOSAL_KEY] = {"id": proposal.id, "title": proposal.title, "users": dict(proposal.users)}
        except PhasecastError as error:
            logger.error("%s", error)
        said = self._fields_of_folder(folder, start)
        if said:
            found[FOLDER_KEY] = {"path": str(folder or start.metadata.get(SERIES_KEY, "")), "fields": said}
        try:
            self._files.look()
            form = take_form(self._directory, start.uid, time_s=time_s)
            if form:
                found[FORM_KEY] = form
        except PhasecastError as error:
            logger.error("no sample form for scan %s: %s", start.uid, error)
        if folder is not None:
            try:
                beside = usable_sample_file(self._directory, folder / SAMPLE_FILE)
                if beside is not None:
                    found[SIDECAR_KEY] = beside.as_metadata()
            except PhasecastError as error:
                logger.error("%s", error)
        return found

    def require_ours(self, start: ScanStart) -> None:
        """Refuse a scan of another proposal than the data directory's; one that states none is ours.

        The scan itself or the name of its folder says whose it is; forms and sample files are refused on their own.

        Raises
        ------
        ScanRefusedError
            If it is of another proposal, or `proposal.toml` cannot be read.
        """
        said = self._fields_of_folder(self._folder(start), start)
        stated = sample_at_start({**start.metadata, FOLDER_KEY: {"fields": said}}).fields.get("proposal", "")
        where = f"scan {start.scan_id or start.metadata.get(SERIES_KEY) or start.uid}"
        try:
            require_proposal(self._directory, stated, where=where)
        except PhasecastError as error:
            raise ScanRefusedError(error.what, where=error.where, remedy=error.remedy) from error

    def _folder(self, start: ScanStart) -> Path | None:
        """Folder of the frames, as far as it is known before they are."""
        series = start.metadata.get(SERIES_KEY)
        if not isinstance(series, str) or ".." in PurePosixPath(series).parts:
            return None
        below = PurePosixPath(series).parent
        return next((root / below for root in self._roots if (root / below).is_dir()), None)

    def _fields_of_folder(self, folder: Path | None, start: ScanStart) -> dict[str, str]:
        pattern = self._profile.sample.compiled_folder_pattern
        series = start.metadata.get(SERIES_KEY)
        if pattern is None or not isinstance(series, str):
            return {}
        named = folder if folder is not None else PurePosixPath(series).parent
        match = pattern.search(str(named))
        if match is None:
            logger.warning("folder %s does not match sample.folder_pattern of the profile", named)
            return {}
        return {name: text.strip() for name, text in match.groupdict().items() if text and name in FIELDS}


def folder_of_source(uri: str) -> Path | None:
    """Return the folder that a ``files:`` source watches; None for other sources."""
    split = urlsplit(uri)
    return Path(unquote(split.netloc + split.path)).expanduser().absolute() if split.scheme == "files" else None
