"""Simulated PILATUS 100k frames of a known sample."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasecast.simulate.materials import COARSE_IRON, INDEX, IRON_METAL, MATERIALS, NAMES
from phasecast.simulate.optics import COUNT_LIMIT, SHAPE, pixel_maps, slab_absorption
from phasecast.simulate.rings import VARIANTS, Images, make_images, material_of_class
from phasecast.simulate.sample import Sample, rust_sample
from phasecast.simulate.truth import Truth, analyst_labels
from phasecast_models.xrd.axis import CLASSES

FloatArray = NDArray[np.float64]
Counts = NDArray[np.int32]

_MU = np.array([material.mu_per_um for material in MATERIALS])
_IRON = np.array([material.iron for material in MATERIALS])
_BIN_DEG = 0.1
_BIN_FIRST_DEG = 9.5
_BINS = 315
_RADIAL_DEG: FloatArray = 9.5 + 0.05 * np.arange(631, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class HotPixels:
    """Pixels that count without light: flat pixel numbers and expected counts per frame, shape (n,)."""

    pixels: NDArray[np.intp]
    counts: FloatArray


class FrameRenderer:
    """Turns points of a sample into detector frames; the same arguments give the same frames.

    Parameters
    ----------
    sample
        The truth that is looked at.
    counts
        Mean counts per frame over the whole map at nominal beam, useful from 1e3 to 1e7.
    seed
        Seed of rings, spots, hot pixels and noise.
    hot_pixels
        How many pixels always count; further ones flare up once in some twenty frames.
    """

    def __init__(self, sample: Sample, *, counts: float = 2e5, seed: int = 0, hot_pixels: int = 4) -> None:
        if not counts > 0:
            raise ValueError(f"counts must be positive, not {counts}")
        self.sample = sample
        self.counts = counts
        self._seed = seed
        maps = pixel_maps()
        self._images: Images = make_images(maps, int(sample.grain.max()) + 1, seed)
        self._radial_index = np.clip(
            np.rint((maps.tth_deg.ravel() - _RADIAL_DEG[0]) / 0.05).astype(np.intp), 0, _RADIAL_DEG.size - 1
        )
        self._bin = ((maps.tth_deg.ravel() - _BIN_FIRST_DEG) / _BIN_DEG).astype(np.intp)
        self._bin_deg = _BIN_FIRST_DEG + _BIN_DEG * (np.arange(_BINS, dtype=np.float64) + 0.5)
        rng = np.random.default_rng([seed, 4])
        self.hot = HotPixels(
            pixels=rng.choice(SHAPE[0] * SHAPE[1], hot_pixels, replace=False),
            counts=np.sqrt(counts) * rng.uniform(0.03, 0.15, hot_pixels),
        )
        self._binned = self._bin_images()
        self._scale = 1.0
        rows, cols = sample.shape
        totals = [self._expected(row, col)[1].sum() for row in range(rows) for col in range(cols)]
        self._scale = counts / float(np.mean(totals))

    def transmission(self, row: int, col: int) -> float:
        """Fraction of the direct beam that passes the sample at a point."""
        return float(np.exp(-self._mu_t(row, col)))

    def mean(self, row: int, col: int, *, flux: float = 1.0) -> NDArray[np.float32]:
        """Expected counts at a point without noise and hot pixels, shape (195, 487); flux 1 is nominal."""
        material, unabsorbed = self._weights(row, col)
        image = unabsorbed["halo"] * self._images.halo
        image += np.float32(unabsorbed["diffuse"]) * self._images.diffuse
        image += np.float32(unabsorbed["fluorescence"]) * self._images.fluorescence
        grain = int(self.sample.grain[row, col])
        for index in np.flatnonzero(material):
            key, weight = self._image_key(int(index), grain), np.float32(material[index])
            if key in self._images.rings:
                image += weight * self._images.rings[key]
            elif key in self._images.spots:
                spots = self._images.spots[key]
                image[spots.pixels] += weight * spots.values
        mu_t = self._mu_t(row, col)
        image *= slab_absorption(_RADIAL_DEG, mu_t).astype(np.float32)[self._radial_index]
        image += np.float32(np.exp(-mu_t)) * self._images.air
        image *= np.float32(self._scale * flux)
        return image.reshape(SHAPE)

    def frame(self, row: int, col: int, *, number: int = 0, flux: float = 1.0) -> Counts:
        """Counted frame, int32 of shape (195, 487); ``number`` selects the noise, 20-bit counters saturate."""
        rng = np.random.Generator(np.random.SFC64([self._seed, 5, number]))
        frame = rng.poisson(self.mean(row, col, flux=flux)).astype(np.int32)
        flat = frame.reshape(-1)
        flat[self.hot.pixels] += rng.poisson(self.hot.counts).astype(np.int32)
        for _ in range(rng.poisson(0.05)):
            flat[rng.integers(flat.size)] += int(rng.exponential(2000.0))
        return np.minimum(frame, COUNT_LIMIT, out=frame)

    def truth(self, settings: dict[str, object] | None = None) -> Truth:
        """What an analyst would say of every point at this exposure."""
        rows, cols = self.sample.shape
        labels = np.zeros((rows * cols, len(CLASSES)), dtype=np.uint8)
        for point, (row, col) in enumerate(np.ndindex(rows, cols)):
            bragg, total = self._expected(row, col)
            fractions = self.sample.fractions[row, col]
            metal = float(fractions[list(IRON_METAL)].sum())
            labels[point] = analyst_labels(bragg, total, metal, float(fractions[INDEX["resin"]]))
        flat = self.sample.fractions.reshape(rows * cols, len(NAMES))
        basics: dict[str, object] = {
            "seed": self._seed,
            "counts": self.counts,
            "hot_pixels": np.stack(np.unravel_index(self.hot.pixels, SHAPE), axis=1).tolist(),
        }
        return Truth(
            shape=(rows, cols),
            x_um=np.tile(self.sample.x_um, rows),
            y_um=np.repeat(self.sample.y_um, cols),
            labels=labels,
            fractions={name: flat[:, index] for index, name in enumerate(NAMES)},
            settings=basics | (settings or {}),
        )

    @staticmethod
    def _image_key(material: int, grain: int) -> tuple[int, int]:
        """Key of the image a material shows in a grain: the grain's own spots or one of a few ring draws."""
        return material, grain if material in COARSE_IRON else grain % VARIANTS

    def _mu_t(self, row: int, col: int) -> float:
        return float(_MU @ self.sample.fractions[row, col] * self.sample.thickness_um[row, col])

    def _weights(self, row: int, col: int) -> tuple[FloatArray, dict[str, np.float32]]:
        """Um of each material in the beam, shape (materials,), and the weights of the smooth images."""
        depth = self.sample.fractions[row, col] * self.sample.thickness_um[row, col]
        solid = depth.sum() - depth[INDEX["resin"]]
        return depth, {
            "halo": np.float32(depth[INDEX["resin"]]),
            "diffuse": np.float32(solid),
            "fluorescence": np.float32(_IRON @ depth),
        }

    @staticmethod
    def _histogram(bins: NDArray[np.intp], values: NDArray[np.float32]) -> FloatArray:
        return np.bincount(bins, weights=values, minlength=_BINS).astype(np.float64)

    def _bin_images(self) -> dict[tuple[int, int] | str, FloatArray]:
        """Every image summed over bins of 0.1 deg, shape (bins,) each."""
        images = self._images
        smooth = {name: getattr(images, name) for name in ("halo", "diffuse", "fluorescence", "air")}
        binned: dict[tuple[int, int] | str, FloatArray] = {
            key: self._histogram(self._bin, image) for key, image in (images.rings | smooth).items()
        }
        for key, spots in images.spots.items():
            binned[key] = self._histogram(self._bin[spots.pixels], spots.values)
        return binned

    def _expected(self, row: int, col: int) -> tuple[FloatArray, FloatArray]:
        """Noise-free counts in bins of 0.1 deg: rings per class, shape (9, bins), and all, shape (bins,)."""
        depth, smooth = self._weights(row, col)
        mu_t = self._mu_t(row, col)
        absorbed = slab_absorption(self._bin_deg, mu_t)
        grain = int(self.sample.grain[row, col])
        per_class = np.zeros((len(CLASSES), _BINS))
        for column, name in enumerate(CLASSES):
            for index in material_of_class(name):
                key = self._image_key(index, grain)
                if depth[index] > 0 and key in self._binned:
                    per_class[column] += depth[index] * self._binned[key] * absorbed
        total = per_class.sum(axis=0) + np.exp(-mu_t) * self._binned["air"]
        for image, weight in smooth.items():
            total += float(weight) * self._binned[image] * absorbed
        return per_class * self._scale, total * self._scale


def simulate_map(
    shape: tuple[int, int] = (30, 40), *, seed: int = 0, counts: float = 2e5, step_um: float = 2.0
) -> tuple[Iterator[Counts], Truth]:
    """Frames of a whole map, along x first from the lowest row, and the truth about them; no sockets."""
    renderer = FrameRenderer(rust_sample(shape, step_um=step_um, seed=seed), counts=counts, seed=seed)
    rows, cols = shape
    frames = (renderer.frame(row, col, number=row * cols + col) for row, col in np.ndindex(rows, cols))
    return frames, renderer.truth({"step_um": step_um})
