"""The socket that bluesky documents come over."""

import zmq

from phasecast.core.curve_keys import CurveKeys
from phasecast.core.record import Channel
from phasecast.sources.zmq_receiver import ZmqReceiver

CHANNEL = Channel("bluesky")

_HIGH_WATER_MARK = 100_000
"""A PUB drops in silence at the reader's mark: 1422 of 6000 events were lost at the default of 1000."""


class DocumentReceiver(ZmqReceiver):
    """SUB socket that records the documents a bluesky 0MQ proxy hands out.

    Parameters
    ----------
    address
        Address of the proxy's out port, such as ``tcp://host:5578``.
    prefix
        The publisher's prefix; other prefixes are not received.
    channel
        Name of the wire in the capture.
    curve
        Keys where the proxy asks for CURVE; None for none.
    """

    def __init__(
        self, address: str, *, prefix: str = "", channel: Channel = CHANNEL, curve: CurveKeys | None = None
    ) -> None:
        super().__init__(
            channel,
            address,
            kind=zmq.SUB,
            high_water_mark=_HIGH_WATER_MARK,
            # With its blank: "bl1" alone would also match "bl10".
            subscription=prefix.encode() + b" ",
            curve=curve,
        )
