"""A person's declaration of a scan as a record of the capture, so that restart and replay know it at its place."""

from collections.abc import Iterator
from typing import Annotated

import cbor2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasecast.core.record import Channel, RawRecord
from phasecast.core.scan import Defect, Message, ScanDeclared

CHANNEL = Channel("declaration")
MALFORMED = "malformed record"


class _Note(BaseModel):
    """What is recorded of a declaration."""

    model_config = ConfigDict(strict=True)

    declaration_id: Annotated[str, Field(min_length=1, max_length=128)]
    text: str
    folder: str
    who: str
    declared_s: float
    known_series: list[str] = []


def encode_declaration(declared: ScanDeclared) -> list[bytes]:
    """Return the parts of the record of a declaration."""
    note = _Note(
        declaration_id=declared.declaration_id,
        text=declared.text,
        folder=declared.folder,
        who=declared.who,
        declared_s=declared.declared_s,
        known_series=sorted(declared.known_series),
    )
    return [bytes(cbor2.dumps(note.model_dump()))]


class DeclarationDecoder:
    """Reads recorded declarations; what they declare is checked by who opens the scan."""

    def decode(self, record: RawRecord) -> Iterator[Message]:
        """Yield the declaration of one record, or the Defect that it is."""
        try:
            (content,) = record.parts
            note = _Note.model_validate(cbor2.loads(content))
        except (cbor2.CBORError, ValidationError, ValueError, TypeError, RecursionError, MemoryError) as error:
            detail = f"recorded declaration: {str(error).splitlines()[0]}"
            yield Defect(reason=MALFORMED, detail=detail, channel=record.channel, received_s=record.received_s)
            return
        yield ScanDeclared(
            declaration_id=note.declaration_id,
            text=note.text,
            folder=note.folder,
            who=note.who,
            declared_s=note.declared_s,
            known_series=frozenset(note.known_series),
        )
