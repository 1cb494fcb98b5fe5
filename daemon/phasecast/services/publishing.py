"""Reading the address that results are published at."""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from phasecast.core.errors import PhasecastError
from phasecast.sinks.publisher import DocumentPublisher, PublishAddress
from phasecast.sources.curve import client_keys, server_keys

_EXAMPLE = "write for example tcp://127.0.0.1:5580 or 'tcp://proxy:5577?connect=1&prefix=phasecast'"
_PARAMETERS = {"prefix", "connect", "own_keys", "server_key", "client_keys"}


def open_publisher(text: str, sources: Iterable[str] = ()) -> DocumentPublisher:
    """Return the sink that publishes at an address; see `read_publish_address`.

    Raises
    ------
    PhasecastError
        If the address is malformed or cannot be used.
    """
    return DocumentPublisher(read_publish_address(text, sources))


def read_publish_address(text: str, sources: Iterable[str] = ()) -> PublishAddress:
    """Read ``tcp://host:port[?prefix=&connect=1&own_keys=&server_key=&client_keys=]``.

    Parameters
    ----------
    text
        The address. Consumers connect to it; with ``connect=1`` it is the in port of a proxy. CURVE keys: ``own_keys``
        (``.key_secret``), and with ``connect=1`` ``server_key``, else ``client_keys``, a folder of those let in.
    sources
        URIs that are listened to: their prefixes are not ours.

    Raises
    ------
    PhasecastError
        If it is malformed, would show results beyond this machine unencrypted, or has the prefix of a source.
    """
    try:
        split = urlsplit(text)
        host, port = split.hostname, split.port
    except ValueError as error:
        raise _bad(text, str(error)) from error
    if split.scheme != "tcp" or not host or port is None or split.path not in ("", "/"):
        raise _bad(text, "is no tcp address with host and port")
    parameters = dict(parse_qsl(split.query, keep_blank_values=True))
    if unknown := set(parameters) - _PARAMETERS:
        raise _bad(text, f"unknown parameter {min(unknown)!r} (known: {', '.join(sorted(_PARAMETERS))})")
    prefix, connects = parameters.get("prefix", "phasecast"), parameters.get("connect", "0")
    if not prefix or " " in prefix or not prefix.isascii():
        raise _bad(text, f"prefix {prefix!r} must be ASCII without blanks")
    if connects not in ("0", "1"):
        raise _bad(text, "connect must be 0 or 1")
    if prefix in {_prefix_of(uri) for uri in sources if uri.startswith("bluesky:")}:
        raise PhasecastError(
            f"prefix {prefix!r} is that of documents we listen to", where=text, remedy="choose another one for results"
        )
    files = {name: Path(parameters[name]).expanduser() for name in ("own_keys", "server_key", "client_keys")
             if name in parameters}  # fmt: skip
    own, server, clients = files.get("own_keys"), files.get("server_key"), files.get("client_keys")
    needless = clients if connects == "1" else server
    if needless is not None or (own is None and (server or clients)):
        raise _bad(text, "give own_keys, and with connect=1 server_key, else client_keys")
    if clients is not None and not clients.is_dir():
        raise _bad(text, f"client_keys {clients} is no folder")
    keys = None
    if connects == "1" and server is not None:
        keys = client_keys(server, own)
    elif own is not None:
        keys = server_keys(own)
    if connects == "1" and own is not None and server is None:
        raise _bad(text, "own_keys with connect=1 need server_key")
    if connects == "0" and keys is None and not _is_this_machine(host):
        raise PhasecastError(
            "results would be open to everybody on the network",
            where=text,
            remedy="bind to 127.0.0.1, or give CURVE keys: own_keys=FILE.key_secret&client_keys=FOLDER",
        )
    address = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    return PublishAddress(address=address, prefix=prefix, connects=connects == "1", keys=keys, client_keys=clients)


def _prefix_of(uri: str) -> str:
    return dict(parse_qsl(urlsplit(uri).query)).get("prefix", "")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bad(text: str, what: str) -> PhasecastError:
    return PhasecastError(what, where=f"--publish {text}", remedy=_EXAMPLE)
