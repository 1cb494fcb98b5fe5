"""Where everything of one beamtime lies."""

from dataclasses import dataclass
from pathlib import Path

from phasecast.core.errors import PhasecastError


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The data directory of one beamtime; no server is needed to read it.

    Parameters
    ----------
    root
        The directory; made by `create`.
    """

    root: Path

    @property
    def captures(self) -> Path:
        """What came over the wire, verbatim."""
        return self.root / "captures"

    @property
    def documents(self) -> Path:
        """Bluesky documents as JSON lines, one file a run; made when the first is written."""
        return self.root / "documents"

    @property
    def catalog(self) -> Path:
        """The embedded Tiled catalog; it can be made again from documents and results."""
        return self.root / "catalog"

    @property
    def results(self) -> Path:
        """One NeXus file a scan."""
        return self.root / "results"

    @property
    def status(self) -> Path:
        """What each service says of itself, once a second."""
        return self.root / "status"

    @property
    def reports(self) -> Path:
        """One self-contained HTML a scan, its JSON, and a folder of figures."""
        return self.root / "reports"

    @property
    def labels(self) -> Path:
        """Points labelled by a person, one journal a scan."""
        return self.root / "labels"

    @property
    def models(self) -> Path:
        """Model bundles trained here, and which of them is in use; made when the first is."""
        return self.root / "models"

    @property
    def requests(self) -> Path:
        """What the page asks for, one JSON a request; answered in place."""
        return self.root / "requests"

    @property
    def scans(self) -> Path:
        """Scans that people declared on the page, one dated TOML file each."""
        return self.root / "scans"

    @property
    def notebook(self) -> Path:
        """What people decided during the beamtime: regions, surfaces, samples, acknowledged alarms."""
        return self.root / "notebook"

    def create(self) -> "DataDirectory":
        """Make all folders and return self.

        Raises
        ------
        PhasecastError
            If they cannot be made.
        """
        try:
            for folder in (
                self.captures,
                self.results,
                self.status,
                self.reports,
                self.labels,
                self.requests,
                self.notebook,
                self.scans,
            ):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PhasecastError(
                f"cannot make the data directory ({error.strerror})",
                where=str(self.root),
                remedy="choose a folder you may write to with --data-dir",
            ) from error
        return self
