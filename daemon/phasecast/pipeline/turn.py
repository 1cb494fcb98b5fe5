"""What one turn of the loop changed in a scan."""

from dataclasses import dataclass

from phasecast.core.protocols import Reduced
from phasecast.core.scan import Defect


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One point that got its result.

    Parameters
    ----------
    index
        Index of the point.
    revision
        0 for the first result of a point.
    reduced
        Its columns.
    received_s
        POSIX time at which the later of its frame and its position reached this process.
    """

    index: int
    revision: int
    reduced: Reduced
    received_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn of the loop changed.

    Parameters
    ----------
    scored
        Points that got a result.
    rejudged
        Points scored in an earlier turn of which it is said anew what the model says: they turned out to have had no
        beam, or to have had it after all, or another model was asked.
    changed
        Points whose ledger entry changed.
    defects
        Things that cannot be used, or that belong to no point.
    """

    scored: list[Scored]
    rejudged: list[int]
    changed: list[int]
    defects: list[Defect]

    def __bool__(self) -> bool:
        return bool(self.scored or self.changed or self.defects)
