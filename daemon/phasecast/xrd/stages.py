"""The diffraction stage: frames in, patterns and confidences out."""

import logging
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import DRIFT_AXIS, MODEL_AXIS
from phasecast.core.errors import BundleMismatchError, FrameError, GeometryError
from phasecast.core.frame import Frame
from phasecast.core.ledger import PointFlag
from phasecast.core.protocols import Reduced, Rejection
from phasecast.core.result import ColumnSpec
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.geometry import DetectorGeometry
from phasecast.xrd.integrator import Integrator
from phasecast.xrd.screening import as_stack

logger = logging.getLogger(__name__)

WRONG_FRAME = "wrong frame"
DRIFT = "drift"
"""Column that says how unlike everything the model knows a pattern is."""
NO_ARM_ANGLE = "arm angle unknown"
OUTSIDE_AXIS = "outside the axis"
NO_PATTERN = "no usable pattern"


class XrdStage:
    """Integrates frames and, where a model fits, classifies them.

    Parameters
    ----------
    integrator
        Gives patterns on the archive axis first and, with a classifier, on the model's axis second.
    classifier
        None to integrate only.
    why_unclassified
        Why there is no classifier although a model was wanted; empty if none was.
    """

    def __init__(self, integrator: Integrator, classifier: Classifier | None, *, why_unclassified: str = "") -> None:
        self.integrator = integrator
        self.classifier = classifier
        self._why_unclassified = why_unclassified
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
        arm = integrator.arm
        self._angle_names = tuple(angle_column(axis.field) for axis in arm.axes) if arm is not None else ()
        self._columns += [
            ColumnSpec(name=name, dtype="<f8", unit="deg", description="angle of the detector's arm, as integrated")
            for name in self._angle_names
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
            self._columns.append(
                ColumnSpec(
                    name=DRIFT,
                    dtype="<f4",
                    axis=DRIFT_AXIS,
                    description="distance from what the model learned from; 1: that of one simulated pattern in 1,000",
                )
            )
            self._columns.append(
                ColumnSpec(name="model", dtype="<i2", axis=MODEL_AXIS, description="row of the table of models")
            )

    @property
    def columns(self) -> Sequence[ColumnSpec]:
        """Columns of every result."""
        return tuple(self._columns)

    def twin(self) -> "XrdStage":
        """Return a stage that gives the same outcomes, for another thread; see `Integrator.twin`."""
        return XrdStage(self.integrator.twin(), self.classifier, why_unclassified=self._why_unclassified)

    def swap(self, classifier: Classifier) -> None:
        """Ask another model from the next call on.

        Raises
        ------
        BundleMismatchError
            If it looks at another axis or tells other classes than the model so far: the columns would change.
        """
        require_same_columns(self.classifier, classifier)
        self.classifier = classifier

    def warm_up(self) -> None:
        """Reduce an empty frame, so that the first real one does not pay for what libraries do at first use.

        Where the arm moves, nothing is known yet to reduce it with.
        """
        if self.integrator.arm is None:
            self._reduce(np.zeros((1, *self.integrator.geometry.shape), np.int32), self.integrator.geometry, ())

    def process(self, frames: Sequence[Frame]) -> list[Reduced | Rejection]:
        """Return patterns and confidences of each frame, or why it cannot be used.

        A frame of a wrong shape or without the angles of the arm is found before its batch is computed, so it costs
        nobody else anything.
        """
        outcomes: dict[int, Reduced | Rejection] = {}
        batches: dict[tuple[str, tuple[float, ...]], list[int]] = {}
        for place, frame in enumerate(frames):
            try:
                as_stack(frame.image, self.integrator.geometry.shape)
            except FrameError as error:
                outcomes[place] = Rejection(reason=WRONG_FRAME, detail=f"frame {frame.frame_id}: {error}")
                continue
            try:
                angles_deg = self._angles_deg(frame)
            except FrameError as error:
                outcomes[place] = Rejection(reason=NO_ARM_ANGLE, detail=f"frame {frame.frame_id}: {error}")
                continue
            batches.setdefault((frame.image.dtype.str, angles_deg), []).append(place)
        for (_, angles_deg), places in batches.items():
            batch = np.stack([frames[place].image for place in places])
            try:
                reduced = self._reduce(batch, self._geometry(angles_deg), angles_deg)
            except GeometryError as error:
                for place in places:
                    detail = f"frame {frames[place].frame_id}: {error}"
                    outcomes[place] = Rejection(reason=OUTSIDE_AXIS, detail=detail)
                continue
            for place, outcome in zip(places, reduced, strict=True):
                detail = f"frame {frames[place].frame_id}: no count, or an infinite one, in the range of the model"
                outcomes[place] = outcome or Rejection(reason=NO_PATTERN, detail=detail)
        return [outcomes[place] for place in range(len(frames))]

    def geometry_of(self, frame: Frame) -> DetectorGeometry:
        """Return the geometry that a frame is integrated with.

        Raises
        ------
        FrameError
            If the frame does not state the angles of an arm that moves.
        """
        return self._geometry(self._angles_deg(frame))

    def _angles_deg(self, frame: Frame) -> tuple[float, ...]:
        arm = self.integrator.arm
        return () if arm is None else arm.rounded_deg(arm.angles_deg(frame.scalars))

    def _geometry(self, angles_deg: tuple[float, ...]) -> DetectorGeometry:
        arm = self.integrator.arm
        return self.integrator.geometry if arm is None else arm.geometry_at(angles_deg)

    def _reduce(
        self, batch: NDArray[np.integer], geometry: DetectorGeometry, angles_deg: tuple[float, ...]
    ) -> list[Reduced | None]:
        """Return what was computed, None for a frame whose pattern the model cannot be asked about at all."""
        patterns = self.integrator.integrate(batch, geometry=geometry)
        notes = [self._why_unclassified] * len(batch)
        confidences = None
        classifier = self.classifier
        stamp = classifier.stamp if classifier is not None else None
        if classifier is not None:
            notes = classifier.why_not(patterns.axes[1], geometry.wavelength_angstrom)
            confidences, drift = classifier.judge(patterns.axes[1])
            unasked = [bool(note) for note in notes]
            confidences[unasked] = np.nan
            drift[unasked] = np.nan
        reduced: list[Reduced | None] = []
        for row in range(len(batch)):
            if confidences is not None and not notes[row] and np.isnan(confidences[row]).all():
                reduced.append(None)
                continue
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
            for name, angle_deg in zip(self._angle_names, angles_deg, strict=True):
                columns[name] = np.asarray(angle_deg)
            flags = PointFlag.SATURATED if patterns.saturated_pixels[row] else PointFlag.NONE
            if confidences is None or notes[row]:
                flags |= PointFlag.NOT_CLASSIFIED
            if confidences is not None:
                columns["confidences"] = confidences[row]
                columns[DRIFT] = np.asarray(drift[row])
            reduced.append(Reduced(columns=columns, flags=flags, note=notes[row], model=stamp))
        return reduced


def angle_column(field: str) -> str:
    """Return the name of the column that holds an angle of the arm, after the field that states it."""
    return "arm_" + re.sub(r"\W+", "_", field)


def require_same_columns(now: Classifier | None, other: Classifier) -> None:
    """Raise `BundleMismatchError` if a model cannot take the place of the one that is asked now."""
    where = f"bundle {other.bundle.name} {other.bundle.version}"
    if now is None:
        raise BundleMismatchError(
            "points are integrated and not classified", where=where, remedy="start the daemon with --model"
        )
    if other.axis != now.axis:
        raise BundleMismatchError(
            f"it looks at {_axis_text(other)}, the model in use at {_axis_text(now)}",
            where=where,
            remedy="start the daemon anew with --model",
        )


def _axis_text(classifier: Classifier) -> str:
    axis = classifier.axis
    return f"{axis.tth_min_deg:g}-{axis.tth_max_deg:g} deg in {axis.bins} bins"
