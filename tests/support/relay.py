"""A relay between beamlines and a daemon, on real sockets.

The daemon stays while beamlines come and go, and a test can slip messages between the good ones.
"""

import contextlib
from collections.abc import Iterable, Iterator

import zmq

from phasecast.simulate.documents import PROBE_PREFIX
from support.beamline_ear import hearing

_SLIPPED_AT_ONCE = 3


class Relay:
    """Passes frames and documents on."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._out = {"frames": self._context.socket(zmq.PUSH), "documents": self._context.socket(zmq.XPUB)}
        ports = {}
        for wire, socket in self._out.items():
            socket.setsockopt(zmq.SNDHWM, 0)
            ports[wire] = socket.bind_to_random_port("tcp://127.0.0.1")
        self.addresses = {
            "frames": f"simplon://127.0.0.1:{ports['frames']}",
            "documents": f"bluesky://127.0.0.1:{ports['documents']}?prefix=bl16xu&codec=pickle",
        }
        self.slipped_in = {"frames": 0, "documents": 0}
        """Messages that were slipped in."""

    def wait_for_listener(self, timeout_s: float = 90.0) -> None:
        """Wait until somebody subscribes to the documents: what is sent before that is lost."""
        assert self._out["documents"].poll(1000 * timeout_s), f"nobody subscribed within {timeout_s:.0f} s"
        self._out["documents"].recv()

    def close(self) -> None:
        self._context.destroy(linger=0)

    @contextlib.contextmanager
    def attached(
        self,
        addresses: dict[str, str],
        *,
        frames: Iterable[list[bytes]] = (),
        documents: Iterable[list[bytes]] = (),
    ) -> Iterator[None]:
        """Pass on what a beamline sends; a few of `frames` and `documents` follow each of its messages."""
        slip = {"frames": iter(frames), "documents": iter(documents)}

        def pass_on(wire: str, good: list[bytes]) -> None:
            self._out[wire].send_multipart(good)
            if good[0].startswith(PROBE_PREFIX):
                return  # sent before anybody listens
            for _, message in zip(range(_SLIPPED_AT_ONCE), slip[wire], strict=False):
                self._out[wire].send_multipart(message)
                self.slipped_in[wire] += 1

        with hearing(self._context, addresses, pass_on):
            yield
