"""What is in the beam at each simulated place: phases and shares, smooth components, how much light passes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast_models.xrd.absorption import (
    amorphous_rust_attenuation_per_um,
    iron_attenuation_per_um,
    resin_attenuation_per_um,
    slab_transmission,
)
from phasecast_models.xrd.backgrounds import BackgroundMix
from phasecast_models.xrd.peaks import LineLibrary, line_library
from phasecast_models.xrd.task import HostGroup, Task

Floats = NDArray[np.float64]
Kinds = NDArray[np.str_]

PLACES = {
    "rust": 0.33,
    "metal": 0.18,
    "resin": 0.13,
    "bare_iron": 0.17,
    "amorphous_rust": 0.06,
    "foreign": 0.22,
    "empty": 0.04,
}
"""Kinds of place in a rust cross-section, and how often each is drawn. ``bare_iron`` is metal none of whose grains
reflects, the normal case where one grain fills the beam; ``amorphous_rust`` fluoresces as it does, ``empty`` is a crack
or a beam that is gone."""

THICKNESS_UM = (5.0, 20.0)
"""Thinnest and thickest section."""

# Minerals without a class that rust often holds are drawn more often than the rest.
_FOREIGN_IN_RUST = {"ferrihydrite": 4.0, "hematite": 3.0, "akaganeite": 3.0, "siderite": 2.0, "wustite": 2.0}
_FAMILIAR_SHARE = 0.4
_FOREIGN_SLOTS = 2
# How much of the volume is not pores or resin, lowest and highest.
_SOLID = {
    "rust": (0.4, 1.0),
    "metal": (0.9, 1.0),
    "resin": (0.0, 0.05),
    "bare_iron": (1.0, 1.0),
    "amorphous_rust": (0.4, 1.0),
    "foreign": (0.3, 1.0),
    "empty": (0.0, 0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is in the beam; n places, each with a number of slots that may hold a phase.

    ``phase`` (n, slots) is a number of the line library, -1 for an empty slot, ``weight`` (n, slots) its share of the
    solid volume before it is scaled to one, ``absorbance`` (n,) mu times thickness of the mixture with its pores, and
    ``metal`` (n,) whether more than half of the solid is metal. ``fluoresces`` (n,) says whether the detector counts
    the fluorescence of iron.
    """

    kind: Kinds
    phase: NDArray[np.int64]
    weight: Floats
    thickness_um: Floats
    absorbance: Floats
    metal: NDArray[np.bool_]
    fluoresces: NDArray[np.bool_]


def place_shares(task: Task) -> dict[str, float]:
    """Return how often each kind of place is drawn for a task, adding up to 1.

    A place of a host that no class lives in is not drawn; one that would be a class of its own, but is none, is drawn
    a third as often, to be told from the classes there are.
    """
    shares = dict(PLACES)
    if not task.hosted("oxide"):
        del shares["rust"]
    if not task.hosted("metal"):
        del shares["metal"]
    if task.column_of("resin") is None:
        shares["resin"] /= 3
    if task.column_of("bare_iron") is None:
        shares["bare_iron"] /= 3
        shares["amorphous_rust"] /= 3
    total = sum(shares.values())
    return {kind: share / total for kind, share in shares.items()}


def draw_places(n: int, task: Task, rng: np.random.Generator) -> Places:
    """Draw n places."""
    shares = place_shares(task)
    kind = rng.choice(list(shares), n, p=list(shares.values()))
    library = line_library(task)
    phase = _phases(kind, task, library, rng)
    weight = np.exp(rng.uniform(np.log(0.06), 0, phase.shape))
    thickness = rng.uniform(*THICKNESS_UM, n)
    absorbance, metal = _absorbance(kind, phase, weight, task, library, rng)
    seen = rng.random(n) < 0.9 if task.iron_fluoresces else np.zeros(n, bool)
    return Places(
        kind=kind,
        phase=phase,
        weight=weight,
        thickness_um=thickness,
        absorbance=absorbance * thickness,
        metal=metal,
        fluoresces=seen,
    )


def measured_transmission(places: Places, task: Task, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the transmission a diode behind the sample would state, (n,); NaN where there is none.

    Noise is 1 to 2 %; one in ten is normalised to another beam, off by 5 %. A third is not measured, nor is anything
    without light or in reflection.
    """
    n = len(places.kind)
    noise = rng.normal(0, 1, n) * rng.uniform(0.01, 0.02, n)
    noise += np.where(rng.random(n) < 0.1, rng.normal(0, 0.05, n), 0)
    stated = slab_transmission(1.0, places.absorbance) * np.maximum(1 + noise, 0.01)
    missing = (rng.random(n) < 1 / 3) | task.reflection
    return np.where(missing, np.nan, stated).astype(np.float32)


def background_mix(places: Places, rng: np.random.Generator) -> BackgroundMix:
    """Draw the share of each smooth component, (n,) each."""
    kind = places.kind
    n = len(kind)
    resin, empty, rust = kind == "resin", kind == "empty", kind == "amorphous_rust"
    iron = (kind == "bare_iron") | rust
    halo = np.where(rng.random(n) < 0.6, rng.uniform(0, 1, n) ** 2, 0)
    halo = np.where(kind == "metal", halo * 0.3, halo)
    halo = np.where(resin, rng.uniform(0.3, 3.0, n), halo)
    halo = np.where(iron, np.where(rng.random(n) < 0.5, rng.uniform(0, 0.12, n), 0), halo)
    fluorescence = rng.uniform(0.1, 1.0, n)
    fluorescence = np.where(resin, rng.uniform(0.0, 1.0, n) ** 3, fluorescence)
    fluorescence = np.where(iron, 1.0, fluorescence)
    # Above a threshold that cuts fluorescence off, thermal and Compton scattering are left.
    fluorescence = np.where(places.fluoresces, fluorescence, fluorescence * np.exp(rng.uniform(-6, -3, n)))
    air = np.where(rng.random(n) < 0.7, rng.uniform(0, 1, n) ** 3, 0)
    air = np.where(iron, air * 0.5, air)
    free_form = np.where(rng.random(n) < 0.4, rng.uniform(0, 1.5, n), 0)
    free_form = np.where(resin | iron, 0, free_form)
    amorphous = np.where(rng.random(n) < np.where(kind == "foreign", 0.45, 0.15), np.exp(rng.uniform(-1.6, 2.5, n)), 0)
    humps = np.where(rust & (rng.random(n) < 0.5), np.exp(rng.uniform(np.log(0.01), 0, n)), 0)
    return BackgroundMix(
        halo=np.where(empty, 0, halo),
        fluorescence=np.where(empty, 0.02, fluorescence),
        air=np.where(empty, 1.0, air),
        free_form=np.where(empty, 0, free_form),
        amorphous=np.where(resin | iron | empty, 0, amorphous),
        ferrihydrite=humps,
    )


def _phases(kind: Kinds, task: Task, library: LineLibrary, rng: np.random.Generator) -> NDArray[np.int64]:
    """Phase number or -1 of every slot, (n, slots): one slot per class with lines, then two for foreign phases."""
    n = len(kind)
    oxides, metals = task.hosted("oxide"), task.hosted("metal")
    rust, metal, foreign = kind == "rust", kind == "metal", kind == "foreign"
    blocks = [np.zeros((n, 0), bool)]
    if oxides:
        count = rng.choice([1, 2, 3], n, p=[0.5, 0.35, 0.15])
        waiting = rng.exponential(1, (n, len(oxides))) / _shares(task, "oxide")
        rank = waiting.argsort(axis=1).argsort(axis=1)
        stray = (foreign & (rng.random(n) < 0.25)) | (metal & (rng.random(n) < 0.15))
        blocks.append(((rank < count[:, None]) & rust[:, None]) | ((rank < 1) & stray[:, None]))
    if metals:
        share = _shares(task, "metal")
        share = share / share.sum()
        beside = rng.random((n, len(metals))) * np.where(foreign, 3.0, 1.0)[:, None] < np.minimum(0.28 * share, 0.15)
        some = rng.random((n, len(metals))) < np.minimum(share, 0.5)
        some[np.arange(n), rng.choice(len(metals), n, p=share)] = True
        blocks.append((beside & (rust | foreign)[:, None]) | (some & metal[:, None]))
    first = foreign | ((rng.random(n) < 0.12) & (rust | metal))
    second = foreign & (rng.random(n) < 0.25)
    present = np.concatenate([*blocks, first[:, None], second[:, None]], axis=1)
    known, made_up = library.foreigners
    often = np.array([_FOREIGN_IN_RUST.get(library.names[index], 1.0) for index in known])
    phase = np.full(present.shape, -1)
    for slot in range(present.shape[1]):
        if slot < len(oxides) + len(metals):
            pick = rng.choice(library.members((*oxides, *metals)[slot]), n)
        elif len(known) and len(made_up):
            familiar = rng.choice(known, n, p=often / often.sum())
            pick = np.where(rng.random(n) < _FAMILIAR_SHARE, familiar, rng.choice(made_up, n))
        elif len(known) or len(made_up):
            pick = rng.choice(np.concatenate([known, made_up]), n)
        else:
            continue
        phase[:, slot] = np.where(present[:, slot], pick, -1)
    return phase


def _shares(task: Task, host: HostGroup) -> Floats:
    return np.array([task.classes[column].share for column in task.hosted(host)])


def _absorbance(
    kind: Kinds,
    phase: NDArray[np.int64],
    weight: Floats,
    task: Task,
    library: LineLibrary,
    rng: np.random.Generator,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Absorption coefficient per um of the mixture, and whether it is mostly metal, (n,) each."""
    energy = task.axis.energy_kev
    filled = phase >= 0
    share = np.where(filled, weight, 0)
    whole = share.sum(axis=1)
    solid_mu = (share * np.where(filled, library.attenuation_per_um[phase], 0)).sum(axis=1) / np.maximum(whole, 1e-9)
    rust_mu, iron_mu = amorphous_rust_attenuation_per_um(energy), iron_attenuation_per_um(energy)
    solid_mu = np.where(whole > 0, solid_mu, rust_mu)
    metal_column = np.isin(np.append(library.columns, -1)[phase], task.hosted("metal"))
    metal_column &= ~np.append(library.foreign, True)[phase]
    bare = kind == "bare_iron"
    solid_mu = np.where(bare, iron_mu, solid_mu)
    metal = bare | ((share * metal_column).sum(axis=1) > 0.5 * np.maximum(whole, 1e-9))
    low, high = (np.array([_SOLID[name][side] for name in kind]) for side in (0, 1))
    solid = low + (high - low) * rng.random(len(kind))
    # Pores are filled with resin but for some; a crack is not.
    pore_mu = np.where((kind == "empty") | (rng.random(len(kind)) < 0.2), 0, resin_attenuation_per_um(energy))
    pore_mu = np.where(kind == "resin", resin_attenuation_per_um(energy), pore_mu)
    return solid * solid_mu + (1 - solid) * pore_mu, metal
