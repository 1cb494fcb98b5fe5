"""Frames as SIMPLON stream V2 (CBOR) over ZMQ PUSH, the way a DECTRIS control unit with two thresholds sends them."""

import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Unpack

import cbor2
import lz4.block
import numpy as np
from numpy.typing import NDArray

from phasecast.simulate import optics
from phasecast.simulate.simplon_unit import SimplonUnit, UnitOptions
from phasecast.simulate.transport import Exposure, damaged, deformed

THRESHOLDS = {"threshold_1": 0.5, "threshold_2": 0.8}
"""Channel to threshold as a share of the photon energy."""
_COMPRESSION = {"bs32-lz4<": "bslz4", "lz4<": "lz4", "<": ""}
_CLOCK_HZ = 50_000_000
_IN_ROWS, _UINT32, _COMPRESSED, _DATE, _SELF_DESCRIBED = 40, 70, 56500, 0, 55799
_LZ4_BLOCK = 8192


class Simplon2Transport(SimplonUnit):
    """PUSH socket on 127.0.0.1 that speaks SIMPLON V2; parameters as of `SimplonUnit`.

    ``threshold_1`` holds the counts; ``threshold_2`` lies higher and holds four fifths of them, rounded down.
    """

    def __init__(self, port: int = 31001, **options: Unpack[UnitOptions]) -> None:
        super().__init__(port, scheme="simplon2", **options)
        self._compression = _COMPRESSION[self._encoding]
        self._unique_id = ""
        self._began_ns: int | None = None

    @property
    def address(self) -> str:
        """URI of the stream with the lower threshold chosen, ``simplon2://127.0.0.1:PORT?channel=threshold_1``."""
        return f"{self._socket.address}?channel={next(iter(THRESHOLDS))}"

    def arm(self, series: int, *, frames: int, exposure_s: float) -> None:
        """Send the start message (detail basic).

        Raises
        ------
        SimulationError
            No consumer connects in time.
        """
        self._unique_id = uuid.uuid4().hex.upper()[:26]
        self._began_ns = None
        self._send_start([_message({"type": "start", **self._series(series), **_config(frames, exposure_s)})])

    def send(self, exposure: Exposure) -> bool:
        """Send one image message with both thresholds; False if it was lost."""
        if self._began_ns is None:
            self._began_ns = exposure.start_ns
        counts = deformed(exposure).astype("<u4")
        images = [counts, (counts.astype(np.uint64) * 4 // 5).astype("<u4")]
        message = {
            "type": "image",
            **self._series(exposure.series),
            "image_id": exposure.number,
            "real_time": _ticks(exposure.stop_ns - exposure.start_ns),
            "series_date": cbor2.CBORTag(_DATE, datetime.now(UTC).isoformat()),
            "start_time": _ticks(exposure.start_ns - self._began_ns),
            "stop_time": _ticks(exposure.stop_ns - self._began_ns),
            "data": {name: self._image(image, exposure) for name, image in zip(THRESHOLDS, images, strict=True)},
        }
        return self._send_image([_message(message)], exposure.number, exposure.series)

    def end(self, series: int) -> None:
        """Send the end of the series; nothing where its start never left."""
        self._send_end([_message({"type": "end", **self._series(series)})], series)

    def _series(self, series: int) -> dict[str, Any]:
        return {"series_id": series, "series_unique_id": self._unique_id}

    def _image(self, counts: NDArray[np.uint32], exposure: Exposure) -> cbor2.CBORTag:
        content: Any = self._compress(counts)
        content = damaged(content, exposure, header=12 if self._compression else 0)
        if self._compression:
            content = cbor2.CBORTag(_COMPRESSED, [self._compression, counts.itemsize, content])
        return cbor2.CBORTag(_IN_ROWS, [list(counts.shape), cbor2.CBORTag(_UINT32, content)])

    def _compress(self, counts: NDArray[np.uint32]) -> bytes:
        if self._compression == "bslz4":
            return self._encoder.encode(counts)
        return _lz4_chunk(counts.tobytes()) if self._compression else counts.tobytes()


def _lz4_chunk(content: bytes) -> bytes:
    """Return a chunk of HDF5's LZ4 filter."""
    chunk = [struct.pack(">QI", len(content), _LZ4_BLOCK)]
    for at in range(0, len(content), _LZ4_BLOCK):
        block = lz4.block.compress(content[at : at + _LZ4_BLOCK], store_size=False)
        chunk += [struct.pack(">I", len(block)), block]
    return b"".join(chunk)


def _config(frames: int, exposure_s: float) -> dict[str, Any]:
    """What the start message says of the detector; keys and units of the wire (eV, m, s, angstrom)."""
    energy_ev = optics.ENERGY_KEV * 1000
    rows, cols = optics.SHAPE
    return {
        "arm_date": cbor2.CBORTag(_DATE, datetime.now(UTC).isoformat()),
        "beam_center_x": cols / 2,
        "beam_center_y": rows / 2,
        "channels": list(THRESHOLDS),
        "count_time": exposure_s,
        "countrate_correction_enabled": False,
        "detector_description": "Simulated PILATUS 100K",
        "detector_serial_number": "S-100-0000",
        "detector_translation": [0.0, 0.0, optics.DISTANCE_M],
        "flatfield_enabled": False,
        "frame_time": exposure_s + 0.00228,
        "goniometer": {"two_theta": {"start": optics.ROT1_DEG, "increment": 0.0}},
        "image_size_x": cols,
        "image_size_y": rows,
        "incident_energy": energy_ev,
        "incident_wavelength": optics.WAVELENGTH_ANGSTROM,
        "number_of_images": frames,
        "pixel_mask_enabled": False,
        "pixel_size_x": optics.PIXEL_M,
        "pixel_size_y": optics.PIXEL_M,
        "saturation_value": optics.COUNT_LIMIT,
        "sensor_material": "Si",
        "sensor_thickness": 0.00032,
        "threshold_energy": {name: share * energy_ev for name, share in THRESHOLDS.items()},
        "virtual_pixel_interpolation_enabled": False,
    }


def _ticks(nanoseconds: int) -> list[int]:
    return [nanoseconds * _CLOCK_HZ // 10**9, _CLOCK_HZ]


def _message(content: Mapping[str, Any]) -> bytes:
    return bytes(cbor2.dumps(cbor2.CBORTag(_SELF_DESCRIBED, dict(content))))
