"""The part of the preflight that tries geometry, mask and model, and a frame with them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.profiles import Profile
from phasecast.services import preflight_checks as checks
from phasecast.services.preflight_checks import Check, Stated, green, red, unchecked
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.corrections import corrections_from_profile
from phasecast.xrd.geometry import DetectorGeometry, geometry_from_profile
from phasecast.xrd.goniometer import Arm
from phasecast.xrd.integrator import Integrator


@dataclass(slots=True, kw_only=True)
class TrialFrame:
    """A frame to try everything with.

    Parameters
    ----------
    image
        Counts, shape (rows, cols).
    stated
        What its header, or the stream, says of beam and detector; None if nothing.
    bytes
        What the capture keeps of it.
    """

    image: NDArray[np.integer]
    stated: Stated | None
    bytes: int


@dataclass(slots=True, kw_only=True)
class Instrument:
    """What could be built of the instrument.

    Parameters
    ----------
    integrator, classifier
        None where they cannot be built, or are not asked for.
    found
        The checks of geometry and bundle.
    """

    integrator: Integrator | None = None
    classifier: Classifier | None = None
    found: list[Check] = field(default_factory=list)


def build_instrument(
    profile: Profile, *, poni: Path | None, model: str | None, max_geometry_age_h: float
) -> Instrument:
    """Build geometry, mask and model one by one, so that each names its own fault.

    Parameters
    ----------
    profile
        The instrument.
    poni, model
        Geometry and bundle that win over the profile's.
    max_geometry_age_h
        Oldest calibration that is believed, h.
    """
    built = Instrument()
    named = poni or (Path(profile.geometry.poni_file) if profile.geometry.poni_file else None)
    geometry: DetectorGeometry | None = None
    try:
        arm = Arm.from_profile(profile, poni)
        geometry = geometry_from_profile(profile, poni) if arm is None else arm.base
    except PhasecastError as error:
        built.found.append(fault("geometry", error))
    else:
        calibration = named.expanduser() if named is not None else None
        built.found.append(checks.check_geometry_age(calibration, limit_h=max_geometry_age_h))
        built.found += [
            red("geometry", warning, "calibrate again, or correct the nominal values of the profile")
            for warning in geometry.warnings
        ]
    try:
        built.classifier = Classifier.from_profile(profile, model)
    except PhasecastError as error:
        built.found.append(fault("bundle", error))
    else:
        if built.classifier is None:
            built.found.append(unchecked("bundle", "the profile names none: patterns are integrated, not classified"))
    if geometry is None:
        return built
    try:
        corrections_from_profile(profile, geometry.shape)
    except PhasecastError as error:
        built.found.append(fault("mask file", error))
        return built
    classifier = built.classifier
    axes = (classifier.axis,) if classifier is not None else ()
    try:
        built.integrator = Integrator.from_profile(profile, device="cpu", axes=axes, poni=poni)
    except PhasecastError as error:
        built.found.append(fault("geometry", error))
        return built
    if classifier is not None:
        if profile.classification.neighbours and classifier.bundle.neighbours is None:
            built.found.append(_no_second_pass(classifier))
        built.found.append(_bundle(classifier, built.integrator))
    return built


def _bundle(classifier: Classifier, integrator: Integrator) -> Check:
    """Tell whether the detector sees the range that the model was trained on, at its energy."""
    if integrator.arm is not None:
        said = f"{classifier.stamp.name} {classifier.stamp.version}: the arm moves"
        return unchecked("bundle", f"{said}, each frame is classified where it covers the window")
    geometry = integrator.geometry
    seen = integrator.integrate(np.zeros(geometry.shape, np.int32)).axes[1]
    stamp, axis = classifier.stamp, classifier.axis
    said = f"{stamp.name} {stamp.version}"
    (reason,) = classifier.why_not(seen, geometry.wavelength_angstrom)
    if reason:
        remedy = "move the detector back to the window of the bundle, or choose another with --model"
        return red("bundle", f"{said}: {reason}", remedy)
    return green("bundle", f"{said} fits energy, classes and window ({axis.tth_min_deg:g}-{axis.tth_max_deg:g} deg)")


def _no_second_pass(classifier: Classifier) -> Check:
    stamp = classifier.stamp
    return red(
        "neighbours",
        f"the profile asks for neighbours, {stamp.name} {stamp.version} scores each point by itself",
        "run python -m phasecast_models.xrd.fit_spatial on the bundle, or leave classification.neighbours out",
    )


def check_frame(frame: TrialFrame, instrument: Instrument, profile: Profile, so_far: Check) -> Check:
    """Tell whether a frame is one of this detector and holds counts; `so_far` says how it was come by."""
    if instrument.integrator is None:
        return so_far
    shape = instrument.integrator.geometry.shape
    if frame.image.shape != shape:
        return red(
            so_far.name,
            f"{so_far.what}; {profile.detector.model} has {shape[0]} x {shape[1]}",
            "correct detector.model in the profile, or the detector's region of interest",
        )
    if frame.image.max() <= 0:
        return red(so_far.name, f"{so_far.what}; no pixel holds a count", "open the shutter and take another")
    return so_far


def check_mask(frame: TrialFrame | None, instrument: Instrument, profile: Profile) -> list[Check]:
    """Count the pixels of a frame that cannot be used."""
    integrator = instrument.integrator
    if frame is None or integrator is None or frame.image.shape != integrator.geometry.shape:
        return [unchecked("mask", "needs a frame of the detector")]
    mask = corrections_from_profile(profile, integrator.geometry.shape).mask
    masked = np.zeros(frame.image.shape, bool) if mask is None else mask.copy()
    saturated = (frame.image >= profile.detector.count_limit) & ~masked
    masked |= frame.image < 0
    return [
        checks.check_pixels(
            masked=int(masked.sum()),
            saturated=int(saturated.sum()),
            pixels=masked.size,
            mask_file=profile.detector.mask_file,
        )
    ]


def fault(name: str, error: PhasecastError) -> Check:
    """Return the red check of something that refused by itself."""
    line = f"{error.where}: {error.what}" if error.where else error.what
    return red(name, line, error.remedy or "correct it")
