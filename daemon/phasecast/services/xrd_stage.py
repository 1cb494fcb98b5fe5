"""Integrator and classifier of a profile, joined to the stage that live work and single files share."""

from pathlib import Path
from typing import cast

from phasecast.core.errors import PhasecastError
from phasecast.profiles import Profile
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.device import DeviceChoice
from phasecast.xrd.integrator import Integrator
from phasecast.xrd.stages import XrdStage


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
        If device, geometry or bundle cannot be used.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise PhasecastError(f"unknown device {device!r}", where="--device", remedy="choose auto, cpu or cuda")
    classifier = Classifier.from_profile(profile, model) if classify else None
    axes = (classifier.axis,) if classifier is not None else ()
    integrator = Integrator.from_profile(profile, device=cast(DeviceChoice, device), axes=axes, poni=poni)
    return XrdStage(integrator, classifier)
