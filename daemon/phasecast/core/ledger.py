"""States and flags a scan point can have in the ledger."""

from enum import IntEnum, IntFlag


class PointState(IntEnum):
    """The one state of a point. The sums over all states always equal the number of expected points."""

    PENDING = 0
    """Expected; nothing of it has arrived."""
    RECEIVED = 1
    """Its frame or its position has arrived, not both, or it waits for classification."""
    DONE = 2
    """Classified and in the result file."""
    REJECTED = 3
    """Its frame cannot be used; the ledger says why."""
    LOST_UPSTREAM = 4
    """The stage was there but its frame never reached us."""
    DROPPED_BY_US = 5
    """We had its frame and threw it away."""
    NOT_MEASURED = 6
    """The scan ended before it."""
    SUPERSEDED = 7
    """Measured again later; the later one counts."""

    @property
    def label(self) -> str:
        """Name for files and people, such as ``lost_upstream``."""
        return self.name.lower()


class PointFlag(IntFlag):
    """Independent remarks on a point."""

    NONE = 0
    POSITION_DOUBTFUL = 1
    """Frame and position may not belong together."""
    SATURATED = 2
    """Pixels above the detector's count limit were left out."""
    NOT_NORMALISED = 4
    """No incident monitor."""
    REVISED = 8
    """Scored more than once."""
    JOINED_BY_ORDER = 16
    """Frame and position were joined by their order alone."""
    NOT_CLASSIFIED = 32
    """Integrated, but no model applied to it."""
    NO_POSITION = 64
    """Nothing says where it was measured."""
    EMPTY_NOT_SUBTRACTED = 128
    """The empty beam was to be subtracted, but I0 or transmission of the point are unknown."""

    def labels(self) -> list[str]:
        """Names of the flags that are set."""
        return [flag.name.lower() for flag in PointFlag if flag and flag in self and flag.name]
