"""A layered rust cross-section that is known point by point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phasecast.simulate.materials import INDEX, NAMES

FloatArray = NDArray[np.float64]

_LETTER = ("###", "#..", "##.", "#..", "#..")
"""An F, which has no symmetry: mirrored, turned or exchanged axes all show."""

_LETTER_FRACTION = 0.8
_SUB = 3  # sub-points per step: the beam (1.25 x 2 um) averages over about one step


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The truth behind a simulated map; row 0 is the lowest y, column 0 the lowest x.

    Parameters
    ----------
    x_um, y_um
        Stage positions of the columns, shape (cols,), and rows, shape (rows,); y points up.
    fractions
        Volume fractions in the beam, shape (rows, cols, materials), sum 1; order ``materials.NAMES``.
    thickness_um
        Slab thickness, shape (rows, cols).
    grain
        Coarse grain that dominates each point, shape (rows, cols).
    seed
        Seed it was drawn from.
    """

    x_um: FloatArray
    y_um: FloatArray
    fractions: FloatArray
    thickness_um: FloatArray
    grain: NDArray[np.int64]
    seed: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.grain.shape[0], self.grain.shape[1]

    def cell_at(self, x_um: float, y_um: float) -> tuple[int, int]:
        """Row and column of the point nearest to a stage position; outside, the border point."""
        return int(np.abs(self.y_um - y_um).argmin()), int(np.abs(self.x_um - x_um).argmin())


def letter_cells(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the cells of an upright letter F in the middle of a map, shape (rows, cols), row 0 the lowest."""
    rows, cols = shape
    size = max(1, min(rows // 9, cols // 7))
    upright = np.array([[mark == "#" for mark in line] for line in _LETTER[::-1]])
    letter = np.repeat(np.repeat(upright, size, axis=0), size, axis=1)[:rows, :cols]
    cells = np.zeros(shape, dtype=np.bool_)
    low, left = (rows - letter.shape[0]) // 2, (cols - letter.shape[1]) // 2
    cells[low : low + letter.shape[0], left : left + letter.shape[1]] = letter
    return cells


def rust_sample(
    shape: tuple[int, int] = (30, 40), *, step_um: float = 2.0, seed: int = 0, letter: bool = False
) -> Sample:
    """Draw a rust layer on steel: metal below, spinel and goethite, lepidocrocite, resin on top.

    The order of the layers follows the rust models of Misawa and of Evans: alpha-FeOOH next to the
    steel, gamma-FeOOH outside, spinel mixed with FeOOH near the metal. Layers are fractions of the map
    height, so that a map of any size shows all of them.

    Parameters
    ----------
    shape
        Rows and columns.
    step_um
        Distance of both.
    seed
        What the random parts are drawn from.
    letter
        Whether the sample bears a letter F of quartz in its middle, which shows how a map lies. Nothing else changes.

    Raises
    ------
    ValueError
        Shape or step is not positive.
    """
    rows, cols = shape
    if rows < 1 or cols < 1 or not step_um > 0:
        raise ValueError(f"shape {shape} and step {step_um} um must be positive")
    rng = np.random.default_rng([seed, 1])
    fine = (rows * _SUB, cols * _SUB)
    sub_um = step_um / _SUB
    x = (np.arange(fine[1], dtype=np.float64) - (_SUB - 1) / 2)[None, :] * sub_um
    y = (np.arange(fine[0], dtype=np.float64) - (_SUB - 1) / 2)[:, None] * sub_um
    width_um, height_um = cols * step_um, rows * step_um

    grain, phase = _grains(rng, x, y, grain_um=float(np.clip(0.18 * max(width_um, height_um), 2 * step_um, 14)))
    weights = _layers(rng, x / width_um, (y + step_um / 2) / height_um, sub_um=sub_um, steel=phase)
    _intrude(rng, weights, x, y, step_um=step_um, width_um=width_um, height_um=height_um)

    blocks = weights.reshape(rows, _SUB, cols, _SUB, len(NAMES)).mean(axis=(1, 3))
    blocks /= blocks.sum(axis=2, keepdims=True)
    if letter:
        marked = letter_cells(shape)
        blocks[marked] *= 1 - _LETTER_FRACTION
        blocks[marked, INDEX["quartz"]] += _LETTER_FRACTION
    thickness = 10.0 * (1 + 0.08 * _smooth(rng, (rows, cols), 8.0 / step_um))
    return Sample(
        x_um=np.arange(cols, dtype=np.float64) * step_um,
        y_um=np.arange(rows, dtype=np.float64) * step_um,
        fractions=blocks,
        thickness_um=thickness,
        grain=grain[_SUB // 2 :: _SUB, _SUB // 2 :: _SUB].copy(),
        seed=seed,
    )


def _smooth(rng: np.random.Generator, shape: tuple[int, int], length: float) -> FloatArray:
    """Gaussian random field of unit variance and correlation length in pixels, shape as asked."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), max(length, 0.3), mode="reflect")
    spread = float(field.std())
    return np.asarray((field - field.mean()) / spread if spread > 0 else field * 0.0)


def _wave(rng: np.random.Generator, u: FloatArray) -> FloatArray:
    """Interface height over relative x, shape of u, amplitude about 1."""
    total = np.zeros_like(u)
    for cycles, size in ((0.8, 0.6), (1.9, 0.4), (4.3, 0.2)):
        total += size * np.sin(2 * np.pi * (cycles * rng.uniform(0.8, 1.2) * u + rng.uniform()))
    return total


def _grains(
    rng: np.random.Generator, x: FloatArray, y: FloatArray, *, grain_um: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voronoi cells over the map: grain id and its iron phase (ferrite or austenite), both of map shape."""
    width, height = x.max() - x.min() + grain_um, y.max() - y.min() + grain_um
    count = max(3, round(width * height / grain_um**2))
    seeds_x = rng.uniform(x.min() - grain_um / 2, x.max() + grain_um / 2, count)
    seeds_y = rng.uniform(y.min() - grain_um / 2, y.max() + grain_um / 2, count)
    nearest = np.zeros((y.size, x.size), dtype=np.int64)
    closest = np.full((y.size, x.size), np.inf)
    for grain in range(count):
        distance = (x - seeds_x[grain]) ** 2 + (y - seeds_y[grain]) ** 2
        near = distance < closest
        nearest[near] = grain
        closest[near] = distance[near]
    austenite = rng.uniform(size=count) < 0.25
    phases = np.where(austenite, INDEX["austenite"], INDEX["ferrite"])
    return nearest, phases[nearest]


def _layers(
    rng: np.random.Generator, u: FloatArray, v: FloatArray, *, sub_um: float, steel: NDArray[np.int64]
) -> FloatArray:
    """Volume fractions of the undisturbed layers, shape of the fine map + (materials,)."""
    shape = steel.shape
    metal_top = 0.33 + 0.045 * _wave(rng, u)
    inner_top = metal_top + 0.12 + 0.03 * _wave(rng, u)
    goethite_top = inner_top + 0.19 + 0.04 * _wave(rng, u)
    rust_top = goethite_top + 0.19 + 0.04 * _wave(rng, u)

    weights = np.zeros((*shape, len(NAMES)))
    in_metal = v < metal_top
    inner = (v >= metal_top) & (v < inner_top)
    rust = (v >= metal_top) & (v < rust_top)

    # Lepidocrocite replaces goethite over about 5 % of the height, patchily.
    patch = 0.025 * _smooth(rng, shape, 3.0 / sub_um)
    lepidocrocite = 1 / (1 + np.exp(-(v + patch - goethite_top) / 0.012))
    spinel = np.where(inner, np.clip(0.6 + 0.25 * _smooth(rng, shape, 2.5 / sub_um), 0.15, 0.95), 0.0)
    weights[..., INDEX["magnetite"]] = np.where(rust, spinel * (1 - lepidocrocite), 0)
    weights[..., INDEX["lepidocrocite"]] = np.where(rust, lepidocrocite, 0)
    weights[..., INDEX["goethite"]] = np.where(rust, (1 - lepidocrocite) * (1 - spinel), 0)
    weights[..., INDEX["resin"]] = v >= rust_top

    island = _smooth(rng, shape, 2.2 / sub_um)
    cementite = np.where(in_metal & (island > np.quantile(island, 0.86)), 0.75, 0.0)
    for phase in (INDEX["ferrite"], INDEX["austenite"]):
        weights[..., phase] = np.where(in_metal & (steel == phase), 1 - cementite, 0)
    weights[..., INDEX["cementite"]] = cementite
    return weights


def _intrude(
    rng: np.random.Generator,
    weights: FloatArray,
    x: FloatArray,
    y: FloatArray,
    *,
    step_um: float,
    width_um: float,
    height_um: float,
) -> None:
    """Cut cracks and pores filled with resin and foreign spots into the layers, in place."""

    def fill(where: NDArray[np.bool_], material: str, fraction: float) -> None:
        weights[where] *= 1 - fraction
        weights[where, INDEX[material]] += fraction

    for _ in range(2):  # along the interface, and across the rust
        middle = height_um * rng.uniform(0.45, 0.7)
        line = middle + 0.04 * height_um * _wave(rng, x / width_um)
        start = width_um * rng.uniform(0.0, 0.5)
        along = (x > start) & (x < start + 0.45 * width_um)
        fill((np.abs(y - line) < 0.4 * step_um) & along, "resin", 0.9)
    across = width_um * rng.uniform(0.2, 0.8) + 0.03 * width_um * _wave(rng, y / height_um)
    tall = (y > 0.45 * height_um) & (y < 0.9 * height_um)
    fill((np.abs(x - across) < 0.4 * step_um) & tall, "resin", 0.9)

    spots = [("resin", 0.95)] * 2 + [("hematite", 0.7)] * 3 + [("quartz", 0.8)] * 2
    for material, fraction in spots:
        centre_x, centre_y = width_um * rng.uniform(0.05, 0.95), height_um * rng.uniform(0.42, 0.8)
        radius = step_um * rng.uniform(0.9, 1.8)
        inside = ((x - centre_x) / (1.4 * radius)) ** 2 + ((y - centre_y) / radius) ** 2 < 1
        fill(inside, material, fraction)
