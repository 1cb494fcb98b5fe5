"""Frames in, patterns out: matrices from pyFAI, applied by compiled loops on the CPU and by torch on CUDA."""

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import GeometryError
from phasecast.profiles import PatternAxis, Profile
from phasecast.xrd.corrections import PixelCorrections, corrections_from_profile
from phasecast.xrd.device import ChosenDevice, DeviceChoice, choose_device
from phasecast.xrd.engine import CpuEngine, Engine
from phasecast.xrd.geometry import DetectorGeometry, geometry_from_profile
from phasecast.xrd.goniometer import Arm
from phasecast.xrd.matrix import build_matrix
from phasecast.xrd.patterns import Patterns
from phasecast.xrd.rebinning import Rebinning, rebinning_of
from phasecast.xrd.screening import as_stack
from phasecast.xrd.torch_engine import TorchEngine

logger = logging.getLogger(__name__)

KEPT_GEOMETRIES = 8
"""Matrices kept in memory, about 8 MB each for a PILATUS 100k."""


class Integrator:
    """Integrates frames azimuthally as pyFAI's ``integrate1d`` does, intensity and Poisson sigma.

    It reuses its work space: one integrator belongs to one thread.

    Parameters
    ----------
    profile
        The instrument.
    geometry
        Geometry of frames that come without one.
    axes
        Axes to integrate on, first the archive axis.
    chosen
        The device.
    measure_spots
        Whether to compute spottiness.
    pixels
        Mask, flat and dark.
    arm
        The detector's arm, if it moves; then the geometry above holds for no frame by itself.
    """

    def __init__(
        self,
        *,
        profile: Profile,
        geometry: DetectorGeometry,
        axes: Sequence[PatternAxis],
        chosen: ChosenDevice,
        pixels: PixelCorrections,
        measure_spots: bool = True,
        arm: Arm | None = None,
    ) -> None:
        self._profile = profile
        self._geometry = geometry
        self._axes = tuple(axes)
        self._chosen = chosen
        self._pixels = pixels
        self._measure_spots = measure_spots
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._default_id = self._identify(geometry)
        self._arm = arm
        if arm is None:
            self._engine(geometry)

    @classmethod
    def from_profile(
        cls,
        profile: Profile,
        *,
        device: DeviceChoice = "auto",
        axes: Sequence[PatternAxis] = (),
        poni: str | Path | None = None,
        measure_spots: bool = True,
    ) -> Self:
        """Return an integrator for an instrument, its matrices already built.

        Parameters
        ----------
        profile
            The instrument; its axis is the archive axis.
        device
            ``auto`` takes CUDA if it works and else the CPU; ``device_note`` says which and why.
        axes
            Further axes that come out of the same pass, such as a model bundle's.
        poni
            Calibration that wins over the one the profile names; a goniometer file (.json) where the arm moves.
        measure_spots
            Whether to compute spottiness, about a quarter of the time of a frame.

        Raises
        ------
        GeometryError
            If there is no usable geometry.
        ProfileError
            If a mask, flat or dark file is missing or does not fit.
        """
        arm = Arm.from_profile(profile, poni)
        geometry = geometry_from_profile(profile, poni) if arm is None else arm.base
        return cls(
            profile=profile,
            geometry=geometry,
            axes=(profile.axis, *axes),
            chosen=choose_device(device),
            pixels=corrections_from_profile(profile, geometry.shape),
            measure_spots=measure_spots,
            arm=arm,
        )

    def twin(self) -> Self:
        """Return an integrator with the same results and a work space of its own, for another thread.

        The matrices that are in memory are shared.
        """
        other = copy(self)
        other._engines = OrderedDict((key, engine.twin()) for key, engine in self._engines.items())
        return other

    @property
    def arm(self) -> Arm | None:
        """The detector's arm; None if it stands still."""
        return self._arm

    @property
    def kept_geometries(self) -> int:
        """Geometries whose matrices are in memory, at most `KEPT_GEOMETRIES`."""
        return len(self._engines)

    @property
    def device(self) -> str:
        """Device that multiplies: ``cpu`` or ``cuda``."""
        return self._chosen.device.type

    @property
    def device_note(self) -> str:
        """Why that device."""
        return self._chosen.note

    @property
    def geometry(self) -> DetectorGeometry:
        """Geometry of frames that come without one."""
        return self._geometry

    @property
    def axes(self) -> tuple[PatternAxis, ...]:
        """Axes of the results, first the archive axis."""
        return self._axes

    @property
    def polarisation_factor(self) -> float | None:
        """Polarisation factor in pyFAI's sense; None for no correction."""
        return self._profile.image_polarisation_factor

    @property
    def geometry_id(self) -> str:
        """Hash of everything that shapes the matrices of the default geometry."""
        return self._default_id

    def check(self, frames: NDArray[np.integer]) -> None:
        """Raise `FrameError` if frames are not what `integrate` takes, without integrating them."""
        as_stack(frames, self._geometry.shape)

    def integrate(
        self, frames: NDArray[np.integer], *, geometry: DetectorGeometry | str | Path | None = None
    ) -> Patterns:
        """Integrate one frame or a stack of them.

        On the CPU each frame is a product of its own, so that results do not depend on the size of the stack.

        Parameters
        ----------
        frames
            Integer counts, shape (rows, cols) or (n, rows, cols).
        geometry
            Where the detector was, or a .poni file that says it; default is the profile's, if its arm stands still.

        Raises
        ------
        FrameError
            If shape or dtype are not the detector's.
        GeometryError
            If the geometry cannot be used.
        """
        if geometry is None:
            if self._arm is not None:
                raise GeometryError(
                    "the arm moves, and nothing says where it was for these frames",
                    where=f"profile {self._profile.name}: geometry.arm",
                    remedy="give the geometry of the frames: integrator.arm.geometry_at(angles)",
                )
            geometry = self._geometry
        elif not isinstance(geometry, DetectorGeometry):
            geometry = geometry_from_profile(self._profile, geometry)
        return self._engine(geometry).integrate(as_stack(frames, geometry.shape))

    def rebinning(self, axis: PatternAxis, *, geometry: DetectorGeometry | None = None) -> Rebinning:
        """Return the way from stored patterns of a geometry to one of the further axes; default is the profile's.

        Raises
        ------
        BundleMismatchError
            If that axis is not made of whole bins of the archive axis.
        GeometryError
            If the geometry cannot be used.
        """
        return rebinning_of(self._engine(geometry or self._geometry).matrix, axis)

    def _identify(self, geometry: DetectorGeometry) -> str:
        content = {
            "geometry": geometry.geometry_id,
            "corrections": self._profile.corrections.model_dump(exclude={"empty_frame"}),
            "polarisation": self._profile.image_polarisation_factor,
            "pixels": self._pixels.digest,
            "axes": [axis.model_dump() for axis in self._axes],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _engine(self, geometry: DetectorGeometry) -> Engine:
        key = self._default_id if geometry is self._geometry else self._identify(geometry)
        if key in self._engines:
            self._engines.move_to_end(key)
            return self._engines[key]
        logger.info("building matrices for %s (%s)", geometry.origin, key[:12])
        matrix = build_matrix(
            geometry_id=key,
            pyfai=geometry.pyfai(),
            corrections=self._profile.corrections,
            polarisation_factor=self._profile.image_polarisation_factor,
            pixels=self._pixels,
            axes=self._axes,
        )
        count_limit, device = self._profile.detector.count_limit, self._chosen.device
        engine: Engine
        if device.type == "cpu":
            engine = CpuEngine(matrix, count_limit=count_limit, measure_spots=self._measure_spots)
        else:
            engine = TorchEngine(matrix, count_limit=count_limit, measure_spots=self._measure_spots, device=device)
        self._engines[key] = engine
        while len(self._engines) > KEPT_GEOMETRIES:
            self._engines.popitem(last=False)
        return engine
