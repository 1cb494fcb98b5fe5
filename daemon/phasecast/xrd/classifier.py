"""The model of a profile: does it fit, and what does it say."""

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import BundleMismatchError
from phasecast.core.result import ModelStamp, PhaseClass
from phasecast.profiles import PatternAxis, Profile
from phasecast.xrd.patterns import AxisPatterns
from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle

_ENERGY_TOLERANCE = 2e-3
"""Relative; 0.2 % of the energy moves the line at 40 deg by 0.08 deg, close to a bin."""


class Classifier:
    """A bundle that was checked against the profile it is used with.

    Parameters
    ----------
    bundle
        The model.
    profile
        The instrument.

    Raises
    ------
    BundleMismatchError
        If the model was made for another energy, another range, or other classes than the profile's.
    """

    def __init__(self, bundle: Bundle, profile: Profile) -> None:
        self.bundle = bundle
        where = f"bundle {bundle.name} {bundle.version} with profile {profile.name}"
        axis = bundle.axis
        if abs(axis.energy_kev / profile.energy_kev - 1) > _ENERGY_TOLERANCE:
            raise BundleMismatchError(
                f"the model was trained at {axis.energy_kev:g} keV, the profile is at {profile.energy_kev:g} keV",
                where=where,
                remedy="choose a bundle for this energy with --model, or leave default_bundle out of the profile",
            )
        if axis.tth_min_deg < profile.axis.tth_min_deg or axis.tth_max_deg > profile.axis.tth_max_deg:
            raise BundleMismatchError(
                f"the model needs {axis.tth_min_deg:g}-{axis.tth_max_deg:g} deg, the profile keeps "
                f"{profile.axis.tth_min_deg:g}-{profile.axis.tth_max_deg:g} deg",
                where=where,
                remedy="widen [axis] in the profile or choose a bundle for this range",
            )
        ids = tuple(phase.id for phase in profile.classes)
        if ids != bundle.classes:
            raise BundleMismatchError(
                f"the model's classes are {', '.join(bundle.classes)}; the profile's are {', '.join(ids)}",
                where=where,
                remedy="give the profile the classes of the bundle, in its order",
            )
        self.axis = PatternAxis(tth_min_deg=axis.tth_min_deg, tth_max_deg=axis.tth_max_deg, bins=axis.bins)
        self.classes = tuple(
            PhaseClass(
                id=phase.id,
                name_en=phase.name_en,
                name_ja=phase.name_ja,
                formula=phase.formula,
                colour=phase.colour,
                reference_lines=tuple(bundle.reference_lines.get(phase.id, ())),
                role=phase.role,
            )
            for phase in profile.classes
        )

    @classmethod
    def from_profile(cls, profile: Profile, bundle: str | None = None) -> "Classifier | None":
        """Load the bundle that is named, or the profile's own; None if neither names one.

        Raises
        ------
        BundleMismatchError
            If the bundle cannot be read or does not fit.
        """
        name = bundle or profile.default_bundle
        if name is None:
            return None
        try:
            loaded = load_bundle(name)
        except BundleError as error:
            raise BundleMismatchError(str(error), where=f"profile {profile.name}") from error
        return cls(loaded, profile)

    @property
    def stamp(self) -> ModelStamp:
        """Identity of the model, for files and pages."""
        return ModelStamp(
            name=self.bundle.name,
            version=self.bundle.version,
            sha256=self.bundle.sha256,
            calibrated_on=str(self.bundle.card.get("calibrated_on", "unknown")),
        )

    def confidences(self, patterns: AxisPatterns) -> NDArray[np.float32]:
        """Return calibrated confidences, shape (n, classes), of patterns on the model's own axis.

        Bins that no usable pixel reached count as not measured.
        """
        measured = patterns.norm > 0
        intensity = np.where(measured, patterns.intensity, np.nan)
        sigma = np.where(measured, patterns.sigma, np.nan)
        return self.bundle.confidences(intensity, patterns.tth_deg, sigma=sigma)
