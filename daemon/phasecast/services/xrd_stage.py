"""Integrator and classifier of a profile, joined to the stage that live work and single files share."""

import logging
from pathlib import Path
from typing import cast

from phasecast.core.errors import PhasecastError
from phasecast.profiles import Profile
from phasecast.xrd.classifier import Classifier, OutsideModelError
from phasecast.xrd.device import DeviceChoice
from phasecast.xrd.integrator import Integrator
from phasecast.xrd.stages import XrdStage

logger = logging.getLogger(__name__)


def build_stage(
    profile: Profile, *, model: str | None = None, device: str = "auto", poni: Path | None = None, classify: bool = True
) -> XrdStage:
    """Return the stage of a profile.

    Parameters
    ----------
    profile
        The instrument.
    model
        Bundle; the profile's own if None.
    device
        ``auto``, ``cpu`` or ``cuda``.
    poni
        Geometry that wins over the profile's.
    classify
        Whether a model is wanted at all.

    Raises
    ------
    PhasecastError
        If device, geometry or bundle cannot be used. A model for another energy or range is no error: without it
        points are integrated, and each says why it is not classified.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise PhasecastError(f"unknown device {device!r}", where="--device", remedy="choose auto, cpu or cuda")
    classifier, why_unclassified = None, ""
    if classify:
        try:
            classifier = Classifier.from_profile(profile, model)
        except OutsideModelError as error:
            # patterns are worth having without it, and every point says that none of them was classified
            why_unclassified = error.what
            logger.warning("%s; points are integrated and not classified", error)
    axes = (classifier.axis,) if classifier is not None else ()
    integrator = Integrator.from_profile(profile, device=cast(DeviceChoice, device), axes=axes, poni=poni)
    return XrdStage(integrator, classifier, why_unclassified=why_unclassified)
