"""What the model says of a scan's points, at hand for points of which it is said anew after they were published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import ALONE_AXIS, CLASS_AXIS, DRIFT_AXIS, MODEL_AXIS, SCORE_AXES, SHARE_AXIS
from phasecast.core.result import ColumnSpec
from phasecast.pipeline.neighbours import Said

UNKNOWN_SHARE = 0.5
"""Share of metal where no transmission is known: even odds change nothing."""

NO_MODEL = -1
"""Number of the model of points that have no confidences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetalRule:
    """How transmission tells iron without peaks from rust without peaks.

    Parameters
    ----------
    column
        Column of the confidences that is settled.
    share
        Odds of metal, as a share, of transmissions of shape (points,); 0.5 where the transmission is NaN.
    settle, unsettle
        Take confidences (points, classes) and shares (points,), and return the column after the transmission had its
        say, or as it was before.
    """

    column: int
    share: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    settle: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.floating]]
    unsettle: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.floating]]


class Scores:
    """Keeps one row a point of the confidences, of the model that gave them and of its drift: a few bytes a class.

    Parameters
    ----------
    columns
        All columns of the result.
    points
        Rows to start with.
    restored
        Rows that the file holds already, by column.
    metal
        What transmission does to them when they are taken; None: nothing.
    """

    def __init__(
        self,
        columns: Sequence[ColumnSpec],
        points: int,
        restored: Mapping[str, NDArray[Any]] | None = None,
        *,
        metal: MetalRule | None = None,
    ) -> None:
        self._specs = [column for column in columns if column.axis in SCORE_AXES]
        self._alone = next((spec.name for spec in self._specs if spec.axis == ALONE_AXIS), None)
        self._share = next((spec.name for spec in self._specs if spec.axis == SHARE_AXIS), None)
        self._metal = metal if self._share is not None else None
        self._confidences = next((spec.name for spec in self._specs if spec.axis == CLASS_AXIS), None)
        self._model = next((spec.name for spec in self._specs if spec.axis == MODEL_AXIS), None)
        self._drift = next((spec.name for spec in self._specs if spec.axis == DRIFT_AXIS), None)
        self._rows = {spec.name: _empty(spec, points) for spec in self._specs}
        for name, rows in (restored or {}).items():
            if name in self._rows:
                self._grow(len(rows))
                self._rows[name][: len(rows)] = rows
        if self._metal is not None and self._confidences is not None and self._share is not None and restored:
            # what is kept is what the model said, before transmission had its say
            kept, share = self._rows[self._confidences], self._rows[self._share]
            scored = np.isfinite(share)
            kept[scored, self._metal.column] = self._metal.unsettle(kept[scored], share[scored])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns kept."""
        return tuple(self._rows)

    def keep(self, indices: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> None:
        """Keep the rows of points that were just scored."""
        if indices.size:
            self._grow(int(indices.max()) + 1)
            for name, rows in self._rows.items():
                rows[indices] = columns[name]

    def keep_from(
        self, indices: NDArray[np.int64], confidences: NDArray[np.float32], drift: NDArray[np.float32], model: int
    ) -> None:
        """Keep what a model says of points that were scored before.

        Parameters
        ----------
        indices
            The points.
        confidences, drift
            Shapes (points, classes) and (points,); see `DRIFT_AXIS`.
        model
            Its number.
        """
        if self._confidences is not None and self._model is not None:
            self._rows[self._confidences][indices] = confidences
            self._rows[self._model][indices] = model
            if self._alone is not None:
                self._rows[self._alone][indices] = confidences
            if self._drift is not None:
                self._rows[self._drift][indices] = drift

    def said(self, points: int) -> Said | None:
        """Return what is said of the points, with and without their neighbours; None where these are not asked.

        Parameters
        ----------
        points
            Rows that are wanted at least.
        """
        if self._alone is None or self._confidences is None or self._model is None:
            return None
        self._grow(points)
        return Said(
            alone=self._rows[self._alone], together=self._rows[self._confidences], models=self._rows[self._model]
        )

    def keep_together(self, indices: NDArray[np.int64], confidences: NDArray[np.float32]) -> None:
        """Keep what is said of points after their neighbours; what is said of each by itself stays."""
        if self._confidences is not None:
            self._rows[self._confidences][indices] = confidences

    def not_by(self, model: int) -> NDArray[np.int64]:
        """Return the points whose confidences another model gave."""
        if self._confidences is None or self._model is None:
            return np.zeros(0, np.int64)
        others = np.flatnonzero((self._rows[self._model] != model) & (self._rows[self._model] != NO_MODEL))
        classified = ~np.isnan(self._rows[self._confidences][others]).all(axis=1)
        return np.asarray(others[classified], np.int64)

    def take(
        self,
        indices: NDArray[np.int64],
        withheld: NDArray[np.bool_],
        transmission: NDArray[np.float64] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the rows of some points, without confidences for those that are withheld.

        Parameters
        ----------
        indices
            The points.
        withheld
            Which of them were measured without beam, shape (points,).
        transmission
            Of each, shape (points,), NaN where unknown; None: of none.
        """
        self._grow(int(indices.max(initial=-1)) + 1)
        found = {name: rows[indices] for name, rows in self._rows.items()}
        if self._metal is not None and self._confidences is not None and self._share is not None:
            measured = np.full(len(indices), np.nan) if transmission is None else transmission
            share = self._metal.share(measured).astype(np.float32)
            found[self._share] = share
            confidences = found[self._confidences]
            known = share != UNKNOWN_SHARE
            confidences[known, self._metal.column] = self._metal.settle(confidences[known], share[known])
        for name in (self._confidences, self._alone):
            if name is not None:
                found[name][withheld] = np.nan
        return found

    def _grow(self, points: int) -> None:
        for spec in self._specs:
            rows = self._rows[spec.name]
            if points > len(rows):
                more = _empty(spec, max(points, len(rows) * 3 // 2) - len(rows))
                self._rows[spec.name] = np.concatenate([rows, more])


def _empty(spec: ColumnSpec, points: int) -> NDArray[Any]:
    return np.full((points, *spec.shape), NO_MODEL if spec.axis == MODEL_AXIS else np.nan, spec.dtype)
