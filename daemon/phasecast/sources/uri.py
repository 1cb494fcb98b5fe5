"""Opening sources by their URI, and the decoders that belong to a channel."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from phasecast.core.errors import SourceError
from phasecast.core.record import Channel, Decoder, Receiver
from phasecast.sources import (
    capture_replay,
    declaration_record,
    document_frame_record,
    documents,
    file_record,
    further_wires,
    position_log,
    simplon,
)
from phasecast.sources.capture_replay import CaptureDecoder, CaptureReceiver
from phasecast.sources.curve import client_keys
from phasecast.sources.declaration_record import DeclarationDecoder
from phasecast.sources.directory import DirectoryReceiver
from phasecast.sources.document_codec import CODECS
from phasecast.sources.document_frame_decoder import DocumentFrameDecoder
from phasecast.sources.document_options import DocumentOptions
from phasecast.sources.documents import DocumentDecoder, DocumentReceiver
from phasecast.sources.file_decoder import FileDecoder
from phasecast.sources.kafka import CHANNEL as KAFKA
from phasecast.sources.kafka import KafkaDecoder
from phasecast.sources.position_log import PositionLogReceiver
from phasecast.sources.position_log_decoder import LogDecoder
from phasecast.sources.simplon import SimplonDecoder
from phasecast.sources.simplon2 import CHANNEL as SIMPLON2
from phasecast.sources.simplon2 import Simplon2Decoder
from phasecast.sources.simplon_address import image_channel, stream_interface, wire_name
from phasecast.sources.simplon_receiver import SimplonReceiver
from phasecast.sources.source_options import SourceOptions

__all__ = ["EXAMPLES", "Source", "SourceOptions", "make_decoder", "open_source"]

EXAMPLES = {
    "files": "files:///ramdisk/run1",
    "simplon": "simplon://host:9999",
    "simplon2": "simplon2://host:31001?channel=threshold_1",
    "bluesky": "bluesky://host:5578?prefix=bl16xu",
    "log": "log:///data/positions.txt",
    "capture": "capture:///data/captures",
    **further_wires.EXAMPLES,
}
_PARAMETERS = {
    "files": {"channel", "existing", "wait", "poll_s", "timeout_s"},
    "simplon": {"channel", "rest"},
    "simplon2": {"channel", "rest"},
    "bluesky": {
        *("channel", "prefix", "counter_field", "counter_offset"),
        *("codec", "image_field", "server_key", "client_key"),
    },
    "log": {"channel", "poll_s"},
    "capture": {"channel"},
    **further_wires.PARAMETERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One opened URI.

    Parameters
    ----------
    uri
        As given.
    channel
        Name of the wire in the capture.
    receiver, decoder
        The wire's two halves.
    options
        What the URI made of the options.
    """

    uri: str
    channel: Channel
    receiver: Receiver
    decoder: Decoder
    options: SourceOptions


def open_source(uri: str, options: SourceOptions | None = None) -> Source:
    """Return the source that a URI names; nothing is connected before its receiver is started.

    Raises
    ------
    SourceError
        If the URI is malformed or names a wire that is not supported.
    CaptureError
        If a ``capture:`` URI names no capture.
    """
    try:
        split = urlsplit(uri)
    except ValueError as error:
        raise _bad(uri, str(error)) from error
    kind = split.scheme
    if kind not in EXAMPLES:
        raise _bad(uri, f"unknown kind of source {kind!r}" if kind else "no kind of source")
    parameters = _parameters(uri, split)
    options = _merge(uri, options or SourceOptions(), parameters)
    channel = _channel(uri, kind, parameters, options)
    if channel.partition(".")[0] != kind:
        raise _bad(uri, f"channel {channel!r} must be {kind!r} or begin with '{kind}.'")
    make: Callable[[], Receiver] = {
        "files": lambda: _files(uri, split, channel, options),
        "simplon": lambda: _simplon(uri, split, channel, parameters),
        "simplon2": lambda: _simplon(uri, split, channel, parameters),
        "bluesky": lambda: _documents(uri, split, channel, options),
        "log": lambda: PositionLogReceiver(_path(uri, split), channel=channel, poll_s=max(options.poll_s, 0.05)),
        "capture": lambda: CaptureReceiver(_path(uri, split), channel=channel),
    }.get(kind, lambda: _further(uri, split, channel, parameters))
    return Source(uri=uri, channel=channel, receiver=make(), decoder=make_decoder(channel, options), options=options)


def make_decoder(channel: Channel, options: SourceOptions | None = None) -> Decoder:
    """Return a new decoder for the records of a channel; the channel's name up to a dot says which.

    Raises
    ------
    SourceError
        If no wire of that name is known.
    """
    options = options or SourceOptions()
    kind = channel.partition(".")[0]
    if kind == simplon.CHANNEL:
        return SimplonDecoder(max_image_bytes=options.max_image_bytes)
    if kind == SIMPLON2:
        return Simplon2Decoder(
            image_channel=image_channel(channel) or options.image_channel, max_image_bytes=options.max_image_bytes
        )
    if kind == KAFKA:
        return KafkaDecoder(make_decoder(documents.CHANNEL, options))
    if kind in further_wires.EXAMPLES:
        return further_wires.make_further_decoder(kind, options, _pattern(options.number_pattern))
    if kind == documents.CHANNEL:
        return DocumentDecoder(
            counter_field=options.counter_field,
            counter_offset=options.counter_offset,
            stage_fields=options.documents.stage_fields,
            image_field=options.documents.image_field,
            fetches=documents.FETCHED in channel.split(".")[1:],
            want=options.documents.want,
            codecs=options.documents.codecs,
            keep=options.documents.keep,
        )
    if kind == document_frame_record.CHANNEL:
        return DocumentFrameDecoder(
            file_roots=options.file_roots,
            max_bytes=options.max_image_bytes,
            budget=options.read_budget,
            recorded=options.documents.recorded,
        )
    if kind == file_record.CHANNEL:
        return FileDecoder(
            file_roots=options.file_roots,
            position_fields=options.position_fields,
            um_per_number=options.um_per_number,
            position_in_sidecar=options.position_in_sidecar,
            number_pattern=_pattern(options.number_pattern),
            raw_shape=options.raw_shape,
            max_bytes=options.max_image_bytes,
            number_fields=(*options.number_fields, *options.monitor_fields),
            needs_sidecar=options.sidecar is not None,
            budget=options.read_budget,
        )
    if kind == declaration_record.CHANNEL:
        return DeclarationDecoder()
    if kind == position_log.CHANNEL and options.log_decoder is not None:
        return options.log_decoder(channel)
    if kind == position_log.CHANNEL:
        if options.log is None:
            raise SourceError(
                "nothing says how the log is read",
                where=f"source {channel}",
                remedy="give --scan scan.toml with [log], or the profile [position_log]",
            )
        return LogDecoder(options.log, point_s=options.point_s)
    if kind == capture_replay.CHANNEL:
        return CaptureDecoder(lambda inner: make_decoder(inner, options))
    raise SourceError(
        f"channel {channel!r} is not one of {', '.join(EXAMPLES)}",
        where="capture",
        remedy="was it recorded by a newer phasecast?",
    )


def _bad(uri: str, what: str) -> SourceError:
    scheme = uri.partition(":")[0]
    examples = [EXAMPLES[scheme]] if scheme in EXAMPLES else list(EXAMPLES.values())
    return SourceError(what, where=uri, remedy=f"write for example {' or '.join(examples)}")


def _channel(uri: str, kind: str, parameters: Mapping[str, str], options: SourceOptions) -> Channel:
    """Return the wire's name in the capture.

    That of a stream V2 says which images are taken, that of documents whether the frames that they name are fetched.
    """
    stated = parameters.get("channel", "")
    if kind == documents.CHANNEL and options.documents.roots:
        named = stated or kind
        return Channel(named if documents.FETCHED in named.split(".")[1:] else f"{named}.{documents.FETCHED}")
    if kind != SIMPLON2:
        return Channel(stated or kind)
    try:
        return wire_name(stated, options.image_channel)
    except ValueError as error:
        raise _bad(uri, str(error)) from error


def _simplon(uri: str, split: SplitResult, channel: Channel, parameters: Mapping[str, str]) -> SimplonReceiver:
    try:
        rest = stream_interface(parameters.get("rest", ""))
    except ValueError as error:
        raise _bad(uri, str(error)) from error
    return SimplonReceiver(_tcp(uri, split), channel=channel, rest=rest)


def _parameters(uri: str, split: SplitResult) -> dict[str, str]:
    parameters = dict(parse_qsl(split.query, keep_blank_values=True))
    allowed = _PARAMETERS[split.scheme]
    for name in parameters:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise _bad(uri, f"unknown parameter {name!r} (known: {known})")
    return parameters


def _merge(uri: str, options: SourceOptions, parameters: Mapping[str, str]) -> SourceOptions:
    convert: dict[str, Callable[[str], object]] = {
        "existing": _flag,
        "wait": _flag,
        "poll_s": _positive,
        "timeout_s": _positive,
        "prefix": _word,
        "counter_field": str,
        "counter_offset": int,
    }
    changes: dict[str, Any] = {}
    for name, text in parameters.items():
        if name in convert:
            try:
                changes[name] = convert[name](text)
            except ValueError as error:
                raise _bad(uri, f"{name}={text}: {error}") from error
    if urlsplit(uri).scheme == documents.CHANNEL:
        changes["documents"] = _document_options(uri, options.documents, parameters)
    return replace(options, **changes)


def _document_options(uri: str, options: DocumentOptions, parameters: Mapping[str, str]) -> DocumentOptions:
    named = {name for name in parameters.get("codec", "").split(",") if name}
    if unknown := named - {*CODECS}:
        raise _bad(uri, f"codec={min(unknown)}: must be of {', '.join(CODECS)}")
    keys = {name: Path(parameters[name]).expanduser() for name in ("server_key", "client_key") if name in parameters}
    if "client_key" in keys and "server_key" not in keys:
        raise _bad(uri, "client_key without server_key")
    return replace(
        options,
        # pickle is replayed against stand-ins, and still is let in where it is asked for alone
        codecs=tuple(named) or ("msgpack", "json"),
        image_field=parameters.get("image_field", options.image_field),
        server_key=keys.get("server_key"),
        client_key=keys.get("client_key"),
    )


def _documents(uri: str, split: SplitResult, channel: Channel, options: SourceOptions) -> DocumentReceiver:
    keys = options.documents
    curve = client_keys(keys.server_key, keys.client_key) if keys.server_key is not None else None
    return DocumentReceiver(_tcp(uri, split), prefix=options.prefix, channel=channel, curve=curve)


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError("must be a positive number of seconds")
    return value


def _word(text: str) -> str:
    if " " in text:
        raise ValueError("a prefix holds no blank")
    return text


def _tcp(uri: str, split: SplitResult) -> str:
    try:
        host, port = split.hostname, split.port
    except ValueError as error:
        raise _bad(uri, str(error)) from error
    if not host or not port or split.path not in ("", "/"):
        raise _bad(uri, "host and port are needed, and nothing behind them")
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _path(uri: str, split: SplitResult) -> Path:
    """Return the path of ``kind:///absolute``, ``kind:relative`` or ``kind://relative``."""
    path = unquote(split.netloc + split.path, errors="surrogateescape")
    if not path:
        raise _bad(uri, "no path")
    return Path(path).expanduser()


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise SourceError(f"{text!r} is no regular expression ({error})", where="number_pattern") from error
    if not pattern.groups:
        raise SourceError(f"{text!r} has no group", where="number_pattern", remedy=r"write for example _(\d+)\.cbf")
    return pattern


def _further(uri: str, split: SplitResult, channel: Channel, parameters: Mapping[str, str]) -> Receiver:
    address = _tcp(uri, split) if split.scheme in ("psi", "stins") else ""
    try:
        return further_wires.make_further_receiver(split.scheme, split, address, channel, parameters)
    except ValueError as error:
        raise _bad(uri, str(error)) from error


def _files(uri: str, split: SplitResult, channel: Channel, options: SourceOptions) -> DirectoryReceiver:
    return DirectoryReceiver(
        _path(uri, split),
        channel=channel,
        wait=options.wait,
        poll_s=options.poll_s,
        existing=options.existing,
        timeout_s=options.timeout_s,
        number_pattern=_pattern(options.number_pattern),
        raw_shape=options.raw_shape,
        max_bytes=options.max_image_bytes,
        patterns=options.file_patterns,
        number_fields=options.number_fields,
        sidecar=options.sidecar,
        budget=options.read_budget,
        copy_frames=options.copy_frames,
        dataset=options.dataset,
    )
