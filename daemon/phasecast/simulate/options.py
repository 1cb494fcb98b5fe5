"""What the simulated beamline can be told, and what it says afterwards."""

from dataclasses import dataclass, field
from pathlib import Path

from phasecast.simulate.documents import Serializer
from phasecast.simulate.faults import Faults
from phasecast.simulate.passes import MapPass
from phasecast.simulate.simplon_unit import Encoding
from phasecast.simulate.stage import StageAxes
from phasecast.simulate.transport_files import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamlineOptions:
    """What ``phasecast simulate xrd`` can be told.

    Parameters
    ----------
    output
        ``simplon://127.0.0.1:PORT`` or ``simplon2://...`` (0: a free port), or a folder (plain or ``files:///...``).
    shape
        Rows and columns of the map.
    step_um
        Step of the map.
    seed
        Seed of sample, frames and beam.
    rate_hz
        Points per second within a row; None is as fast as it goes.
    exposure_s
        Exposure time; None is 0.3 of the point period, or nothing without a rate.
    exposure_counts
        Mean counts per frame over the map.
    turnaround_s
        Time the slow axis takes at the end of each row.
    documents_in_port, documents_out_port
        Ports of the 0MQ proxy; 0 takes free ones.
    prefix
        Prefix of the documents.
    serializer, encoding, file_format
        Forms of documents and frames.
    counter
        Whether events carry the detector's image number; without it frames join by time or order.
    faults
        What goes wrong.
    position_log
        Log to append a row to for each point, instead of publishing documents; None publishes.
    truth
        File to write the true map to.
    announce
        File to write the addresses to once every socket is open.
    start_when
        Path whose existence starts the scan.
    end_when
        Path whose existence lets the last point of each scan be measured.
    start_timeout_s
        How long to wait for either, and for a consumer of the frames.
    sample_name
        Name in the start document.
    map_name
        Name of the map that the scans belong to, in the start document; none if empty.
    stage
        How the stage is mounted.
    letter
        Whether the sample bears a letter F.
    sample_shape, sample_step_um
        The sample's own grid, on which the truth is known; that of the map if None.
    passes
        Scans over the sample, one after the other; one over the whole map if empty.
    """

    output: str = "simplon://127.0.0.1:9999"
    shape: tuple[int, int] = (30, 40)
    step_um: float = 2.0
    seed: int = 0
    rate_hz: float | None = 20.0
    exposure_s: float | None = None
    exposure_counts: float = 2e5
    turnaround_s: float = 0.15
    documents_in_port: int = 5577
    documents_out_port: int = 5578
    prefix: str = "bl16xu"
    serializer: Serializer = "pickle"
    encoding: Encoding = "bs32-lz4<"
    file_format: Format = "cbf"
    counter: bool = True
    faults: Faults = field(default_factory=Faults)
    position_log: Path | None = None
    truth: Path | None = None
    announce: Path | None = None
    start_when: Path | None = None
    end_when: Path | None = None
    start_timeout_s: float = 60.0
    sample_name: str = "simulated rust cross-section"
    map_name: str = ""
    stage: StageAxes = field(default_factory=StageAxes)
    letter: bool = False
    sample_shape: tuple[int, int] | None = None
    sample_step_um: float | None = None
    passes: tuple[MapPass, ...] = ()

    @property
    def scans(self) -> tuple[MapPass, ...]:
        """The scans to run."""
        return self.passes or (MapPass(shape=self.shape, step_um=self.step_um, faults=self.faults),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What went out.

    Parameters
    ----------
    uids
        Uids of the runs, in order.
    points
        Points that the scans planned.
    frames_sent, frames_lost
        Frames that left, and frames that nobody took or that were lost on order.
    documents
        Documents published.
    seconds
        From the first message of the scan to the last.
    frames_uri, documents_uri
        Where they went, as the daemon's ``--source`` takes them.
    """

    uids: tuple[str, ...]
    points: int
    frames_sent: int
    frames_lost: int
    documents: int
    seconds: float
    frames_uri: str
    documents_uri: str
