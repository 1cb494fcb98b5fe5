"""What a model is to be trained for, read from a profile: its classes with their crystals, its axis, its detector."""

import logging
from collections.abc import Callable
from dataclasses import replace

from phasecast.core.errors import ProfileError
from phasecast.profiles import PhaseClass, Profile
from phasecast.profiles.classification import is_cif
from phasecast.xrd.geometry import known_detector
from phasecast_models.xrd.alike import same_lines
from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.crystal_files import structure_from_cif
from phasecast_models.xrd.structures import Structure, StructureError, get_structure, load_structures
from phasecast_models.xrd.task import BL16XU_TASK, ClassKind, RingCoverage, Task, TaskClass, TaskError

logger = logging.getLogger(__name__)

FINEST_BIN_DEG = 0.1
"""Bins of a model are no finer; those of the archive axis are."""

_METAL_GRAINS, _METAL_SIZE_NM = 2.0, 45.0

_WITHOUT_LINES: dict[str, ClassKind] = {"resin": "resin", "bare_iron": "bare_iron", "other": "other"}

Tell = Callable[[str], None]


def task_of_profile(profile: Profile, *, tell: Tell = logger.warning) -> Task:
    """Return the task that a profile describes.

    Every shipped structure without a class of its own counts as "other", unless its lines are those of a class.

    Parameters
    ----------
    profile
        As loaded, with absolute names of CIF files.
    tell
        Called with one line for each doubt about a crystal.

    Raises
    ------
    ProfileError
        If the profile has no classes, a class has no crystal or one that cannot be read, or none of its lines lies on
        the axis.
    GeometryError
        If pyFAI does not know the detector.
    """
    where = f"profile {profile.name}"
    if not profile.classes:
        raise ProfileError("it has no classes", where=where, remedy="add [[classes]]: what a point can be")
    axis = classification_axis(profile)
    classes = tuple(_task_class(item, where, tell) for item in profile.classes)
    own = [(item.id, structure) for item in classes for structure in item.structures]
    for number, (class_id, structure) in enumerate(own):
        for rival_id, rival in own[number + 1 :]:
            if rival_id != class_id and same_lines(structure, rival, axis):
                tell(f"{where}: classes {class_id} and {rival_id} have the same lines on {axis}, none can tell them")
    taken = {structure.id for _, structure in own}
    named = [
        _structure(name, "other", f"{where}: classification.others", tell) for name in profile.classification.others
    ]
    others = []
    for candidate in (*load_structures().values(), *named):
        # The lines of a class must not be taught to be "other" as well.
        twin = next((class_id for class_id, structure in own if same_lines(structure, candidate, axis)), None)
        if candidate.id not in taken and twin is not None:
            tell(f"{where}: {candidate.id} has the lines of class {twin} and does not count as other")
        elif candidate.id not in taken:
            others.append(replace(candidate, phase_class="other"))
    try:
        return Task(
            axis=axis,
            classes=classes,
            others=tuple(others),
            coverage=_coverage(profile),
            threshold_kev=profile.detector.threshold_kev,
            reflection=profile.classification.sample == "reflection",
        )
    except (TaskError, StructureError) as error:
        raise ProfileError(str(error), where=where, remedy="correct [[classes]] or [classification]") from error


def classification_axis(profile: Profile) -> PatternAxis:
    """Return the axis a model of this profile works on: its own, or the archive axis in coarser bins."""
    wanted = profile.classification.axis
    bins = None if wanted is None else wanted.bins
    axis = profile.axis if wanted is None else wanted
    if bins is None:
        bins = min(axis.bins, int((axis.tth_max_deg - axis.tth_min_deg) / FINEST_BIN_DEG + 1e-6))
    return PatternAxis(
        tth_min_deg=axis.tth_min_deg, tth_max_deg=axis.tth_max_deg, bins=max(bins, 1), energy_kev=profile.energy_kev
    )


def _task_class(phase: PhaseClass, where: str, tell: Tell) -> TaskClass:
    shipped = next((item for item in BL16XU_TASK.classes if item.id == phase.id), None)
    place = f"{where}: class {phase.id}"
    kind = phase.kind or _usual_kind(phase, shipped)
    if kind in _WITHOUT_LINES:
        if phase.structures:
            raise ProfileError(
                f"kind {kind} takes no structures",
                where=place,
                remedy="leave them out, or choose kind mineral or metal",
            )
        return TaskClass(id=phase.id, kind=_WITHOUT_LINES[kind])
    if phase.structures:
        structures = tuple(_structure(name, phase.id, place, tell) for name in phase.structures)
    else:
        known = load_structures().values()
        structures = tuple(item for item in known if phase.id in (item.phase_class, item.id))
    if not structures:
        raise ProfileError(
            "no structure is shipped for it", where=place, remedy='name its crystal: structures = ["mine.cif"]'
        )
    if shipped is not None and shipped.kind == "lines" and (shipped.host == "metal") == (kind == "metal"):
        return replace(shipped, structures=structures)
    if kind == "metal":
        return TaskClass(id=phase.id, structures=structures, host="metal", grains=_METAL_GRAINS, size_nm=_METAL_SIZE_NM)
    return TaskClass(id=phase.id, structures=structures)


def _usual_kind(phase: PhaseClass, shipped: TaskClass | None) -> str:
    if shipped is not None and not phase.structures:
        return shipped.kind if shipped.kind != "lines" else {"oxide": "mineral", "metal": "metal"}[shipped.host]
    return "metal" if phase.role == "steel" else "mineral"


def _structure(name: str, class_id: str, where: str, tell: Tell) -> Structure:
    try:
        if not is_cif(name):
            return replace(get_structure(name), phase_class=class_id)
        structure, doubts = structure_from_cif(name, class_id=class_id)
    except StructureError as error:
        raise ProfileError(str(error), where=where, remedy="correct the file or its name in structures") from error
    for doubt in doubts:
        tell(f"{where}: {doubt}")
    return structure


def _coverage(profile: Profile) -> RingCoverage:
    (rows, columns), (row_mm, column_mm) = known_detector(profile)
    across_mm = rows * row_mm if profile.geometry.fast_axis_in_arm_plane else columns * column_mm
    moving = bool(profile.geometry.arm) or (
        profile.geometry.arm_tth_deg is None and profile.geometry.beam_centre_px is None
    )
    return RingCoverage(
        distance_mm=profile.geometry.distance_mm,
        half_height_mm=round(across_mm / 2, 3),
        centre_deg=None if moving else profile.geometry.arm_tth_deg or 0.0,
    )
