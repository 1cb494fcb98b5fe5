"""The diffraction stage: frames in, patterns and confidences out."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import FrameError
from phasecast.core.frame import Frame
from phasecast.core.ledger import PointFlag
from phasecast.core.protocols import Reduced, Rejection
from phasecast.core.result import ColumnSpec
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.integrator import Integrator
from phasecast.xrd.screening import as_stack

logger = logging.getLogger(__name__)


class XrdStage:
    """Integrates frames and, where a model fits, classifies them.

    Parameters
    ----------
    integrator
        Gives patterns on the archive axis first and, with a classifier, on the model's axis second.
    classifier
        None to integrate only.
    """

    def __init__(self, integrator: Integrator, classifier: Classifier | None) -> None:
        self.integrator = integrator
        self.classifier = classifier
        bins = integrator.axes[0].bins
        self._columns = [
            ColumnSpec(name="intensity", dtype="<f4", shape=(bins,), axis="tth", description="azimuthal mean"),
            ColumnSpec(name="sigma", dtype="<f4", shape=(bins,), axis="tth", description="Poisson standard error"),
            ColumnSpec(name="norm", dtype="<f4", shape=(bins,), axis="tth", description="intensity * norm is counts"),
            ColumnSpec(name="total_counts", dtype="<i8", unit="counts", description="counts of all usable pixels"),
            ColumnSpec(name="saturated_pixels", dtype="<i8", description="pixels at or above the count limit"),
            ColumnSpec(name="masked_pixels", dtype="<i8", description="pixels left out of this frame alone"),
            ColumnSpec(name="spottiness", dtype="<f4", description="largest over mean pixel of a bin, summarised"),
            ColumnSpec(name="spot_excess", dtype="<f4", description="spottiness beyond what counting noise gives"),
        ]
        if classifier is not None:
            self._columns.append(
                ColumnSpec(
                    name="confidences",
                    dtype="<f4",
                    shape=(len(classifier.classes),),
                    axis="class",
                    description="calibrated confidence per class; several may be true",
                )
            )

    @property
    def columns(self) -> Sequence[ColumnSpec]:
        """Columns of every result."""
        return tuple(self._columns)

    def warm_up(self) -> None:
        """Reduce an empty frame, so that the first real one does not pay for what libraries do at first use."""
        self._reduce(np.zeros((1, *self.integrator.geometry.shape), np.int32))

    def process(self, frames: Sequence[Frame]) -> list[Reduced | Rejection]:
        """Return patterns and confidences of each frame, or why it cannot be used.

        A frame of a wrong shape is found before its batch is computed, so it costs nobody else anything.
        """
        outcomes: list[Reduced | Rejection | None] = [self._refuse(frame) for frame in frames]
        by_dtype: dict[str, list[int]] = {}
        for place, outcome in enumerate(outcomes):
            if outcome is None:
                by_dtype.setdefault(frames[place].image.dtype.str, []).append(place)
        for places in by_dtype.values():
            batch = np.stack([frames[place].image for place in places])
            for place, reduced in zip(places, self._reduce(batch), strict=True):
                outcomes[place] = reduced
        return [outcome for outcome in outcomes if outcome is not None]

    def _refuse(self, frame: Frame) -> Rejection | None:
        try:
            as_stack(frame.image, self.integrator.geometry.shape)
        except FrameError as error:
            return Rejection(reason="wrong frame", detail=f"frame {frame.frame_id}: {error}")
        return None

    def _reduce(self, batch: NDArray[np.integer]) -> list[Reduced]:
        patterns = self.integrator.integrate(batch)
        confidences = self.classifier.confidences(patterns.axes[1]) if self.classifier is not None else None
        reduced = []
        for row in range(len(batch)):
            columns = {
                "intensity": patterns.intensity[row],
                "sigma": patterns.sigma[row],
                "norm": patterns.norm[row],
                "total_counts": patterns.total_counts[row],
                "saturated_pixels": patterns.saturated_pixels[row],
                "masked_pixels": patterns.masked_pixels[row],
                "spottiness": patterns.spottiness[row],
                "spot_excess": patterns.spot_excess[row],
            }
            flags = PointFlag.SATURATED if patterns.saturated_pixels[row] else PointFlag.NONE
            if confidences is None:
                flags |= PointFlag.NOT_CLASSIFIED
            else:
                columns["confidences"] = confidences[row]
            reduced.append(Reduced(columns=columns, flags=flags))
        return reduced
