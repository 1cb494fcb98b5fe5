"""Frames as SIMPLON stream V1 ("legacy") over ZMQ PUSH, the way a DECTRIS control unit sends them."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Unpack

import lz4.block
import numpy as np
from numpy.typing import NDArray

from phasecast.simulate import optics
from phasecast.simulate.simplon_unit import SimplonUnit, UnitOptions
from phasecast.simulate.transport import Exposure, damaged, deformed


class SimplonTransport(SimplonUnit):
    """PUSH socket on 127.0.0.1 that speaks SIMPLON V1; parameters as of `SimplonUnit`."""

    def __init__(self, port: int = 9999, **options: Unpack[UnitOptions]) -> None:
        super().__init__(port, scheme="simplon", **options)

    def arm(self, series: int, *, frames: int, exposure_s: float) -> None:
        """Send the global header (detail basic).

        Raises
        ------
        SimulationError
            No consumer connects in time.
        """
        header = {"htype": "dheader-1.0", "series": series, "header_detail": "basic"}
        self._send_start([_json(header), _json(self._config(frames, exposure_s))])

    def send(self, exposure: Exposure) -> bool:
        """Send one image message of four parts; False if it was lost."""
        counts = deformed(exposure).astype("<u4")
        blob = damaged(self._encode(counts), exposure, header=12 if self._encoding.startswith("bs") else 0)
        shape = [counts.shape[1], counts.shape[0]]
        part2 = _json(
            {
                "htype": "dimage_d-1.0",
                "shape": shape,
                "type": "uint32",
                "encoding": self._encoding,
                "size": len(blob),
            }
        )
        part1 = _json(
            {
                "htype": "dimage-1.0",
                "series": exposure.series,
                "frame": exposure.number,
                "hash": hashlib.md5(part2, usedforsecurity=False).hexdigest(),
            }
        )
        times = {
            "htype": "dconfig-1.0",
            "start_time": exposure.start_ns,
            "stop_time": exposure.stop_ns,
            "real_time": exposure.stop_ns - exposure.start_ns,
        }
        return self._send_image([part1, part2, blob, _json(times)], exposure.number, exposure.series)

    def end(self, series: int) -> None:
        """Send the end of the series; nothing where its header never left."""
        self._send_end([_json({"htype": "dseries_end-1.0", "series": series})], series)

    def _encode(self, counts: NDArray[np.uint32]) -> bytes:
        if self._encoding == "<":
            return counts.tobytes()
        if self._encoding == "lz4<":
            return bytes(lz4.block.compress(counts.tobytes(), store_size=False))
        return self._encoder.encode(counts)

    def _config(self, frames: int, exposure_s: float) -> dict[str, Any]:
        """Detector configuration; keys and units of the wire (eV, m, s, angstrom)."""
        energy_ev = optics.ENERGY_KEV * 1000
        return {
            "nimages": 1,
            "ntrigger": frames,
            "trigger_mode": "exts",
            "count_time": exposure_s,
            "frame_time": exposure_s + 0.00228,
            "photon_energy": energy_ev,
            "threshold_energy": energy_ev / 2,
            "wavelength": optics.WAVELENGTH_ANGSTROM,
            "detector_distance": optics.DISTANCE_M,
            "beam_center_x": optics.SHAPE[1] / 2,
            "beam_center_y": optics.SHAPE[0] / 2,
            "x_pixel_size": optics.PIXEL_M,
            "y_pixel_size": optics.PIXEL_M,
            "x_pixels_in_detector": optics.SHAPE[1],
            "y_pixels_in_detector": optics.SHAPE[0],
            "bit_depth_image": 32,
            "compression": {"<": "none", "lz4<": "lz4"}.get(self._encoding, "bslz4"),
            "countrate_correction_count_cutoff": optics.COUNT_LIMIT,
            "pixel_mask_applied": False,
            "flatfield_correction_applied": False,
            "sensor_material": "Si",
            "sensor_thickness": 0.00032,
            "two_theta_start": optics.ROT1_DEG,
            "two_theta_increment": 0.0,
            "description": "Simulated PILATUS 100K",
            "detector_number": "S-100-0000",
            "data_collection_date": datetime.now(UTC).isoformat(),
            "software_version": "1.8.0",
        }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()
