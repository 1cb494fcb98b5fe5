"""Frames as files that appear in a folder the way camserver writes them: seen before they are complete."""

import io
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from fabio.cbfimage import CbfImage
from numpy.typing import NDArray
from PIL import Image

from phasecast.simulate import optics
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.transport import Exposure, damaged, deformed

Format = Literal["cbf", "tif"]
_IMAGE_DESCRIPTION = 270


class FileTransport:
    """Writes ``<prefix><series>_<number>.cbf`` (or .tif) into a folder.

    Each file is written in three pieces under its final name, so that a watcher meets it incomplete.

    Parameters
    ----------
    folder
        Where files appear; made if missing.
    file_format
        ``cbf`` with the PILATUS_1.2 header, or ``tif`` with the same text in ImageDescription.
    prefix
        Start of every name.
    pause_s
        Time between the pieces of a file.

    Raises
    ------
    SimulationError
        The folder cannot be made, or the format is unknown.
    """

    def __init__(
        self, folder: Path, *, file_format: Format = "cbf", prefix: str = "rust", pause_s: float = 0.0005
    ) -> None:
        if file_format not in get_args(Format):
            raise SimulationError(f"unknown file format {file_format!r}", remedy="choose cbf or tif")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SimulationError(f"cannot make the folder ({error})", where=str(folder)) from error
        self._folder = folder.resolve()
        self._format = file_format
        self._prefix = prefix
        self._pause_s = pause_s
        self._exposure_s = 0.0
        self._draft = tempfile.TemporaryDirectory(prefix="camserver-")

    @property
    def address(self) -> str:
        """URI of the folder, ``files:///...``."""
        return self._folder.as_uri().replace("file://", "files://", 1)

    def arm(self, series: int, *, frames: int, exposure_s: float) -> None:
        """Note the exposure time for the headers; files need no announcement."""
        self._exposure_s = exposure_s

    def send(self, exposure: Exposure) -> bool:
        """Write one file."""
        counts = deformed(exposure)
        name = f"{self._prefix}{exposure.series:03d}_{exposure.number:05d}.{self._format}"
        text = self._header(exposure)
        blob = self._cbf(counts, text, name) if self._format == "cbf" else _tiff(counts, text)
        blob = damaged(blob, exposure, header=2048)
        with (self._folder / name).open("wb", buffering=0) as file:
            for start, stop in ((0, 700), (700, len(blob) // 2), (len(blob) // 2, len(blob))):
                file.write(blob[start:stop])
                if self._pause_s > 0 and stop < len(blob):
                    time.sleep(self._pause_s)
        return True

    def end(self, series: int) -> None:
        """Nothing: camserver says nothing into the folder."""

    def close(self) -> None:
        """Remove the folder of drafts."""
        self._draft.cleanup()

    def _cbf(self, counts: NDArray[np.int32], text: str, name: str) -> bytes:
        contents = text.replace("\n", "\r\n")
        header = {"_array_data.header_convention": '"PILATUS_1.2"', "_array_data.header_contents": contents}
        draft = Path(self._draft.name) / name
        CbfImage(data=counts, header=header).write(str(draft))
        blob = draft.read_bytes()
        draft.unlink()
        return blob

    def _header(self, exposure: Exposure) -> str:
        started = datetime.fromtimestamp(exposure.start_time).isoformat(timespec="milliseconds")
        lines = (
            "Detector: PILATUS 100K, S/N 1-0000, simulated",
            started,
            "Pixel_size 172e-6 m x 172e-6 m",
            "Silicon sensor, thickness 0.000320 m",
            f"Exposure_time {self._exposure_s:.7f} s",
            f"Exposure_period {self._exposure_s + 0.00228:.7f} s",
            "Tau = 0 s",
            f"Count_cutoff {optics.COUNT_LIMIT} counts",
            f"Threshold_setting: {optics.ENERGY_KEV * 500:.0f} eV",
            "N_excluded_pixels = 0",
            f"Image_path: {str(self._folder).encode('ascii', 'replace').decode()}/",
            f"Wavelength {optics.WAVELENGTH_ANGSTROM:.5f} A",
            f"Detector_distance {optics.DISTANCE_M:.5f} m",
            f"Detector_2theta {optics.ROT1_DEG:.4f} deg.",
            f"Beam_xy ({optics.SHAPE[1] / 2:.2f}, {optics.SHAPE[0] / 2:.2f}) pixels",
        )
        return "\n".join(f"# {line}" for line in lines) + "\n"


def _tiff(counts: NDArray[np.int32], text: str) -> bytes:
    """Uncompressed int32 TIFF with the header text in ImageDescription."""
    buffer = io.BytesIO()
    Image.fromarray(counts).save(buffer, format="TIFF", tiffinfo={_IMAGE_DESCRIPTION: text})
    return buffer.getvalue()
