"""What a model is asked: which classes, from which crystals, on which axis, behind which detector.

A task is all that simulation, training and bundle need to know of an instrument and its samples. Another window,
another wavelength, another list of phases is another task; no code changes.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast_models.xrd.absorption import FE_K_ALPHA_KEV, FE_K_EDGE_KEV
from phasecast_models.xrd.axis import BL16XU_AXIS, CLASSES, PatternAxis
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM, Structure, load_structures, powder_lines

ClassKind = Literal["lines", "resin", "bare_iron", "other"]
HostGroup = Literal["oxide", "metal"]

HUMP_ENERGY_KEV = 10.0
"""Energy at which the simulation notes the angles of broad humps."""


class TaskError(ValueError):
    """A task that no model can be trained for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClass:
    """One class and how it is simulated.

    ``kind`` says what gives it away: the lines of any of ``structures``, the halo of resin, fluorescence of iron
    without lines, or lines that belong to no class. ``host`` is where a class with lines is found: among oxides and
    other minerals, several at once, or in the metal. ``share`` is how often it is drawn beside the others of its host,
    ``grains`` the median number of grains in the beam, ``size_nm`` their median size, and ``cell_spread`` how far
    solid solution changes the cell either way, as a share.
    """

    id: str
    kind: ClassKind = "lines"
    structures: tuple[Structure, ...] = ()
    host: HostGroup = "oxide"
    share: float = 1.0
    grains: float = 30.0
    size_nm: float = 25.0
    cell_spread: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RingCoverage:
    """A detector seen from the sample, for the part of each ring that it catches.

    ``centre_deg`` is the scattering angle at its middle, None for one that follows the angle, such as that of a powder
    diffractometer; ``half_height_mm`` its half extent across the plane of scattering.
    """

    distance_mm: float
    half_height_mm: float
    centre_deg: float | None

    def fraction(self, tth_deg: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fraction of a ring that is caught, the shape of ``tth_deg``."""
        angle = np.radians(tth_deg)
        away = 0.0 if self.centre_deg is None else np.clip(angle - np.radians(self.centre_deg), -1.4, 1.4)
        radius_mm = self.distance_mm / np.cos(away) * np.sin(angle)
        return np.asarray(2 * np.arctan(self.half_height_mm / radius_mm) / (2 * np.pi))


BL16XU_COVERAGE = RingCoverage(distance_mm=153.0, half_height_mm=16.77, centre_deg=25.0)
"""A PILATUS 100K at 153 mm, centred at 25 deg: 0.17 of a ring at 10 deg, 0.05 at 40 deg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Axis, classes in the order of every label and confidence array, and what else may turn up.

    ``others`` are crystals without a class of their own, which count for the class of kind "other" where there is one;
    ``made_up`` is the number of minerals that do not exist beside them. ``threshold_kev`` is the detector's energy
    threshold, None if unknown; ``reflection`` says that the sample is thick and met on its surface, so that
    absorption is the same at all angles and nothing is transmitted.

    Raises
    ------
    TaskError
        If ids repeat, a class with lines has no structure, two classes are of the same other kind, or the structures
        of a class have no line on the axis.
    """

    axis: PatternAxis
    classes: tuple[TaskClass, ...]
    others: tuple[Structure, ...] = ()
    made_up: int = 4000
    coverage: RingCoverage = BL16XU_COVERAGE
    threshold_kev: float | None = None
    reflection: bool = False

    def __post_init__(self) -> None:
        if not self.classes:
            raise TaskError("a task needs at least one class")
        twice = sorted(name for name, count in Counter(self.ids).items() if count > 1)
        if twice:
            raise TaskError(f"class ids must differ; used twice: {', '.join(twice)}")
        for kind in ("resin", "bare_iron", "other"):
            same = [item.id for item in self.classes if item.kind == kind]
            if len(same) > 1:
                raise TaskError(f"only one class may be of kind {kind}: {', '.join(same)}")
        for item in self.classes:
            if (item.kind == "lines") != bool(item.structures):
                needs = "needs at least one structure" if item.kind == "lines" else "takes no structures"
                raise TaskError(f"class {item.id!r} of kind {item.kind} {needs}")
            for structure in item.structures:
                if not len(powder_lines(structure, self.axis.energy_kev, *self.window_deg)):
                    raise TaskError(
                        f"class {item.id!r}: structure {structure.id!r} has no line on {self.axis} - "
                        "widen the axis or leave the class out"
                    )

    @property
    def ids(self) -> tuple[str, ...]:
        """Class ids in order."""
        return tuple(item.id for item in self.classes)

    @property
    def window_deg(self) -> tuple[float, float]:
        """Range in which lines can be computed: the axis, without the forward direction."""
        return max(self.axis.tth_min_deg, 1.0), min(self.axis.tth_max_deg, 178.0)

    @property
    def structures(self) -> tuple[tuple[int, Structure], ...]:
        """Every crystal with the column it counts for, -1 for one that counts for none."""
        own = [(column, item) for column, owner in enumerate(self.classes) for item in owner.structures]
        foreign = -1 if (column := self.column_of("other")) is None else column
        return (*own, *((foreign, item) for item in self.others))

    def column_of(self, kind: ClassKind) -> int | None:
        """Return the column of the class of a kind that there is one of, None if the task has none."""
        return next((column for column, item in enumerate(self.classes) if item.kind == kind), None)

    def hosted(self, host: HostGroup) -> tuple[int, ...]:
        """Return the columns of the classes with lines in one host."""
        return tuple(column for column, item in enumerate(self.classes) if item.kind == "lines" and item.host == host)

    @property
    def iron_fluoresces(self) -> bool:
        """Whether iron shows by fluorescence, which needs photons above its edge and a threshold below its line."""
        return self.axis.energy_kev > FE_K_EDGE_KEV and (self.threshold_kev or 0) < FE_K_ALPHA_KEV

    def without(self, *structure_ids: str) -> "Task":
        """Return the same task with some of ``others`` left out, to be held out of training."""
        return replace(self, others=tuple(item for item in self.others if item.id not in structure_ids))


def angle_at_energy(tth_deg: ArrayLike, axis: PatternAxis) -> NDArray[np.float64]:
    """Return where on an axis lies what scatters to ``tth_deg`` at 10 keV (Bragg); 179 deg where out of reach."""
    sine = np.sin(np.radians(np.asarray(tth_deg, np.float64) / 2)) * HUMP_ENERGY_KEV / axis.energy_kev
    return np.asarray(2 * np.degrees(np.arcsin(np.minimum(sine, 0.99996))))


def longest_q_per_angstrom(axis: PatternAxis) -> float:
    """Return the length of the scattering vector at the end of an axis, 4 pi sin(theta) / lambda."""
    return float(4 * np.pi * np.sin(np.radians(axis.tth_max_deg / 2)) * axis.energy_kev / HC_KEV_ANGSTROM)


def _bl16xu_classes() -> tuple[TaskClass, ...]:
    shipped = load_structures()
    traits = {
        "magnetite": TaskClass(id="magnetite"),
        "goethite": TaskClass(id="goethite", size_nm=20.0),
        "lepidocrocite": TaskClass(id="lepidocrocite", size_nm=20.0),
        # Iron in steel is coarse: few grains are in the beam at once.
        "ferrite": TaskClass(id="ferrite", host="metal", share=2.0, grains=2.0, size_nm=45.0),
        # Austenite of real steels spans a = 3.573-3.605 A with carbon, nickel and chromium.
        "austenite": TaskClass(id="austenite", host="metal", grains=2.0, size_nm=45.0, cell_spread=0.005),
        "cementite": TaskClass(id="cementite", host="metal", grains=6.0),
        "resin": TaskClass(id="resin", kind="resin"),
        "peakless_iron": TaskClass(id="peakless_iron", kind="bare_iron"),
        "other": TaskClass(id="other", kind="other"),
    }
    return tuple(
        replace(traits[name], structures=tuple(item for item in shipped.values() if item.phase_class == name))
        if traits[name].kind == "lines"
        else traits[name]
        for name in CLASSES
    )


BL16XU_TASK = Task(
    axis=BL16XU_AXIS,
    classes=_bl16xu_classes(),
    others=tuple(item for item in load_structures().values() if item.phase_class == "other"),
    threshold_kev=5.0,
)
"""The task of the shipped bundle: rust on steel at BL16XU."""
