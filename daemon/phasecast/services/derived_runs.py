"""One derived run, and one result file, for each raw scan; unfinished ones are taken up again."""

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from numpy.typing import NDArray

from phasecast.core.errors import BundleMismatchError, ResultFileError
from phasecast.core.protocols import Document
from phasecast.core.record import CapturePosition
from phasecast.core.result import ResultHeader
from phasecast.core.scan import ScanStart
from phasecast.pipeline.beam_columns import BeamColumns
from phasecast.pipeline.emitter import DerivedRun
from phasecast.profiles import Profile
from phasecast.services.metal import metal_columns, metal_rule, named_classes
from phasecast.services.monitors import beam_columns, normalisation_of, point_columns
from phasecast.services.neighbours import SecondPasses, header_with_neighbours, neighbour_rule
from phasecast.services.sample_sources import SampleSources
from phasecast.services.unfinished_results import UnfinishedResult, find_results
from phasecast.sinks.nexus import NexusSink
from phasecast.xrd.patterns import bin_centres_deg
from phasecast.xrd.stages import XrdStage

logger = logging.getLogger(__name__)

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
"""What is kept out of file names: plans and uids come over a wire."""
_PACKAGES = ("phasecast", "numpy", "pyFAI", "torch", "fabio", "h5py", "event-model", "pyzmq", "dectris-compression")


def software_versions() -> dict[str, str]:
    """Return the version of everything that shapes a result."""
    versions = {"python": python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


@dataclass(slots=True)
class DerivedRuns:
    """Opens the derived run of each scan that starts.

    Parameters
    ----------
    folder
        Where result files go.
    profile, stage
        What reduces and classifies.
    on_finished
        Called with the path of each result that was closed.
    settings
        Other settings worth recording, JSON-able.
    samples
        What else is known of a sample, and whose scans are taken; None: nothing, and everybody's.
    profile_for
        Returns the profile of a scan that has its own; None for one that has not.
    also
        Takes every document after the result file did; must not fail. None for nobody.
    """

    folder: Path
    profile: Profile
    stage: XrdStage
    on_finished: Callable[[Path], None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    samples: SampleSources | None = None
    profile_for: Callable[[ScanStart], Profile | None] = lambda _: None
    also: Callable[[str, Document], None] | None = None
    _unfinished: dict[str, UnfinishedResult] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)
    _open: dict[str, NexusSink] = field(default_factory=dict)
    _closed_bytes: int = 0
    _beam_columns: BeamColumns = field(init=False)
    _passes: SecondPasses = field(init=False)

    def __post_init__(self) -> None:
        self._beam_columns = beam_columns(self.profile, self.stage.integrator)
        self._passes = SecondPasses(self.stage)

    def recover(self) -> tuple[CapturePosition | None, frozenset[tuple[str, int]]]:
        """Look for what an earlier daemon left; return where to replay from and which frames to skip."""
        unfinished, self._finished = find_results(self.folder)
        self._unfinished = {result.header.raw_uid: result for result in unfinished}
        for result in unfinished:
            logger.warning("taking up %s again", result.path)
        start = min((result.capture_start for result in unfinished), default=None)
        return start, frozenset().union(*(result.committed for result in unfinished))

    @property
    def unfinished_headers(self) -> dict[str, ResultHeader]:
        """Raw uid to header of the results that wait to be taken up again."""
        return {uid: result.header for uid, result in self._unfinished.items()}

    @property
    def finished_uids(self) -> frozenset[str]:
        """Raw uids of the results that are finished."""
        return frozenset(self._finished)

    def open(self, start: ScanStart, position: CapturePosition) -> DerivedRun | None:
        """Open the run of a scan; None if its result is finished already.

        Raises
        ------
        ScanRefusedError
            If the data directory is kept for another proposal.
        """
        if start.uid in self._finished:
            return None
        left = self._unfinished.pop(start.uid, None)
        if left is not None:
            sink = NexusSink.resume(left.path)
            header = left.header
        else:
            if self.samples is not None:
                self.samples.require_ours(start)
            header = self._header(start, position)
            header = header_with_neighbours(header, self.profile_for(start) or self.profile, self._passes)
            path = self.folder / _file_name(start)
            if path.exists():  # uids that begin alike, in one second
                path = path.with_stem(f"{path.stem}_{header.result_uid}")
            sink = NexusSink(path)
        self._open[start.uid] = sink

        def publish(name: str, doc: Document) -> None:
            sink(name, doc)
            if self.also is not None:
                self.also(name, doc)
            if name == "stop":
                self._finish(start.uid)

        return DerivedRun(
            header,
            publish,
            restored_states=left.states if left is not None else None,
            restored_remarks=left.remarks if left is not None else None,
            restored_scores=left.scores if left is not None else None,
            restored_revisions=left.revisions if left is not None else None,
            models=left.models if left is not None else (),
            beam_columns=self._beam_columns,
            metal=metal_rule(self.profile_for(start) or self.profile, header),
            neighbours=neighbour_rule(header, self._passes),
        )

    def close(self) -> None:
        """Close the files of scans that have not ended; the next daemon takes them up again."""
        for sink in self._open.values():
            sink.close()
        self._open.clear()

    def read_rows(self, uid: str, names: Sequence[str], first: int, end: int) -> dict[str, NDArray[Any]]:
        """Return rows of an open result as they were written; any thread may ask.

        Raises
        ------
        ResultFileError
            If the result is not open any more.
        """
        sink = self._open.get(uid)
        if sink is None:
            raise ResultFileError("the result is closed", where=uid)
        return sink.read_rows(names, first, end)

    def path_of(self, uid: str) -> Path | None:
        """File of an open scan; None if it is not open."""
        sink = self._open.get(uid)
        return sink.path if sink is not None else None

    @property
    def open_paths(self) -> list[Path]:
        """Files that grow right now."""
        return [sink.path for sink in self._open.values()]

    @property
    def bytes_written(self) -> int:
        """Size of all files that this process has written or is writing."""
        return self._closed_bytes + sum(_size(sink.path) for sink in self._open.values())

    def _finish(self, uid: str) -> None:
        sink = self._open.pop(uid)
        sink.close()
        self._closed_bytes += _size(sink.path)
        self._finished.add(uid)
        self.on_finished(sink.path)

    def _variance_ratio(self) -> list[float]:
        """How variances add up on the model's axis, for whoever brings stored patterns there; none if they cannot."""
        classifier, integrator = self.stage.classifier, self.stage.integrator
        if classifier is None or integrator.arm is not None:
            return []
        try:
            return [round(float(value), 4) for value in integrator.rebinning(classifier.axis).variance_ratio]
        except BundleMismatchError:
            return []

    def _header(self, start: ScanStart, position: CapturePosition) -> ResultHeader:
        profile = self.profile_for(start) or self.profile
        positions = profile.positions
        integrator, classifier = self.stage.integrator, self.stage.classifier
        geometry, arm = integrator.geometry, integrator.arm
        beside = self.samples.metadata_of(start, time_s=time.time()) if self.samples is not None else {}
        return ResultHeader(
            result_uid=str(uuid.uuid4()),
            raw_uid=start.uid,
            scan_id=start.scan_id,
            plan_name=start.plan_name,
            started_s=start.time_s,
            axes=start.axes,
            shape=start.shape,
            snaking=start.snaking,
            expected_points=start.expected_points,
            horizontal_field=positions.horizontal.field if positions else "",
            vertical_field=positions.vertical.field if positions else "",
            columns=(*self.stage.columns, *self._beam_columns.specs, *metal_columns(profile, classifier)),
            point_columns=point_columns(profile),
            tth_deg=tuple(float(value) for value in bin_centres_deg(integrator.axes[0])),
            classes=named_classes(profile, classifier.classes) if classifier else (),
            model=classifier.stamp if classifier else None,
            profile_name=profile.name,
            profile=profile.model_dump(mode="json"),
            device=integrator.device,
            device_note=integrator.device_note,
            processing={
                "capture_start": {"segment": position.segment, "offset": position.offset},
                # where the arm moves there is no geometry of the scan, and one of them would be wrong for the others
                **({"geometry": asdict(geometry)} if arm is None else {"arm": arm.describe()}),
                "geometry_id": integrator.geometry_id,
                "error_model": "poisson",
                "normalisation": normalisation_of(profile),
                "created_s": time.time(),
                **({"variance_ratio": self._variance_ratio()} if classifier is not None else {}),
                **self.settings,
            },
            versions=software_versions(),
            metadata=dict(start.metadata) | beside,
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _file_name(start: ScanStart) -> str:
    stamp = datetime.fromtimestamp(start.time_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    plan, uid = (_UNFIT.sub("-", text) for text in (start.plan_name[:60], start.uid[:8]))
    return f"{stamp}_{plan}_{start.scan_id:05d}_{uid}.nxs"
