"""A facility's bridge: passes what the simulated beamline sends on to another wire, frame by frame.

Where the wire has room for it, frames bear the detector's time, as an IOC stamps them, and not that of passing on.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from phasecast.core.frame import Frame
from phasecast.core.scan import SeriesEnd, SeriesStart
from phasecast.simulate.documents import PROBE_PREFIX
from phasecast.sources.document_codec import decode_document
from phasecast.sources.simplon import SimplonDecoder
from support.beamline_ear import hearing
from support.kafka_broker import Broker, packed
from support.nt_array import ArrayServer, array_update
from support.simplon_wire import record
from support.stream_wires import EPICS_EPOCH_S, array, cbf, pilatus, stins_end, stins_header, stins_image

WIRES = ("pva", "psi", "pilatus", "stins")


class Bridge:
    """Sends frames over PVA, PSI's and MAX IV's streams, and documents over Kafka.

    Parameters
    ----------
    is_lost
        Tells of a frame's number whether the bridge loses it.
    late_s
        Tells of a wire and a frame's number how long after its exposure began it is passed on at the soonest, in s.
    """

    def __init__(
        self,
        is_lost: Callable[[int], bool] = lambda _: False,
        late_s: Callable[[str, int], float] = lambda _wire, _number: 0.0,
    ) -> None:
        self._is_lost, self._late_s = is_lost, late_s
        self._clock_s = time.time() - time.monotonic()  # the simulated detector stamps with the monotonic clock
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._out = {wire: self._context.socket(zmq.PUSH) for wire in ("psi", "stins")}
        ports = {wire: socket.bind_to_random_port("tcp://127.0.0.1") for wire, socket in self._out.items()}
        self._pva, self._broker = ArrayServer(), Broker()
        self._stins_number = 1_039_302
        self.frames_in = 0
        self.addresses = {
            "pva": self._pva.uri,
            "psi": f"psi://127.0.0.1:{ports['psi']}?socket=pull",
            "stins": f"stins://127.0.0.1:{ports['stins']}",
            "kafka": self._broker.uri(),
        }

    def close(self) -> None:
        self._context.destroy(linger=0)
        self._pva.close()

    @contextlib.contextmanager
    def attached(self, addresses: dict[str, str], wire: str) -> Iterator[None]:
        """Pass on what a beamline sends, its frames over one of `WIRES`."""
        decoder = SimplonDecoder()

        def pass_on(source: str, parts: list[bytes]) -> None:
            if source == "frames":
                for entry in decoder.decode(record(parts)):
                    self._pass_on(entry, wire)
            elif not parts[0].startswith(PROBE_PREFIX):
                _, name, body = parts[0].split(b" ", 2)
                self._broker.send([packed(name.decode(), decode_document(body))])

        with hearing(self._context, addresses, pass_on):
            yield

    def _pass_on(self, message: Any, wire: str) -> None:
        if isinstance(message, Frame):
            self.frames_in += 1
            if not self._is_lost(message.number):
                self._frame(message, wire)
            self._stins_number += 1
        elif wire == "stins" and isinstance(message, SeriesStart | SeriesEnd):
            make = stins_header if isinstance(message, SeriesStart) else stins_end
            self._out["stins"].send_multipart(make(self._stins_number))
            self._stins_number += 1

    def _frame(self, frame: Frame, wire: str) -> None:
        image, number, taken_s = frame.image, frame.number, self._clock_s + (frame.hardware_s or 0.0)
        time.sleep(max(0.0, taken_s + self._late_s(wire, number) - time.time()))
        match wire:
            case "pva":
                stamp = {"secondsPastEpoch": int(taken_s), "nanoseconds": int(taken_s % 1 * 1e9)}
                self._pva.post(array_update(image.astype("i4"), number, "bslz4", timeStamp=stamp))
            case "psi":
                self._out["psi"].send_multipart(array(image, number, timeStamp=taken_s - EPICS_EPOCH_S))
            case "pilatus":
                self._out["psi"].send_multipart(pilatus(f"scan_{number:05d}.cbf", cbf(image.astype("i4"))))
            case _:
                parts = stins_image(self._stins_number, number, image, compression="headless")
                self._out["stins"].send_multipart(parts)
