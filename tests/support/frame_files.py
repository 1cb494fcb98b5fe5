"""Frame files as a detector's server writes them."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fabio.cbfimage import CbfImage
from fabio.edfimage import EdfImage
from fabio.fabioimage import FabioImage
from numpy.typing import NDArray


def small_image(seed: int = 0, shape: tuple[int, int] = (195, 487)) -> NDArray[np.int32]:
    return np.random.default_rng(seed).poisson(5.0, shape).astype(np.int32)


def cbf_bytes(image: NDArray[Any], *header_lines: str) -> bytes:
    """A CBF in the convention PILATUS_1.2, checksum included."""
    text = "\r\n".join(f"# {line}" for line in ("Detector: PILATUS 100K, S/N 1-0042", *header_lines))
    header = {"_array_data.header_convention": "PILATUS_1.2", "_array_data.header_contents": text}
    return _written(CbfImage(data=image, header=header), "a.cbf")


def edf_bytes(image: NDArray[Any]) -> bytes:
    return _written(EdfImage(data=image, header={"Exposure_time": "0.5 s"}), "a.edf")


def _written(image: FabioImage, name: str) -> bytes:
    """fabio writes to paths alone."""
    with tempfile.TemporaryDirectory() as folder:
        image.write(str(Path(folder) / name))
        return (Path(folder) / name).read_bytes()
