"""One stage on several cores: frames are shared out to threads, each with an integrator of its own."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from phasecast.core.frame import Frame
from phasecast.core.protocols import Reduced, Rejection
from phasecast.core.result import ColumnSpec
from phasecast.xrd.stages import XrdStage

_FRAMES_AT_ONCE = 16
"""A multiple of the model's block of 8, so that no block is filled up in vain; few enough to stay in the cache."""


class SharedStage:
    """Gives the same outcomes as the stage it is made of, to the bit: a frame's result does not depend on company.

    Parameters
    ----------
    stage
        A stage on the CPU whose detector stands still.
    threads
        How many work at once.
    """

    def __init__(self, stage: XrdStage, *, threads: int) -> None:
        self._stages = [stage, *(stage.twin() for _ in range(threads - 1))]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reduce")

    @property
    def columns(self) -> Sequence[ColumnSpec]:
        """Columns of every result."""
        return self._stages[0].columns

    def process(self, frames: Sequence[Frame]) -> list[Reduced | Rejection]:
        """Return one outcome a frame, in order; see `XrdStage.process`."""
        parts = [frames[start : start + _FRAMES_AT_ONCE] for start in range(0, len(frames), _FRAMES_AT_ONCE)]
        outcomes: list[list[Reduced | Rejection]] = [[] for _ in parts]
        waiting = iter(range(len(parts)))

        def work(stage: XrdStage) -> None:
            # taking the next number from an iterator is one step for all threads
            for number in waiting:
                outcomes[number] = stage.process(parts[number])

        for done in [self._pool.submit(work, stage) for stage in self._stages]:
            done.result()
        return [outcome for part in outcomes for outcome in part]

    def close(self) -> None:
        """End the threads; idempotent."""
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
