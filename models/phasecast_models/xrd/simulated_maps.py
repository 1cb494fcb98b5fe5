"""Whole maps of a rusted section, for whatever looks at a point together with its neighbours.

Steel inside, as Voronoi grains of which each gives its spot at all its points or at none; on it goethite with
spinel, lepidocrocite outside (Misawa's and Evans' picture of atmospheric rust), resin around; pores, cracks,
patches of rust without order, sand on the outside. Patterns are rendered by the physics of the hidden domain.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.hidden_domain import SEED_OFFSET, TRANSMISSION_NOISE, labels_of, measure, significances
from phasecast_models.xrd.hidden_rendering import (
    COLUMN,
    CRYSTALLINE,
    PHASES,
    Samples,
    Voxels,
    draw_samples,
    ring_share,
    scatter,
)

Floats = NDArray[np.float64]

STEP_X_UM, STEP_Y_UM = 2.0, 1.25
"""Size of the focus, and of a step."""

PRESENT_SHARE = 0.05
"""Volume share from which on a class counts as truly there."""

TRAINING_OFFSET = 8_000_000
"""Added to the seeds of training-side maps."""

_FINE = 3  # sub-points per step and direction, for voxels on a boundary
_SPOT = {"ferrite": (35.62, 12), "austenite": (34.80, 8)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMap:
    """One map, n = rows x columns points in reading order.

    ``intensity`` and ``sigma`` (n, bins); ``transmission`` (n,) with 1.5 % noise; ``labels_visible`` (n, 9) is what an
    analyst sees of a pattern; ``present`` (n, 9) what is there, seen or not (for peak-less iron: metal of which nothing
    crystalline is seen, as in the labels); ``x_um`` and ``y_um`` (n,); ``shape`` (rows, columns).
    """

    intensity: NDArray[np.float32]
    sigma: NDArray[np.float32]
    transmission: Floats
    labels_visible: NDArray[np.float32]
    present: NDArray[np.float32]
    x_um: Floats
    y_um: Floats
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.x_um)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """Ranges that differ between the maps a pass learns from and those it is judged by."""

    grain_um: tuple[float, float]
    spots: tuple[float, float]
    austenite: float
    pearlite: float
    roughness_um: float
    median_counts: tuple[float, float]
    oxide_grains: float


_HIDDEN = _Style(
    grain_um=(5, 20),
    spots=(0.08, 1.0),
    austenite=0.12,
    pearlite=0.28,
    roughness_um=4.0,
    median_counts=(1e4, 1e6),
    oxide_grains=25.0,
)
_TRAINING = _Style(
    grain_um=(3, 14),
    spots=(0.12, 2.0),
    austenite=0.2,
    pearlite=0.4,
    roughness_um=2.5,
    median_counts=(5e3, 3e6),
    oxide_grains=40.0,
)


def simulated_map(rows: int, columns: int, *, seed: int, hidden: bool = True) -> SimulatedMap:
    """Simulate one map; the same arguments give the same bits.

    Parameters
    ----------
    rows, columns
        Points along y (1.25 um apart) and x (2 um apart).
    seed
        Seed of every draw.
    hidden
        False for maps that a pass may learn from: other seeds, and other ranges of grain size, spots, phases,
        exposure, lattice strain, zero, distance, width, resin halo and detector slope.
    """
    style = _HIDDEN if hidden else _TRAINING
    rng = np.random.default_rng([(SEED_OFFSET if hidden else TRAINING_OFFSET) + seed, rows, columns])
    sample = draw_samples(1, rng)
    if not hidden:
        sample = _training_side(sample, rng)
    shape = (rows, columns)
    fine = (rows * _FINE, columns * _FINE)
    y, x = np.indices(fine)
    x_um, y_um = (x + 0.5) * STEP_X_UM / _FINE, (y + 0.5) * STEP_Y_UM / _FINE
    depth = _depth(x_um, y_um, style, rng)
    share, amorphous, resin = _rust(depth, rng)
    steel = depth < 0
    share *= ~steel[..., None]
    met = _steel(share, steel, x_um, y_um, float(sample.thickness_um[0]), style, rng)
    shares = _coarse(share, shape)
    n = rows * columns
    grains = np.full((n, len(PHASES)), style.oxide_grains)
    grains[:, PHASES.index("cementite")] = 5.0
    voxels = Voxels(
        sample=np.zeros(n, np.int64),
        share=shares,
        resin=_coarse((resin * ~steel)[..., None], shape)[:, 0],
        amorphous=_coarse((amorphous * ~steel)[..., None], shape)[:, 0],
        grains=grains * rng.lognormal(0, 0.5, grains.shape),
        met={
            name: _coarse(spots[..., None], shape)[:, 0]
            / np.maximum(shares[:, PHASES.index(name)], 1e-9)
            * rng.lognormal(0, 0.3, n)
            for name, spots in met.items()
        },
    )
    scattering = scatter(voxels, sample, rng)
    sums = (scattering.total * scattering.norm).sum(axis=1)
    # One exposure for the whole map, so that totals follow the composition; the beam wavers by 2 %.
    low, high = np.log(style.median_counts)
    exposure = np.exp(rng.uniform(low, high)) / np.median(sums) * rng.normal(1, 0.02, n).clip(0.5, 1.5)
    significance = significances(scattering, exposure)
    only_resin = (voxels.resin > 0.5) & (shares.sum(axis=1) + voxels.amorphous < 0.01)
    labels = labels_of(significance, scattering.metal, only_resin)
    intensity, sigma = measure(scattering, exposure, np.full(n, sample.split[0]), rng)
    present = np.zeros_like(labels)
    for column, name in enumerate(CRYSTALLINE):
        present[:, CLASSES.index(name)] = shares[:, column == COLUMN].sum(axis=1) >= PRESENT_SHARE
    present[:, CLASSES.index("resin")] = only_resin
    present[:, CLASSES.index("peakless_iron")] = labels[:, CLASSES.index("peakless_iron")]
    row, column_ = np.indices(shape)
    return SimulatedMap(
        intensity=intensity,
        sigma=sigma,
        transmission=scattering.transmission * (1 + TRANSMISSION_NOISE * rng.normal(0, 1, n)),
        labels_visible=labels,
        present=present,
        x_um=np.asarray(column_.ravel() * STEP_X_UM, dtype=np.float64),
        y_um=np.asarray(row.ravel() * STEP_Y_UM, dtype=np.float64),
        shape=shape,
    )


def _training_side(sample: Samples, rng: np.random.Generator) -> Samples:
    """Ranges of the training simulation for what the hidden domain shifts."""
    return replace(
        sample,
        zero_deg=rng.normal(0, 0.04, 1),
        distance=rng.normal(0, 0.0007, 1),
        instrument_deg=rng.uniform(0.06, 0.2, 1),
        slope=rng.normal(-0.1, 0.15, 1),
        halo_deg=rng.normal(15.3, 0.6, 1),
        halo_fwhm_deg=rng.uniform(3.5, 7, 1),
        strain=rng.uniform(0.0005, 0.003, 1),
    )


def _depth(x_um: Floats, y_um: Floats, style: _Style, rng: np.random.Generator) -> Floats:
    """Place between the steel surface (0) and the outside (1); negative in steel, above one in resin."""
    angle = rng.uniform(0, 2 * np.pi)
    along = x_um * np.cos(angle) + y_um * np.sin(angle)
    across = -x_um * np.sin(angle) + y_um * np.cos(angle)
    low, high = along.min(), along.max()
    inner = low + (high - low) * rng.uniform(0.35, 0.5) + _wavy(across, style.roughness_um, rng)
    outer = low + (high - low) * rng.uniform(0.78, 0.9) + _wavy(across, 1.5 * style.roughness_um, rng)
    return np.asarray((along - inner) / np.maximum(outer - inner, 2.0))


def _wavy(place: Floats, size_um: float, rng: np.random.Generator) -> Floats:
    lengths = np.exp(rng.uniform(np.log(12), np.log(90), 4))
    phases = rng.uniform(0, 2 * np.pi, 4)
    waves = [np.sin(2 * np.pi * place / length + phase) for length, phase in zip(lengths, phases, strict=True)]
    return np.asarray(size_um * sum(waves) / 2)


def _field(shape: tuple[int, ...], width_um: float, rng: np.random.Generator) -> Floats:
    """Random field of mean 0 and deviation 1 that is alike over ``width_um``."""
    spread = (width_um * _FINE / STEP_Y_UM, width_um * _FINE / STEP_X_UM)
    field = gaussian_filter(rng.normal(0, 1, shape), spread, mode="wrap")
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-12))


def _rust(depth: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Volume shares (fine rows, fine columns, phases) of the rust, of rust without order, and of resin."""
    shape = depth.shape
    outer = 1 / (1 + np.exp(-(depth - rng.uniform(0.45, 0.7)) / 0.08))
    weight = np.zeros((*shape, len(PHASES)))
    layers = {
        "goethite": 1 - 0.85 * outer,
        "magnetite": rng.uniform(0.4, 2) * np.exp(-np.maximum(depth, 0) / rng.uniform(0.1, 0.35)),
        "lepidocrocite": outer,
    }
    for name, amount in layers.items():
        weight[..., PHASES.index(name)] = amount * np.exp(0.8 * _field(shape, 3.0, rng))
    for name, width, above in (("akaganeite", 2.0, 2.0), ("hematite", 1.5, 2.3)):
        weight[..., PHASES.index(name)] = 2.0 * (_field(shape, width, rng) > above) * (depth < 0.6)
    weight[weight < 0.04] = 0
    sand = (_field(shape, 2.5, rng) > 1.3) & (np.abs(depth - 1) < 0.08)
    weight[sand] = 0
    weight[sand, PHASES.index("quartz" if rng.random() < 0.5 else "calcite")] = 1
    rust = (depth < 1) | sand
    solid = np.clip(0.8 + 0.12 * _field(shape, 2.0, rng), 0.4, 1)
    crack = (np.abs(depth - 0.55 - 0.05 * _field(shape, 6.0, rng)) < 0.025) & (_field(shape, 8.0, rng) > 0)
    solid = np.where(rust & ~crack, solid, 0)
    order = np.clip(0.7 + 0.15 * _field(shape, 3.0, rng), 0.3, 1)
    order = np.where(_field(shape, 3.0, rng) > 1.7, 0, order)
    share = weight / np.maximum(weight.sum(axis=-1, keepdims=True), 1e-12) * solid[..., None]
    oxide = [PHASES.index(name) for name in ("magnetite", "goethite", "lepidocrocite")]
    amorphous = share[..., oxide].sum(axis=-1) * (1 - order)
    share[..., oxide] *= order[..., None]
    resin = np.where(rust, np.where(crack, 0.0, 1 - solid) * (rng.random() < 0.6), rng.uniform(0.85, 1.0))
    return share, amorphous, resin


def _steel(
    share: Floats,
    steel: NDArray[np.bool_],
    x_um: Floats,
    y_um: Floats,
    thickness_um: float,
    style: _Style,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Fill the steel with grains, in place; return share times spot strength of ferrite and of austenite."""
    spots = {name: np.zeros(steel.shape) for name in _SPOT}
    diameter = float(np.exp(rng.uniform(np.log(style.grain_um[0]), np.log(style.grain_um[1]))))
    # Grains smaller than the section is thick lie behind one another.
    behind = max(1, round(thickness_um / diameter))
    places = np.stack([x_um[steel], y_um[steel]], axis=1)
    width, height = float(x_um.max()), float(y_um.max())
    for _ in range(behind):
        number = max(4, round((width + diameter) * (height + diameter) / (np.pi / 4 * diameter**2)))
        seeds = rng.random((number, 2)) * [width + diameter, height + diameter] - diameter / 2
        grain = cKDTree(seeds).query(places)[1] if len(places) else np.zeros(0, np.int64)
        draw = rng.random(number)
        austenite = draw < style.austenite
        carbide = np.where(draw > 1 - style.pearlite, rng.uniform(0.08, 0.3, number), 0)
        # Islands of carbide, one in twelve grains.
        carbide = np.where(rng.random(number) < 0.08, rng.uniform(0.3, 0.9, number), carbide) * ~austenite
        expected_grains = np.exp(rng.uniform(np.log(style.spots[0]), np.log(style.spots[1]), number))
        for name, here in (("ferrite", (1 - carbide) * ~austenite), ("austenite", austenite * 1.0)):
            angle, multiplicity = _SPOT[name]
            expected = expected_grains * multiplicity / 8 * float(ring_share(np.array([angle]))[0]) / 0.1
            met = rng.poisson(expected) / expected
            share[steel, PHASES.index(name)] += here[grain] / behind
            spots[name][steel] += (here * met)[grain] / behind
        share[steel, PHASES.index("cementite")] += carbide[grain] / behind
    return spots


def _coarse(fine: Floats, shape: tuple[int, int]) -> Floats:
    """Mean over the sub-points of each point, (points, components)."""
    rows, columns = shape
    blocks = fine.reshape(rows, _FINE, columns, _FINE, -1)
    return np.asarray(blocks.mean(axis=(1, 3)).reshape(rows * columns, -1))
