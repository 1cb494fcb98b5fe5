"""Reading CURVE keys from files as ``zmq.auth.create_certificates`` writes them."""

from pathlib import Path

import zmq
import zmq.auth

from phasecast.core.curve_keys import CurveKeys
from phasecast.core.errors import SourceError


def client_keys(server_key: Path, own_keys: Path | None = None) -> CurveKeys:
    """Return the keys of a client.

    Parameters
    ----------
    server_key
        File with the server's public key.
    own_keys
        File with the client's own pair (``.key_secret``); None makes a pair for this process, which only a server
        that lets everybody in accepts.

    Raises
    ------
    SourceError
        If a file cannot be read or lacks the key.
    """
    server, _ = _load(server_key)
    public, secret = zmq.curve_keypair() if own_keys is None else _pair(own_keys)
    return CurveKeys(public=public, secret=secret, server=server)


def server_keys(own_keys: Path) -> CurveKeys:
    """Return the keys of a server; raises SourceError if the file cannot be read or lacks the secret key."""
    public, secret = _pair(own_keys)
    return CurveKeys(public=public, secret=secret)


def _pair(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if not secret:
        raise SourceError(
            "holds no secret key", where=str(path), remedy="name the file that ends in .key_secret, not .key"
        )
    return public, secret


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"is no file of CURVE keys ({error})",
            where=str(path),
            remedy="make keys with python -c \"import zmq.auth; zmq.auth.create_certificates('.', 'phasecast')\"",
        ) from error
