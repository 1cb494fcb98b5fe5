"""SIMPLON V2 messages of the simulated beamline, as the daemon's own decoder and the published format read them."""

import cbor2
import numpy as np
import pytest
import zmq

from phasecast.core.frame import Frame
from phasecast.core.scan import Defect, SeriesEnd, SeriesStart
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.transport import Exposure
from phasecast.simulate.transport_simplon2 import Simplon2Transport
from phasecast.sources.simplon2 import Simplon2Decoder
from support.simplon_wire import record


def _exposure(counts, *, number=0, defect=""):
    start_ns = 10**12 + number * 10**8
    return Exposure(
        counts=counts,
        series=3,
        number=number,
        start_ns=start_ns,
        stop_ns=start_ns + 10**8,
        start_time=0.0,
        defect=defect,
    )


@pytest.mark.parametrize("encoding", ["bs32-lz4<", "lz4<", "<"])
def test_both_thresholds_survive_the_wire(encoding):
    counts = np.random.default_rng(1).poisson(3.0, (195, 487)).astype(np.int32)
    transport = Simplon2Transport(0, encoding=encoding)
    address, _, choice = transport.address.partition("?")
    assert choice == "channel=threshold_1"
    pull = zmq.Context.instance().socket(zmq.PULL)
    pull.setsockopt(zmq.RCVTIMEO, 10_000)
    pull.connect(address.replace("simplon2://", "tcp://"))
    transport.arm(3, frames=12, exposure_s=0.1)
    for number, defect in enumerate(("", "truncated", "wrong_shape")):
        assert transport.send(_exposure(counts, number=number, defect=defect))
    transport.end(3)
    messages = [pull.recv_multipart() for _ in range(5)]
    transport.close()
    pull.close(linger=0)
    assert all(len(parts) == 1 and cbor2.loads(parts[0])["series_id"] == 3 for parts in messages)
    lower, upper = (
        [message for parts in messages for message in decoder.decode(record(parts))]
        for decoder in (Simplon2Decoder(image_channel=f"threshold_{n}") for n in (1, 2))
    )
    for channel, expected in ((lower, counts), (upper, counts * 4 // 5)):
        start, good, cut, narrow, end = channel
        assert isinstance(start, SeriesStart)
        assert start.expected_frames == 12
        assert start.settings["threshold_energy"] == {"threshold_1": 5000.0, "threshold_2": 8000.0}
        assert isinstance(good, Frame)
        np.testing.assert_array_equal(good.image, expected)
        assert (good.hardware_s, good.exposure_s) == (0.0, 0.1)
        assert isinstance(cut, Defect)
        assert isinstance(narrow, Frame)
        assert (narrow.image.shape, narrow.hardware_s) == ((195, 486), 0.2)
        assert isinstance(end, SeriesEnd)
        assert end.series == start.series == good.series


def test_a_consumer_that_never_comes_is_an_error():
    transport = Simplon2Transport(0, connect_timeout_s=0.1)
    with pytest.raises(SimulationError, match="no consumer connected"):
        transport.arm(1, frames=1, exposure_s=0.1)
    transport.close()
