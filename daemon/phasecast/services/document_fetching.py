"""Joining the bluesky wire and the fetcher of the files that its documents name."""

from collections.abc import Sequence
from dataclasses import replace

from phasecast.core.record import Receiver
from phasecast.sources import documents
from phasecast.sources.document_frames import DocumentFrameReceiver, FrameFetcher
from phasecast.sources.document_roots import DocumentRoots
from phasecast.sources.uri import Source, SourceOptions


def with_documents(sources: Sequence[Source], wires: SourceOptions) -> tuple[SourceOptions, list[Receiver]]:
    """Return how records are decoded, and who fetches what documents name.

    Parameters
    ----------
    sources
        The opened sources; what the address of a bluesky wire says holds for its decoder.
    wires
        What the profile says.
    """
    listening = [source for source in sources if source.channel.partition(".")[0] == documents.CHANNEL]
    for source in listening:
        wires = replace(
            wires,
            counter_field=source.options.counter_field,
            counter_offset=source.options.counter_offset,
            documents=source.options.documents,
        )
    codecs = {codec for source in listening for codec in source.options.documents.codecs}
    wires = replace(wires, documents=replace(wires.documents, codecs=tuple(codecs) or wires.documents.codecs))
    if not listening or not wires.documents.roots:
        return wires, []
    fetcher = FrameFetcher(
        DocumentRoots(wires.documents.roots),
        budget=wires.read_budget,
        timeout_s=wires.timeout_s,
        max_bytes=wires.max_image_bytes,
        copy_frames=wires.copy_frames,
    )
    wires = replace(wires, documents=replace(wires.documents, want=fetcher.want, recorded=fetcher.recorded))
    return wires, [DocumentFrameReceiver(fetcher, poll_s=wires.poll_s)]
