"""Where reports lie, and how it is said that one could not be made."""

import json
import logging
import os
import time
from pathlib import Path

from phasecast.core.data_directory import DataDirectory

logger = logging.getLogger(__name__)


def data_directory_of(result: Path) -> DataDirectory | None:
    """Return the data directory a result lies in; None for one that was carried elsewhere."""
    folder = result.resolve().parent
    return DataDirectory(folder.parent) if folder.name == "results" else None


def report_path(result: Path) -> Path:
    """Where the report of a result goes: the data directory's reports, or beside a result that lies elsewhere."""
    directory = data_directory_of(result)
    folder = directory.reports if directory is not None else result.resolve().parent
    return folder / f"{result.stem}.html"


def failure_path(result: Path) -> Path:
    """Where it is said that the report of a result could not be made."""
    return report_path(result).with_suffix(".failed.json")


def write_whole(path: Path, text: str) -> None:
    """Write a text file that appears complete or not at all."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _places_of_failure(result: Path) -> tuple[Path, Path]:
    return failure_path(result), result.with_suffix(".failed.json")


def forget_failure(result: Path) -> None:
    """Take back what `note_failure` said: the report has been made since."""
    for path in _places_of_failure(result):
        path.unlink(missing_ok=True)


def note_failure(result: Path, failure: BaseException) -> None:
    """Say beside the reports, and in the log, that the report of a result could not be made.

    Where nothing can be written beside the reports, it is said beside the result.
    """
    logger.error("no report of %s: %s", result, failure)
    body = {"time_s": time.time(), "what": str(failure) or type(failure).__name__}
    for path in _places_of_failure(result):
        try:
            write_whole(path, json.dumps(body, ensure_ascii=False))
            return
        except OSError as error:
            logger.error("that cannot be noted: %s: %s", path, error.strerror)
