"""Wires that most beamlines do without: EPICS PVA, PSI's and MAX IV's streams, documents over Kafka."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote

import zmq

from phasecast.core.record import Channel, Decoder, Receiver
from phasecast.sources.kafka import KafkaReceiver
from phasecast.sources.psi import SOCKETS, PsiDecoder, PsiReceiver
from phasecast.sources.pva import PvaReceiver
from phasecast.sources.pva_record import PvaDecoder
from phasecast.sources.source_options import SourceOptions
from phasecast.sources.stins import StinsDecoder
from phasecast.sources.zmq_receiver import ZmqReceiver

EXAMPLES = {
    "pva": "pva://13PIL:Pva1:Image",
    "psi": "psi://host:9999",
    "stins": "stins://host:9999",
    "kafka": "kafka://broker:9092/topic",
}
PARAMETERS = {
    "pva": {"channel", "server"},
    "psi": {"channel", "socket"},
    "stins": {"channel"},
    "kafka": {"channel", "group", "from_start", "counter_field", "counter_offset"},
}

_HIGH_WATER_MARK = 1000
_PV = re.compile(r"[A-Za-z0-9_:.;<>\[\]{}$/-]{1,128}")
_SERVER = re.compile(r"[A-Za-z0-9.\[\]:-]+:\d{1,5}")
_BROKERS = re.compile(r"[A-Za-z0-9._-]+:\d{1,5}(,[A-Za-z0-9._-]+:\d{1,5})*")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def make_further_receiver(
    kind: str, split: SplitResult, address: str, channel: Channel, parameters: Mapping[str, str]
) -> Receiver:
    """Return the receiver of one of these wires.

    Parameters
    ----------
    kind
        A key of `EXAMPLES`.
    split
        The URI.
    address
        What the URI names as a ZMQ address; empty for wires that have none.
    channel
        Name of the wire in the capture.
    parameters
        The URI's own, of `PARAMETERS`.

    Raises
    ------
    ValueError
        If name or parameter is malformed; it says which and how.
    """
    match kind:
        case "psi":
            socket = _matched(re.compile("|".join(SOCKETS)), parameters.get("socket", "sub"), "socket")
            return PsiReceiver(address, channel=channel, socket=socket)
        case "stins":
            return ZmqReceiver(channel, address, kind=zmq.PULL, high_water_mark=_HIGH_WATER_MARK)
        case "pva":
            pv = _matched(_PV, unquote(split.netloc + split.path), "name of the process variable")
            server = _matched(_SERVER, parameters["server"], "server") if "server" in parameters else ""
            return PvaReceiver(pv, channel=channel, server=server)
        case _:
            return KafkaReceiver(
                _matched(_BROKERS, split.netloc, "broker"),
                _matched(_TOPIC, unquote(split.path.strip("/")), "topic"),
                channel=channel,
                group=parameters.get("group", ""),
                from_start=_matched(re.compile("[01]"), parameters.get("from_start", "0"), "from_start") == "1",
            )


def make_further_decoder(kind: str, options: SourceOptions, pattern: re.Pattern[str] | None) -> Decoder:
    """Return the decoder of one of these wires that carries frames; `pattern` finds the number in names of files."""
    numbers = (*options.number_fields, *options.monitor_fields)
    if kind == "psi":
        return PsiDecoder(
            max_image_bytes=options.max_image_bytes,
            position_fields=options.position_fields,
            number_pattern=pattern,
            number_fields=numbers,
        )
    if kind == "stins":
        return StinsDecoder(max_image_bytes=options.max_image_bytes)
    return PvaDecoder(max_image_bytes=options.max_image_bytes, number_fields=numbers)


def _matched(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"{what} {text[:60]!r} is malformed")
    return text
