"""Where the detector is at the angles of its arm: one geometry for each frame of a scan whose arm moves."""

import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyFAI.goniometer import Goniometer

from phasecast.core.errors import FrameError, GeometryError
from phasecast.profiles import ArmAxis, Profile
from phasecast.xrd.geometry import DetectorGeometry, contradictions, geometry_from_profile, known_detector

STEP_DEG = 0.005
"""Angles are rounded to this: frames share a matrix unless their angles differ by more, and none is integrated more
than half of it away from its own angle. Rounding, rather than the nearest matrix at hand, makes the result of a frame
independent of which frames came before it."""
_KEPT = 64

Matrix = NDArray[np.float64]


class Arm:
    """The arm of a detector: from the angles that a frame states to its geometry.

    Parameters
    ----------
    profile
        The instrument; it declares the axes.
    base
        Geometry where all angles are 0.
    goniometer
        pyFAI's own description of how the geometry follows the angles; None for axes that turn about the sample.
    origin
        What it comes from, for people.
    """

    def __init__(
        self, profile: Profile, base: DetectorGeometry, *, goniometer: Goniometer | None = None, origin: str = ""
    ) -> None:
        self._axes = profile.geometry.arm
        self._base = base
        self._goniometer = goniometer
        self._origin = origin or base.origin
        self._known: OrderedDict[tuple[float, ...], DetectorGeometry] = OrderedDict()

    @classmethod
    def from_profile(cls, profile: Profile, poni: str | Path | None = None) -> "Arm | None":
        """Return the arm that a profile declares; None if it declares none.

        Parameters
        ----------
        profile
            The instrument.
        poni
            A .poni file that holds where all angles are 0, or a goniometer file (.json); wins over the profile's.

        Raises
        ------
        GeometryError
            If the file cannot be used, or its positions are not the axes of the profile.
        """
        file = poni if poni is not None else profile.geometry.poni_file
        if not profile.geometry.arm:
            if file is not None and Path(file).suffix.lower() == ".json":
                raise GeometryError(
                    f"a goniometer file needs the angles of the frames, and profile {profile.name} names none",
                    where=str(file),
                    remedy="declare them as [[geometry.arm]] in the profile, or give a .poni file",
                )
            return None
        if file is None or Path(file).suffix.lower() != ".json":
            return cls(profile, geometry_from_profile(profile, poni))
        path = Path(file).expanduser()
        goniometer = _load(path)
        names = goniometer.trans_function.pos_names
        if len(names) != len(profile.geometry.arm):
            raise GeometryError(
                f"the goniometer has {len(names)} positions ({', '.join(names)}), profile {profile.name} declares "
                f"{len(profile.geometry.arm)} axes of the arm",
                where=str(path),
                remedy="declare one [[geometry.arm]] for each position, in their order",
            )
        base = _from_goniometer(profile, goniometer, (0.0,) * len(names), str(path))
        base = replace(base, warnings=contradictions(profile, base))
        return cls(profile, base, goniometer=goniometer, origin=str(path))

    @property
    def base(self) -> DetectorGeometry:
        """Geometry where all angles are 0; it holds for no frame by itself."""
        return self._base

    @property
    def axes(self) -> tuple[ArmAxis, ...]:
        """The axes, from the floor to the detector."""
        return self._axes

    def describe(self) -> dict[str, Any]:
        """Return all that the geometries follow from, JSON-able."""
        return {
            "axes": [axis.model_dump(mode="json") for axis in self._axes],
            "step_deg": STEP_DEG,
            "origin": self._origin,
            "goniometer": None if self._goniometer is None else json.loads(json.dumps(self._goniometer.to_dict())),
            "base": asdict(self._base),
        }

    def angles_deg(self, numbers: Mapping[str, float]) -> tuple[float, ...]:
        """Return the arm's angles, one an axis, from what a frame states.

        Parameters
        ----------
        numbers
            Field to value in deg.

        Raises
        ------
        FrameError
            If a field is missing or no angle.
        """
        absent = [axis.field for axis in self._axes if axis.field not in numbers]
        if absent:
            raise FrameError(
                f"nothing states the arm's angle {', '.join(absent)}",
                remedy="check the field in [[geometry.arm]] and the sidecar in [frame_files] of the profile",
            )
        stated = [numbers[axis.field] for axis in self._axes]
        for axis, value in zip(self._axes, stated, strict=True):
            if not math.isfinite(value) or abs(value) > 360:
                raise FrameError(f"the arm's angle {axis.field} is {value:g}, which is no angle in deg")
        return tuple(axis.sign * value + axis.offset_deg for axis, value in zip(self._axes, stated, strict=True))

    def geometry_at(self, angles_deg: tuple[float, ...]) -> DetectorGeometry:
        """Return the geometry at angles of the arm, rounded to `STEP_DEG`.

        The same angles give the same object, so that matrices are found again.

        Parameters
        ----------
        angles_deg
            One an axis, as `angles_deg` returns them.

        Raises
        ------
        GeometryError
            If the goniometer cannot be evaluated there.
        """
        rounded = self.rounded_deg(angles_deg)
        geometry = self._known.get(rounded)
        if geometry is None:
            geometry = self._known[rounded] = self._make(rounded)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(rounded)
        return geometry

    @staticmethod
    def rounded_deg(angles_deg: tuple[float, ...]) -> tuple[float, ...]:
        """Return angles rounded to `STEP_DEG`."""
        return tuple(round(round(angle / STEP_DEG) * STEP_DEG, 6) for angle in angles_deg)

    def _make(self, angles_deg: tuple[float, ...]) -> DetectorGeometry:
        stated = ", ".join(f"{axis.field} {angle:g} deg" for axis, angle in zip(self._axes, angles_deg, strict=True))
        origin = f"{self._origin} with the arm at {stated}"
        if self._goniometer is not None:
            return replace(_from_goniometer(self._base, self._goniometer, angles_deg, origin), warnings=())
        turned = np.eye(3)
        for axis, angle in zip(self._axes, angles_deg, strict=True):
            turned = turned @ rotation(axis.rotates, angle)
        base = self._base
        placed = turned @ (
            rotation("rot3", base.rot3_deg) @ rotation("rot2", base.rot2_deg) @ rotation("rot1", base.rot1_deg)
        )
        rot1_deg, rot2_deg, rot3_deg = rotations_deg(placed)
        return replace(base, rot1_deg=rot1_deg, rot2_deg=rot2_deg, rot3_deg=rot3_deg, origin=origin, warnings=())


def rotation(about: str, angle_deg: float) -> Matrix:
    """Return the matrix of one of pyFAI's rotations, shape (3, 3).

    Axes are pyFAI's: 1 along the detector's slow axis (up), 2 along its fast axis, 3 along the beam; positive rot1 and
    rot2 turn against the right hand about axes 1 and 2, positive rot3 with it about axis 3 (pyFAI, "geometry").

    Parameters
    ----------
    about
        ``rot1``, ``rot2`` or ``rot3``.
    angle_deg
        The angle.
    """
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array(
        {
            "rot1": [[1, 0, 0], [0, c, s], [0, -s, c]],
            "rot2": [[c, 0, -s], [0, 1, 0], [s, 0, c]],
            "rot3": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[about],
        dtype=np.float64,
    )


def rotations_deg(matrix: Matrix) -> tuple[float, float, float]:
    """Return (rot1, rot2, rot3) in deg whose product rot3 rot2 rot1 is a rotation matrix, shape (3, 3)."""
    # last row of the product: (sin rot2, -cos rot2 sin rot1, cos rot2 cos rot1); first column: cos rot2 (cos, sin) rot3
    rot2 = math.asin(max(-1.0, min(1.0, float(matrix[2, 0]))))
    rot1 = math.atan2(-float(matrix[2, 1]), float(matrix[2, 2]))
    rot3 = math.atan2(float(matrix[1, 0]), float(matrix[0, 0]))
    return math.degrees(rot1), math.degrees(rot2), math.degrees(rot3)


def _load(path: Path) -> Goniometer:
    if not path.is_file():
        raise GeometryError("the goniometer file does not exist", where=str(path), remedy="correct the path")
    try:
        return Goniometer.sload(str(path))
    except Exception as error:
        # pyFAI raises whatever its parser stumbles over; each means the same to the reader.
        raise GeometryError(
            f"not a goniometer file that pyFAI can read ({type(error).__name__}: {str(error)[:160]})",
            where=str(path),
            remedy="save the refined goniometer again with pyFAI",
        ) from error


def _from_goniometer(
    like: Profile | DetectorGeometry, goniometer: Goniometer, angles_deg: tuple[float, ...], origin: str
) -> DetectorGeometry:
    try:
        placed = goniometer.get_ai(angles_deg)
        values = [float(value) for value in (placed.dist, placed.poni1, placed.poni2)]
        turns = [float(value) for value in (placed.rot1, placed.rot2, placed.rot3)]
        shape = (int(placed.detector.shape[0]), int(placed.detector.shape[1]))
        orientation = int(placed.detector.orientation)
        wavelength = float(placed.wavelength) * 1e10 if placed.wavelength else None
    except Exception as error:
        raise GeometryError(
            f"the goniometer gives no geometry at {angles_deg} deg ({type(error).__name__}: {str(error)[:160]})",
            where=origin,
        ) from error
    if isinstance(like, Profile):
        wanted, _ = known_detector(like)
        if shape != wanted:
            raise GeometryError(
                f"is for a detector of {shape} pixels, the profile's {like.detector.model} has {wanted}",
                where=origin,
                remedy="use the goniometer file of this detector, or correct detector.model",
            )
        detector, stated_angstrom = like.detector.model, like.wavelength_angstrom
    else:
        detector, stated_angstrom = like.detector, like.wavelength_angstrom
    return DetectorGeometry(
        detector=detector,
        orientation=orientation or 3,
        shape=shape,
        distance_mm=values[0] * 1e3,
        poni1_mm=values[1] * 1e3,
        poni2_mm=values[2] * 1e3,
        rot1_deg=math.degrees(turns[0]),
        rot2_deg=math.degrees(turns[1]),
        rot3_deg=math.degrees(turns[2]),
        wavelength_angstrom=wavelength or stated_angstrom,
        origin=origin,
    )
