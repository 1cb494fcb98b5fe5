"""Where parts that must not know each other meet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from phasecast.core.frame import Frame
from phasecast.core.ledger import PointFlag
from phasecast.core.result import ColumnSpec, ModelStamp

Document = Mapping[str, Any]
"""A bluesky document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Columns computed from one frame.

    Parameters
    ----------
    columns
        Column name to row, with the dtypes and shapes of the stage's specs.
    flags
        Remarks that the reduction itself makes.
    note
        Why a frame was integrated and not classified; one clear line, empty if there is nothing to say.
    model
        What gave the confidences among the columns; None if nothing did.
    """

    columns: Mapping[str, NDArray[Any]]
    flags: PointFlag = PointFlag.NONE
    note: str = ""
    model: ModelStamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A frame that the stage cannot use.

    Parameters
    ----------
    reason
        Short and countable.
    detail
        One clear line.
    """

    reason: str
    detail: str


class Stage(Protocol):
    """Turns raw items into result columns; knows nothing of scans, positions or files."""

    @property
    def columns(self) -> Sequence[ColumnSpec]:
        """Columns of every result."""
        ...

    def process(self, frames: Sequence[Frame]) -> list[Reduced | Rejection]:
        """Return one outcome a frame, in order. Never raises for a bad frame."""
        ...


class Sink(Protocol):
    """Receives every document of the derived run."""

    def __call__(self, name: str, doc: Document) -> None:
        """Take one document; must-not-fail sinks raise, others count and go on."""
        ...

    def close(self) -> None:
        """Finish what is open; idempotent."""
        ...
