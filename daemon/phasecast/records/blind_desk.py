"""What the clerk does with blind checks: writes them down, and scores those that are finished."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RecordsError, RequestError
from phasecast.core.model_requests import BlindAnswer, BlindDraw
from phasecast.records.blind import (
    BlindBook,
    BlindCheck,
    BlindScore,
    answer_entry,
    blind_path,
    draw_entry,
    scores_entry,
)
from phasecast.records.book import stamp
from phasecast.records.journal import Entry, append
from phasecast.results import open_result

logger = logging.getLogger(__name__)

ScoreBlind = Callable[[BlindCheck], Sequence[BlindScore]]
"""Returns precision and recall per class of a check whose every point is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultNote:
    """What is noted beside a result, by its name in the results folder."""

    result: str
    entry: Entry


class BlindDesk:
    """Serves draws and answers of blind checks; each is written once, however often it is served.

    Parameters
    ----------
    directory
        The data directory.
    score
        See `ScoreBlind`; None: nothing is scored.
    """

    def __init__(self, directory: DataDirectory, score: ScoreBlind | None) -> None:
        self._directory, self._score = directory, score
        self._books: dict[Path, BlindBook] = {}

    def serve(
        self, request_id: str, request: BlindDraw | BlindAnswer, time_s: float
    ) -> tuple[str, Mapping[str, str | int | float], ResultNote | None]:
        """Write a request down; return key and values of the answer, and what to note beside the result.

        Raises
        ------
        PhasecastError
            If it cannot be served.
        """
        path = blind_path(self._directory, request.scan_raw_uid)
        book = self._books.setdefault(path, BlindBook(path))
        book.refresh()
        if isinstance(request, BlindDraw):
            if request_id not in book.requests:
                with open_result(self._directory.results / request.result) as result:
                    append(path, [draw_entry(request, request_id, result, time_s=time_s)])
            return "blind_begun", {"points": len(request.points)}, None
        check = book.check(request.check)
        if check is None:
            raise RequestError(f"no blind check {request.check!r} of this scan", remedy="begin one")
        if request_id not in book.requests:
            append(path, [answer_entry(request, request_id, check, time_s=time_s)])
            book.refresh()
        if not check.is_complete:
            return "blind_answered", {"done": len(check.answers), "points": check.points.size}, None
        self._finish(book, check, request_id, time_s)
        return "blind_done", {"points": check.points.size}, _note(check, request_id, time_s) if check.scores else None

    def _finish(self, book: BlindBook, check: BlindCheck, request_id: str, time_s: float) -> None:
        if check.scores or self._score is None:
            return
        try:
            scores = self._score(check)
        except Exception:
            # the answers are written: a fault of the scoring must not have them asked for again
            logger.exception("blind check %s cannot be scored", check.id)
            return
        append(book.path, [scores_entry(check, scores, request_id, time_s=time_s)])
        try:
            book.refresh()
        except RecordsError as error:
            logger.warning("%s", error)


def _note(check: BlindCheck, request_id: str, time_s: float) -> ResultNote:
    entry = {
        **stamp(request_id, check.who, time_s),
        "what": "blind_check",
        "check": check.id,
        "points": int(check.points.size),
        "untold": int(check.untold.sum()),
        "models": [dict(model) for model in check.models],
        "scores": [asdict(score) for score in check.scores],
    }
    return ResultNote(result=check.result, entry=entry)
