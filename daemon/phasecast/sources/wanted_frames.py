"""What documents name and somebody has to fetch: frames in files, and positions in files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from phasecast.core.frame import FrameKey, datum_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdf5Place:
    """Frames that follow each other in a dataset.

    Parameters
    ----------
    path
        The file as the documents name it: a path or a ``file:`` URI.
    dataset
        Path of the dataset inside.
    first
        Index of the first frame.
    frames_per_point
        Frames that make one point; they are added up.
    """

    path: str
    dataset: str
    first: int
    frames_per_point: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """Frames in files of their own.

    Parameters
    ----------
    folder
        Their folder as the documents name it.
    names
        Their names, in order.
    dataset
        Path of the dataset inside, where the files are HDF5; else empty.
    """

    folder: str
    names: tuple[str, ...]
    dataset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFrames:
    """One or more frames of a detector that follow each other, one a point.

    Parameters
    ----------
    run
        Uid of the raw run.
    series
        Uid of the resource.
    number
        Number of the first frame in that series.
    count
        How many there are.
    place
        Where they lie.
    name, first_seq
        The key of frame k is the datum ``name/(first_seq + k)``.
    keys
        Keys of the frame where it is one.
    recorded_s
        POSIX time of receipt of the document.
    problem
        Why they cannot be had; empty if they can.
    """

    run: str
    series: str
    number: int
    count: int
    place: Hdf5Place | FilePlace
    name: str = ""
    first_seq: int = 0
    keys: tuple[FrameKey, ...] = ()
    recorded_s: float
    problem: str = ""

    def keys_of(self, k: int) -> tuple[FrameKey, ...]:
        """Return the names by which events call frame k."""
        return self.keys or (datum_key(f"{self.name}/{self.first_seq + k}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedColumn:
    """One field of some rows: numbers that follow each other in a dataset, beginning `skip` rows after the first."""

    name: str
    skip: int
    count: int
    place: Hdf5Place


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRows:
    """Points of a fly scan, whose positions lie in files.

    Parameters
    ----------
    run
        Uid of the raw run.
    name
        Uid of the descriptor.
    first_seq, count
        Sequence number of the first point, and how many follow each other.
    axes
        Fields that are positions; the others are scalars.
    columns
        Where the numbers lie.
    given
        Columns that are known without a file: positions of the plan.
    has_frames
        Whether each point has a frame whose key is the datum ``name/seq``.
    time_s
        POSIX time at which the documents came.
    """

    run: str
    name: str
    first_seq: int
    count: int
    axes: tuple[str, ...]
    columns: tuple[WantedColumn, ...]
    given: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    has_frames: bool
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """Nothing more of a run will be wanted; what is not there soon never comes."""

    run: str


Wanted = WantedFrames | WantedRows | RunEnded
