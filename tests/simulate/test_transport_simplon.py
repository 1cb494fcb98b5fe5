"""SIMPLON V1 messages as a consumer decodes them."""

import contextlib
import json
import time

import numpy as np
import pytest
import zmq

from phasecast.simulate.bitshuffle_encoder import BitshuffleEncoder
from phasecast.simulate.errors import SimulationError
from phasecast.simulate.transport import Exposure
from phasecast.simulate.transport_simplon import SimplonTransport
from support.simulated_consumer import decode_v1


def _exposure(counts, *, number=0, defect=""):
    return Exposure(
        counts=counts, series=3, number=number, start_ns=10**12, stop_ns=10**12 + 5, start_time=0.0, defect=defect
    )


@pytest.fixture
def counts():
    return np.random.default_rng(1).poisson(3.0, (195, 487)).astype(np.int32)


@pytest.fixture
def wire():
    """Opens a transport and its only consumer, and closes both."""
    opened = []

    def open_wire(**options):
        transport = SimplonTransport(0, **options)
        pull = zmq.Context.instance().socket(zmq.PULL)
        pull.connect(transport.address.replace("simplon://", "tcp://"))
        pull.setsockopt(zmq.RCVTIMEO, 10_000)
        opened.append((transport, pull))
        transport.arm(3, frames=12, exposure_s=0.1)
        return transport, pull

    yield open_wire
    for transport, pull in opened:
        transport.close()
        pull.close(linger=0)


@pytest.mark.parametrize("encoding", ["bs32-lz4<", "lz4<", "<"])
def test_frames_survive_the_wire(wire, counts, encoding):
    transport, pull = wire(encoding=encoding)
    header, config = (json.loads(part) for part in pull.recv_multipart())
    assert header == {"htype": "dheader-1.0", "series": 3, "header_detail": "basic"}
    assert config["nimages"] * config["ntrigger"] == 12
    assert config["photon_energy"] == 10_000
    assert (config["x_pixels_in_detector"], config["y_pixels_in_detector"]) == (487, 195)
    assert transport.send(_exposure(counts, number=7))
    parts = pull.recv_multipart()
    assert len(parts) == 4
    first, detail, times = json.loads(parts[0]), json.loads(parts[1]), json.loads(parts[3])
    assert (first["htype"], first["series"], first["frame"]) == ("dimage-1.0", 3, 7)
    assert detail["shape"] == [487, 195]
    assert detail["size"] == len(parts[2])
    assert detail["encoding"] == encoding
    assert times["stop_time"] - times["start_time"] == times["real_time"] == 5
    np.testing.assert_array_equal(decode_v1(parts), counts)
    transport.end(3)
    assert json.loads(pull.recv_multipart()[0]) == {"htype": "dseries_end-1.0", "series": 3}


def test_the_blob_is_the_hdf5_chunk_format(counts):
    encoder = BitshuffleEncoder()
    blob = encoder.encode(counts.astype("<u4"))
    encoder.close()
    assert int.from_bytes(blob[:8], "big") == counts.size * 4
    assert int.from_bytes(blob[8:12], "big") == 8192


def test_defective_frames_are_defective(wire, counts):
    transport, pull = wire()
    pull.recv_multipart()
    for defect in ("truncated", "flipped", "wrong_shape"):
        transport.send(_exposure(counts, defect=defect))
    truncated, flipped, cropped = (pull.recv_multipart() for _ in range(3))
    with pytest.raises(Exception):  # noqa: B017  whatever the decoder says, it does not return data
        decode_v1(truncated)
    with contextlib.suppress(ValueError, RuntimeError):
        assert not np.array_equal(decode_v1(flipped), counts)
    assert json.loads(cropped[1])["shape"] == [486, 195]
    np.testing.assert_array_equal(decode_v1(cropped), counts[:, :-1])


def test_a_consumer_that_never_comes_is_an_error():
    transport = SimplonTransport(0, connect_timeout_s=0.2)
    with pytest.raises(SimulationError, match="no consumer connected"):
        transport.arm(1, frames=1, exposure_s=0.1)
    transport.close()


def test_a_port_in_use_is_an_error():
    first = SimplonTransport(0)
    port = int(first.address.rpartition(":")[2])
    with pytest.raises(SimulationError, match="cannot bind"):
        SimplonTransport(port)
    first.close()


def test_frames_nobody_takes_are_lost_and_counted(wire, counts):
    transport, pull = wire(stall_timeout_s=0.05, encoding="<")
    pull.close(linger=0)
    deadline = time.monotonic() + 20
    lost = False
    while not lost and time.monotonic() < deadline:
        lost = not transport.send(_exposure(counts))
    assert lost
