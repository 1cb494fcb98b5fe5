"""The ledger: one state and any flags for every point a scan expects, and sums that always agree."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from phasecast.core.ledger import PointFlag, PointState

_FINAL = frozenset({PointState.DONE, PointState.REJECTED, PointState.SUPERSEDED})


class Ledger:
    """States and flags of the points of one scan; grows when more points come than were announced.

    Parameters
    ----------
    expected_points
        Points announced; 0 if the scan does not say.
    """

    def __init__(self, expected_points: int) -> None:
        self._states = np.zeros(expected_points, np.uint8)
        self._flags = np.zeros(expected_points, np.uint32)
        self._reasons: dict[int, str] = {}
        self._changed: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._states)

    @property
    def states(self) -> NDArray[np.uint8]:
        """States, shape (points,); a view that must not be written."""
        return self._states

    @property
    def all_flags(self) -> NDArray[np.uint32]:
        """Flags, shape (points,); a view that must not be written."""
        return self._flags

    def state(self, index: int) -> PointState:
        """State of one point; PENDING for points beyond the end."""
        return PointState(int(self._states[index])) if index < len(self) else PointState.PENDING

    def flags(self, index: int) -> PointFlag:
        """Flags of one point."""
        return PointFlag(int(self._flags[index])) if index < len(self) else PointFlag.NONE

    def reason(self, index: int) -> str:
        """Why a point is not done, or done and not classified; empty if there is nothing to say."""
        return self._reasons.get(index, "")

    def grow(self, points: int) -> None:
        """Make room for at least `points` points; new ones are pending."""
        missing = points - len(self)
        if missing > 0:
            self._changed.update(dict.fromkeys(range(len(self), points)))
            self._states = np.concatenate([self._states, np.zeros(missing, np.uint8)])
            self._flags = np.concatenate([self._flags, np.zeros(missing, np.uint32)])

    def restore(self, states: NDArray[np.uint8], remarks: Mapping[int, tuple[PointFlag, str]] | None = None) -> None:
        """Take over what the result file holds already; it does not count as changed.

        Parameters
        ----------
        states
            State of each point, shape (points,).
        remarks
            Flags and reason of points about which something is to be said.
        """
        self.grow(len(states))
        self._states[: len(states)] = states
        for index, (flags, reason) in (remarks or {}).items():
            self.grow(index + 1)
            self._flags[index] |= np.uint32(flags)
            if reason:
                self._reasons[index] = reason
        self._changed.clear()

    def set_state(self, index: int, state: PointState, reason: str = "") -> None:
        """Give a point its state; a final state is never overwritten by a lesser one."""
        self.grow(index + 1)
        if PointState(int(self._states[index])) in _FINAL and state not in _FINAL:
            return
        self._states[index] = state
        if reason:
            self._reasons[index] = reason
        elif state is PointState.DONE:
            self._reasons.pop(index, None)
        self._changed[index] = None

    def add_flags(self, indices: Iterable[int], flag: PointFlag) -> None:
        """Set a flag on points; points that bear it already do not count as changed."""
        for index in indices:
            self.grow(index + 1)
            if int(self._flags[index]) & flag != flag:
                self._flags[index] |= np.uint32(flag)
                self._changed[index] = None

    def replace_flags(self, index: int, mask: PointFlag, flags: PointFlag) -> None:
        """Set those flags of a point that `mask` names to exactly `flags`."""
        self.grow(index + 1)
        self._flags[index] = (int(self._flags[index]) & ~int(mask)) | int(flags)
        self._changed[index] = None

    def take_changed(self) -> list[int]:
        """Indices changed since the last call, in order of index."""
        changed = sorted(self._changed)
        self._changed.clear()
        return changed

    def touch(self, index: int) -> None:
        """Count a point as changed although state and flags stay (its position came)."""
        self.grow(index + 1)
        self._changed[index] = None

    def sums(self) -> dict[str, int]:
        """Points per state, all states named; their total is the number of points."""
        counts = np.bincount(self._states, minlength=len(PointState))
        return {state.label: int(counts[state]) for state in PointState}

    def flag_sums(self) -> dict[str, int]:
        """Points per flag."""
        return {
            flag.name.lower(): int(np.count_nonzero(self._flags & np.uint32(flag)))
            for flag in PointFlag
            if flag and flag.name
        }

    def reason_sums(self) -> dict[str, int]:
        """Points per reason."""
        return dict(Counter(self._reasons.values()))
