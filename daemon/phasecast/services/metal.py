"""Where a scan measures the transmission: what it says of iron that shows no peaks."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import SHARE_AXIS
from phasecast.core.result import ColumnSpec, PhaseClass, ResultHeader
from phasecast.core.words import words
from phasecast.pipeline.scores import MetalRule
from phasecast.profiles import Profile
from phasecast.records.samples import sample_at_start
from phasecast.services.monitors import beam_rules
from phasecast_models.xrd.absorption import FE_K_EDGE_KEV
from phasecast_models.xrd.transmission import METAL_CLASSES, metal_share, seen_metal, settled, unsettled

if TYPE_CHECKING:
    from phasecast.xrd.classifier import Classifier

PEAKLESS_IRON = "peakless_iron"
_COLUMN = "metal_share"


def needs_transmission(profile: Profile) -> bool:
    """Tell whether transmission has a say in the confidences of an instrument."""
    rules = beam_rules(profile)
    measured = bool(rules.transmission or rules.computes_transmission)
    has_class = any(phase.id == PEAKLESS_IRON for phase in profile.classes)
    return measured and has_class and profile.energy_kev > FE_K_EDGE_KEV


def metal_columns(profile: Profile, classifier: "Classifier | None") -> tuple[ColumnSpec, ...]:
    """Return the column that says what peak-less iron was settled with; none where nothing settles it."""
    if classifier is None or not needs_transmission(profile):
        return ()
    what = "odds of metal by the transmission, as a share; peakless_iron was settled with it. 0.5 where T is unknown"
    return (ColumnSpec(name=_COLUMN, dtype="<f4", axis=SHARE_AXIS, description=what),)


def named_classes(profile: Profile, classes: tuple[PhaseClass, ...]) -> tuple[PhaseClass, ...]:
    """Return the classes of a result; iron without lines is called what it may be where no transmission is measured."""
    if needs_transmission(profile):
        return classes
    english, japanese = (words(language)("common.iron_bearing") for language in ("en", "ja"))
    return tuple(
        replace(phase, name_en=english, name_ja=japanese) if phase.id == PEAKLESS_IRON else phase for phase in classes
    )


def metal_rule(profile: Profile, header: ResultHeader) -> MetalRule | None:
    """Return what transmission does to the confidences of a result; None where it does nothing.

    Parameters
    ----------
    profile
        The instrument.
    header
        Of the result: its columns, its classes, and the thickness that the sample form states.
    """
    column = next((k for k, phase in enumerate(header.classes) if phase.id == PEAKLESS_IRON), None)
    if column is None or all(one.axis != SHARE_AXIS for one in header.columns):
        return None
    thickness_um = _stated_thickness_um(header) or profile.classification.thickness_um
    energy_kev = profile.energy_kev

    def share(transmission: NDArray[np.float64]) -> NDArray[np.float64]:
        return metal_share(transmission, thickness_um=thickness_um, energy_kev=energy_kev)

    metals = [k for k, phase in enumerate(header.classes) if phase.id in METAL_CLASSES]

    def settle(confidences: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.floating]:
        return settled(confidences[:, column], shares, seen_metal(confidences[:, metals]))

    def unsettle(confidences: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.floating]:
        return unsettled(confidences[:, column], shares, seen_metal(confidences[:, metals]))

    return MetalRule(column=column, share=share, settle=settle, unsettle=unsettle)


def _stated_thickness_um(header: ResultHeader) -> float | None:
    """Return the thickness of the section as people stated it; None if they did not, or not as a number."""
    text = sample_at_start(header.metadata).fields.get("thickness_um", "")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
