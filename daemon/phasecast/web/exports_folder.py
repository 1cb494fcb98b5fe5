"""Where files that people export lie until the page ends."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Literal

from phasecast.web.scans_table import file_link

Kind = Literal["png", "csv", "nexus", "repair_csv", "repair_plan", "facts"]

_SUFFIX: dict[Kind, str] = {
    "png": ".png", "csv": ".csv", "nexus": ".snapshot.nxs", "repair_csv": "-repair.csv", "repair_plan": "-repair.py",
    "facts": ".facts.json",
}  # fmt: skip
_FOLDER = ".exports-"
_KEPT_S = 86400.0


class ExportsFolder:
    """Where exported files lie until the page ends; in the reports folder, because that one is served.

    Parameters
    ----------
    reports
        The reports folder of the data directory.
    """

    def __init__(self, reports: Path) -> None:
        self._reports = reports
        self._path: Path | None = None

    def file_of(self, result: Path, kind: Kind, language: str) -> Path:
        """Where an export of a result is written.

        Raises
        ------
        OSError
            If the folder cannot be made.
        """
        if self._path is None or not self._path.is_dir():
            self._sweep()
            self._path = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=self._reports))
        # one folder a language, so that the file that people save has a plain name
        folder = self._path / language
        folder.mkdir(exist_ok=True)
        return folder / f"{result.stem}{_SUFFIX[kind]}"

    def address_of(self, file: Path) -> str:
        """Return where an exported file is served."""
        return f"reports/{file.parent.parent.name}/{file_link(file.parent.name, file.name)}"

    def close(self) -> None:
        """Remove what was exported; idempotent."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def _sweep(self) -> None:
        """Remove what pages left that were killed a day ago or longer."""
        for folder in self._reports.glob(f"{_FOLDER}*"):
            try:
                if time.time() - folder.stat().st_mtime > _KEPT_S:
                    shutil.rmtree(folder, ignore_errors=True)
            except OSError:
                continue
