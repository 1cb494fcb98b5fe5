"""The model of a profile: does it fit, and what does it say."""

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import BundleMismatchError
from phasecast.core.result import ModelStamp, PhaseClass
from phasecast.profiles import PatternAxis, Profile
from phasecast.profiles.schema import HC_KEV_ANGSTROM
from phasecast.xrd.patterns import AxisPatterns
from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle

LONGEST_GAP_DEG = 0.5
"""Range of 2theta without a measured bin up to which the model is asked. It bridges what is not measured by a straight
line, and half a degree holds no line with its background on both sides."""
_ENERGY_TOLERANCE = 2e-3
"""Relative; 0.2 % of the energy moves the line at 40 deg by 0.08 deg, close to a bin."""


class OutsideModelError(BundleMismatchError):
    """A model bundle for another energy, 2theta range or threshold: patterns can be had, confidences cannot."""


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
    OutsideModelError
        If the model was made for another energy, another range or another threshold of the detector.
    BundleMismatchError
        If it was made for other classes than the profile's.
    """

    def __init__(self, bundle: Bundle, profile: Profile) -> None:
        self.bundle = bundle
        where = f"bundle {bundle.name} {bundle.version} with profile {profile.name}"
        axis = bundle.axis
        if abs(axis.energy_kev / profile.energy_kev - 1) > _ENERGY_TOLERANCE:
            raise OutsideModelError(
                f"the model was trained at {axis.energy_kev:g} keV, the profile is at {profile.energy_kev:g} keV",
                where=where,
                remedy="choose a bundle for this energy with --model, or leave default_bundle out of the profile",
            )
        if axis.tth_min_deg < profile.axis.tth_min_deg or axis.tth_max_deg > profile.axis.tth_max_deg:
            raise OutsideModelError(
                f"the model needs {axis.tth_min_deg:g}-{axis.tth_max_deg:g} deg, the profile keeps "
                f"{profile.axis.tth_min_deg:g}-{profile.axis.tth_max_deg:g} deg",
                where=where,
                remedy="widen [axis] in the profile or choose a bundle for this range",
            )
        threshold_kev = profile.detector.threshold_kev
        if not bundle.valid.takes_threshold(threshold_kev):
            low_kev, high_kev = bundle.valid.threshold_kev or (0.0, float("inf"))
            raise OutsideModelError(
                f"the model is valid for detector thresholds of {low_kev:g}-{high_kev:g} keV, the profile states "
                f"{threshold_kev:g} keV: fluorescence and noise reach the pattern otherwise",
                where=where,
                remedy="set the detector's threshold and detector.threshold_kev, or choose a bundle for this one",
            )
        ids = tuple(phase.id for phase in profile.classes)
        if ids != bundle.classes:
            raise BundleMismatchError(
                f"the model's classes are {', '.join(bundle.classes)}; the profile's are {', '.join(ids)}",
                where=where,
                remedy="give the profile the classes of the bundle, in its order",
            )
        self.axis_energy_kev = axis.energy_kev
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
        owner = str(loaded.card.get("owner", ""))
        if bundle is None and owner:
            raise BundleMismatchError(
                f"the bundle was trained on the labels of {owner}, so it is nobody's default",
                where=f"profile {profile.name}: default_bundle",
                remedy="name it with --model if it shall be used",
            )
        return cls(loaded, profile)

    @property
    def stamp(self) -> ModelStamp:
        """Identity of the model, for files and pages."""
        return ModelStamp(
            name=self.bundle.name,
            version=self.bundle.version,
            sha256=self.bundle.sha256,
            calibrated_on=str(self.bundle.card.get("calibrated_on", "unknown")),
            owner=str(self.bundle.card.get("owner", "")),
        )

    def why_not(self, patterns: AxisPatterns, wavelength_angstrom: float) -> list[str]:
        """Return for each of n patterns why the model must not be asked; empty text where it may be.

        Parameters
        ----------
        patterns
            On the model's own axis.
        wavelength_angstrom
            Of the geometry that they were integrated with.
        """
        energy_kev = HC_KEV_ANGSTROM / wavelength_angstrom
        if abs(self.axis_energy_kev / energy_kev - 1) > _ENERGY_TOLERANCE:
            reason = f"measured at {energy_kev:.4g} keV, the model is for {self.axis_energy_kev:g} keV"
            return [reason] * len(patterns.norm)
        measured = patterns.norm > 0
        reasons = [""] * len(measured)
        for row in np.flatnonzero(~measured.all(axis=1)):
            begin, end = _longest_run(~measured[row])
            step_deg = self.axis.step_deg
            if (end - begin) * step_deg > LONGEST_GAP_DEG + 1e-9:
                low_deg = self.axis.tth_min_deg + begin * step_deg
                reasons[row] = (
                    f"no pixel at {low_deg:.4g}-{low_deg + (end - begin) * step_deg:.4g} deg, which the model needs"
                )
        return reasons

    def confidences(self, patterns: AxisPatterns) -> NDArray[np.float32]:
        """Return calibrated confidences, shape (n, classes), of patterns on the model's own axis.

        Bins that no usable pixel reached count as not measured. Rows without any count are NaN.
        """
        intensity, sigma = _measured(patterns)
        return self.bundle.confidences(intensity, patterns.tth_deg, sigma=sigma)

    def judge(self, patterns: AxisPatterns) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return `confidences` of patterns, and how unlike the simulation they are, shape (n,); see `Bundle.drift`.

        The latter is NaN where the model cannot tell.
        """
        intensity, sigma = _measured(patterns)
        return self.bundle.judge(intensity, patterns.tth_deg, sigma=sigma)


def _measured(patterns: AxisPatterns) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Intensity and sigma, NaN where no usable pixel reached a bin."""
    known = patterns.norm > 0
    return np.where(known, patterns.intensity, np.nan), np.where(known, patterns.sigma, np.nan)


def _longest_run(wanted: NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest run of true values begins and ends, shape of wanted (bins,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - begins))
    return int(begins[longest]), int(ends[longest])
