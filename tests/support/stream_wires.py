"""Messages of PSI's, MAX IV's and EPICS' streams, as their senders make them."""

import json
import tempfile
from pathlib import Path
from typing import Any

import fabio
import numpy as np
from numpy.typing import NDArray

from support.simplon_wire import bslz4

EPICS_EPOCH_S = 631_152_000


def cbf(image: NDArray[Any], header: str = "") -> bytes:
    """A whole CBF file."""
    frame = fabio.cbfimage.CbfImage(data=image, header={"_array_data.header_contents": header} if header else {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.cbf"
        frame.write(path)
        return path.read_bytes()


def pilatus(filename: str, content: bytes, path: str = "run1") -> list[bytes]:
    """A `pilatus-1.0` message."""
    return [json.dumps({"htype": "pilatus-1.0", "filename": filename, "path": path}).encode(), content]


def array(image: NDArray[Any], frame: int, *, attributes: str = '{"ColorMode":0}', **fields: Any) -> list[bytes]:
    """An `array-1.0` message of areaDetector's ZMQ plugin, whose attributes are text that nobody escaped."""
    blob = fields.pop("blob", None)
    head = {
        "htype": "array-1.0",
        "type": image.dtype.name,
        "shape": list(image.shape),
        "frame": frame,
        "timeStamp": 1_164_165_341.46 + frame,
        "encoding": "",
    } | fields
    text = json.dumps({name: value for name, value in head.items() if value is not None})
    return [f'{text[:-1]}, "ndattr":{attributes}}}'.encode(), image.tobytes() if blob is None else blob]


def stins_header(message: int, *parts: bytes, filename: str = "/data/x.h5", **fields: Any) -> list[bytes]:
    return [
        json.dumps({"htype": "header", "msg_number": message, "filename": filename} | fields).encode(),
        *parts,
    ]


def stins_image(
    message: int, frame: int, image: NDArray[Any], *, compression: str = "none", **fields: Any
) -> list[bytes]:
    """An image message; ``bslz4`` as relayed of an EIGER, ``headless`` as the bitshuffle library makes it."""
    blob = fields.pop("blob", None)
    if blob is None:
        blob = image.tobytes() if compression == "none" else bslz4(image)[12 if compression == "headless" else 0 :]
    head = {
        "htype": "image",
        "msg_number": message,
        "frame": frame,
        "shape": list(image.shape),
        "type": image.dtype.name,
        "compression": "bslz4" if compression == "headless" else compression,
    } | fields
    return [json.dumps({name: value for name, value in head.items() if value is not None}).encode(), blob]


def stins_end(message: int) -> list[bytes]:
    return [json.dumps({"htype": "series_end", "msg_number": message}).encode()]


def counts(seed: int = 5) -> NDArray[np.int32]:
    """An image as a PILATUS 100k counts: -1 and -2 are bad and gap pixels."""
    image = np.random.default_rng(seed).poisson(20.0, (195, 487)).astype("i4")
    image[0, :2] = -1, -2
    return image
