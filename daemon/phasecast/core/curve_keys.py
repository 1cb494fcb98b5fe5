"""Keys of an encrypted 0MQ connection (CURVE)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveKeys:
    """The keys of one end, in 0MQ's own text form (Z85).

    Parameters
    ----------
    public, secret
        Its own pair.
    server
        The public key of the other end, where that one is the server; empty where this end is.
    """

    public: bytes
    secret: bytes = field(repr=False)
    server: bytes = b""
