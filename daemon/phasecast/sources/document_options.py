"""What is declared of the bluesky wire beyond its address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasecast.sources.document_codec import CODECS
from phasecast.sources.document_roots import DocumentRoot
from phasecast.sources.wanted_frames import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOptions:
    """Options of the bluesky wire.

    Parameters
    ----------
    stage_fields, image_field
        See `DocumentDecoder`.
    roots
        Folders in which files that documents name may be read; none: such frames come over another wire.
    want
        Takes what documents name; None where nobody fetches it.
    recorded
        Told of each frame that the capture holds already, by series and number, and of rows by descriptor and first.
    keep
        Takes each document that was decoded, by name; None where nobody keeps them. It never raises.
    codecs
        How documents may be serialised. A wire that is opened lets pickle in only where its address names it.
    server_key, client_key
        Files with the proxy's public CURVE key and our own pair; None for a plain connection, and for a pair that is
        made for this process.
    """

    stage_fields: tuple[str, ...] = ()
    image_field: str = ""
    roots: tuple[DocumentRoot, ...] = ()
    want: Callable[[Wanted], None] | None = None
    recorded: Callable[[str, int], None] | None = None
    keep: Callable[[str, Mapping[str, Any]], None] | None = None
    codecs: tuple[str, ...] = CODECS
    server_key: Path | None = None
    client_key: Path | None = None
