"""Images that correct every frame: mask, flat field and dark."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import fabio
import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import ProfileError
from phasecast.profiles import Profile

_CBF_DATA_START = b"\x0c\x1a\x04\xd5"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelCorrections:
    """Static knowledge about each pixel, shapes (rows, cols).

    Parameters
    ----------
    mask
        True where a pixel is never used; None for no mask.
    flat
        Relative response that counts are divided by; None for uniform.
    dark
        Counts per frame that are subtracted; None for none.
    """

    mask: NDArray[np.bool_] | None = None
    flat: NDArray[np.float64] | None = None
    dark: NDArray[np.float64] | None = None

    @property
    def digest(self) -> str:
        """Hash of the contents."""
        total = hashlib.sha256()
        for image in (self.mask, self.flat, self.dark):
            total.update(b"none" if image is None else np.ascontiguousarray(image).tobytes())
        return total.hexdigest()


def corrections_from_profile(profile: Profile, shape: tuple[int, int]) -> PixelCorrections:
    """Read the images that a profile names.

    Raises
    ------
    ProfileError
        If a file is missing, unreadable or of another shape.
    """
    detector = profile.detector

    def read(field: str, name: str | None) -> NDArray[np.float64] | None:
        return None if name is None else _read(Path(name), f"profile {profile.name}: detector.{field}", shape)

    mask = read("mask_file", detector.mask_file)
    return PixelCorrections(
        mask=None if mask is None else mask != 0,
        flat=read("flat_file", detector.flat_file),
        dark=read("dark_file", detector.dark_file),
    )


def _read(path: Path, where: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    remedy = f"give an image of {shape[0]} x {shape[1]} pixels, or remove the key"
    try:
        if path.suffix == ".npy":
            image = np.load(path, allow_pickle=False)
        else:
            # fabio searches for ever in a CBF that was cut before its data begin.
            if path.suffix == ".cbf" and _CBF_DATA_START not in path.read_bytes():
                raise ValueError("no image data in this CBF")
            with fabio.open(str(path)) as file:
                image = file.data
    except Exception as error:
        # fabio raises whatever its parsers stumble over; each means the same to the reader.
        raise ProfileError(
            f"{path} cannot be read ({type(error).__name__}: {error})", where=where, remedy=remedy
        ) from error
    if image.shape != shape:
        raise ProfileError(f"{path} has the shape {image.shape}", where=where, remedy=remedy)
    return np.asarray(image, dtype=np.float64)
