"""A real EPICS PVA server that offers frames as areaDetector's plugin does."""

import time
from typing import Any

import lz4.block
import numpy as np
from numpy.typing import NDArray

from support.simplon2_wire import lz4_frame
from support.simplon_wire import bslz4

PV = "13PIL:Pva1:Image"
FIELDS = {"i1": "byte", "i2": "short", "i4": "int", "i8": "long", "u1": "ubyte", "u2": "ushort", "u4": "uint",
          "u8": "ulong", "f4": "float", "f8": "double"}  # fmt: skip
CODES = {"i1": 1, "i2": 2, "i4": 3, "i8": 4, "u1": 5, "u2": 6, "u4": 7, "u8": 8, "f4": 9, "f8": 10}


def array_update(image: NDArray[Any], number: int, codec: str = "", **fields: Any) -> Any:
    """One update; `fields` replace those of the structure, ``blob=`` the compressed bytes."""
    from p4p.nt import NTNDArray

    sample = image.dtype.str[1:]
    plain = image.tobytes()
    blob, code = fields.pop("blob", None), fields.pop("code", CODES[sample])
    if blob is None and codec:
        blob = {
            "lz4": lambda: lz4.block.compress(plain, store_size=False),
            "lz4hdf5": lambda: lz4_frame(plain),
            "bslz4": lambda: bslz4(image)[12:],
        }[codec]()
    now_ns = time.time_ns()
    value = ("ubyteValue", np.frombuffer(blob, "u1")) if blob is not None else (f"{FIELDS[sample]}Value", image.ravel())
    return NTNDArray.buildType()(
        {
            "value": value,
            "codec": {"name": codec, "parameters": code} if codec else {"name": ""},
            "compressedSize": value[1].nbytes,
            "uncompressedSize": image.nbytes,
            "uniqueId": number,
            "timeStamp": {"secondsPastEpoch": now_ns // 10**9, "nanoseconds": now_ns % 10**9},
            "dimension": [{"size": size} for size in reversed(image.shape)],
            "attribute": [{"name": "E", "value": 12.4}, {"name": "note", "value": "rust"}],
        }
        | fields
    )


class ArrayServer:
    """Offers `PV` on a port of its own, on this machine alone."""

    def __init__(self) -> None:
        from p4p.nt import NTNDArray
        from p4p.server import Server
        from p4p.server.thread import SharedPV

        # Open from the start, as areaDetector's plugin is: it holds an array of no pixels.
        self.pv = SharedPV(initial=NTNDArray.buildType()({}))
        self.server = Server(providers=[{PV: self.pv}], isolate=True)
        self.port = int(self.server.conf()["EPICS_PVAS_SERVER_PORT"])

    @property
    def uri(self) -> str:
        return f"pva://{PV}?server=127.0.0.1:{self.port}"

    def post(self, update: Any) -> None:
        self.pv.post(update)

    def drop(self) -> None:
        """Take the variable away, as a server that ends does."""
        self.pv.close()

    def offer(self, update: Any) -> None:
        """Offer the variable again, of any type, with what it holds first."""
        self.pv.open(update)

    def close(self) -> None:
        self.server.stop()
