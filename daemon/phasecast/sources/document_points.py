"""Points of fly scans, which have no event documents: sequence numbers, streamed numbers and what the start says."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from phasecast.core.frame import datum_key
from phasecast.core.record import RawRecord
from phasecast.core.scan import Defect, Message, PointMeasured, PositionDoubt
from phasecast.sources.document_runs import Run, Stream
from phasecast.sources.document_wishes import DocumentWishes
from phasecast.sources.wanted_frames import WantedRows

NO_POSITION = "position missing"


class FlyPoints:
    """Makes points of streams without events: they are what all streams of a run cover.

    Parameters
    ----------
    wishes
        Where numbers in files are asked for.
    fetches, stage_fields
        See `DocumentDecoder`.
    """

    def __init__(self, wishes: DocumentWishes, *, fetches: bool, stage_fields: Sequence[str]) -> None:
        self._wishes = wishes
        self._fetches = fetches
        self._stage_fields = tuple(stage_fields)

    def take(self, record: RawRecord, stream: Stream, *, all_that_came: bool = False) -> Iterator[Message]:
        """Yield the points that a stream covers by now, or ask for their positions.

        Parameters
        ----------
        record
            The record of the newest document.
        stream
            A stream without events.
        all_that_came
            Whether points count that only some of its fields cover: at the end of a run.
        """
        run = stream.run
        if stream.rows is None:
            return
        first_seq, count = stream.rows.take(all_that_came=all_that_came)
        if not count:
            return
        run.last_seq = max(run.last_seq, first_seq + count - 1)
        numbers = stream.numbers if self._fetches else ()
        needed = run.axes or self._stage_fields
        given: dict[str, tuple[float, ...]] = {}
        if any(field not in numbers for field in needed):
            places = [run.nominal.position(first_seq + k) if run.nominal is not None else {} for k in range(count)]
            given = {
                field: tuple(place.get(field, float("nan")) for place in places)
                for field in run.axes
                if field not in numbers and any(field in place for place in places)
            }
            yield from self._doubt_nominal(record, run, given, [field for field in needed if field not in numbers])
        has_frames = self._fetches and stream.image_is_streamed
        if numbers:
            self._wishes.want_rows(
                WantedRows(
                    run=run.uid,
                    name=stream.uid,
                    first_seq=first_seq,
                    count=count,
                    axes=tuple(field for field in run.position_fields if field in numbers or field in given),
                    columns=tuple(stream.rows.columns(numbers, first_seq, count)),
                    given=given,
                    has_frames=has_frames,
                    time_s=record.received_s,
                )
            )
            return
        for k in range(count):
            yield PointMeasured(
                uid=run.uid,
                index=first_seq + k - 1,
                time_s=record.received_s,
                received_s=record.received_s,
                position={field: column[k] for field, column in given.items() if isfinite(column[k])},
                frame_keys=(datum_key(f"{stream.uid}/{first_seq + k}"),) if has_frames else (),
                time_is_measured=False,
            )

    @staticmethod
    def _doubt_nominal(
        record: RawRecord, run: Run, given: Mapping[str, Any], fields: Sequence[str]
    ) -> Iterator[Message]:
        """Say once that positions are the plan's, or that there are none."""
        if "nominal" in run.said:
            return
        run.said.add("nominal")
        if given:
            reason = f"no stream holds {', '.join(fields)[:120]}: positions are the plan's, not measured ones"
            yield PositionDoubt(uid=run.uid, from_index=0, to_index=None, reason=reason)
        elif fields:
            detail = f"run {run.uid[:36]} has no events, and neither streams nor shape and extents for"
            yield document_defect(record, NO_POSITION, f"{detail} {', '.join(fields)[:120]}")


def document_defect(record: RawRecord, reason: str, detail: str) -> Defect:
    """Return the defect that a document is."""
    return Defect(reason=reason, detail=detail, channel=record.channel, received_s=record.received_s)
