"""What the address of a SIMPLON stream says beside host and port: the image channel, and where to ask for losses."""

import re
from urllib.parse import urlsplit

from phasecast.core.record import Channel
from phasecast.sources.simplon2 import CHANNEL

_IMAGE_CHANNEL = re.compile(r"[0-9_-]*[A-Za-z][A-Za-z0-9_-]*")


def wire_name(stated: str, declared: str) -> Channel:
    """Return the name in the capture of a wire of stream V2, which bears the image channel that was chosen.

    So a capture says by itself which images were taken, to a restarted service as to a replay.

    Parameters
    ----------
    stated
        Image channel, or name of the wire, in the address; empty if it says neither.
    declared
        Image channel of the profile; empty if it names none.

    Raises
    ------
    ValueError
        If an image channel has another name than detectors give.
    """
    if stated.partition(".")[0] == CHANNEL:
        return Channel(stated)
    chosen = stated or declared
    if chosen and not _IMAGE_CHANNEL.fullmatch(chosen):
        raise ValueError(f"channel {chosen!r} is not letters, digits, '_' or '-', with one letter at least")
    return Channel(f"{CHANNEL}.{chosen}" if chosen else CHANNEL)


def image_channel(wire: Channel) -> str:
    """Return the image channel that the name of a wire bears; empty if none."""
    name = wire.split(".")[1:2]
    return name[0] if name and _IMAGE_CHANNEL.fullmatch(name[0]) else ""


def stream_interface(rest: str) -> str:
    """Return where a detector's stream interface is; empty if it is not to be asked.

    Raises
    ------
    ValueError
        If it is no http address.
    """
    address = rest.rstrip("/")
    if not address:
        return ""
    split = urlsplit(address)
    if split.scheme not in ("http", "https") or not split.netloc:
        raise ValueError(f"rest={address} is no http address such as http://dcu or http://dcu/stream/api/1.8.0")
    return address if split.path else f"{address}/stream/api/1.8.0"
