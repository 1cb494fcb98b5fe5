"""What follows a finished scan: picture, summary and report, made from the closed file in a process of its own."""

import logging
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from phasecast.core.words import words
from phasecast.services.priority import be_nice
from phasecast.services.report_place import note_failure
from phasecast.services.with_parent import end_with_parent, in_hand

logger = logging.getLogger(__name__)


def picture_path(result: Path) -> Path:
    """Where the map of a result file is drawn."""
    return result.with_suffix(".png")


def summary_path(result: Path) -> Path:
    """Where the summary of a result file is written."""
    return result.with_suffix(".json")


def finish_scan(result: Path) -> None:
    """Draw the map, write the summary and make the report of a closed result file.

    The result is only read. A report that cannot be made is noted beside the reports, for the page to show.
    """
    from phasecast.report.map_png import draw_map
    from phasecast.report.summary import write_summary
    from phasecast.results import open_result

    wishes: Mapping[str, Any] = {}
    try:
        with open_result(result) as opened:
            wishes = opened.header.profile.get("report", {})
            draw_map(opened, picture_path(result))
            write_summary(opened, summary_path(result))
    finally:
        _report_on(result, wishes)


def _report_on(result: Path, wishes: Mapping[str, Any]) -> None:
    try:
        from phasecast.services.report import write_report

        language = words(str(wishes.get("language", "en"))).language
        write_report(result, language=language, figures=bool(wishes.get("figures")))
    except Exception as failure:
        note_failure(result, failure)


def _begin_worker() -> None:
    be_nice(10)
    end_with_parent()


def _finish_whole(result: Path) -> None:
    with in_hand:
        finish_scan(result)


class EndOfScan:
    """A worker process, below the priority of the live loop, for what is slow and can be done again.

    Without its parent it makes whole what it has in hand and ends.
    """

    def __enter__(self) -> Self:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin_worker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)

    def submit(self, result: Path) -> None:
        """Ask for what follows a closed result file; a failure is logged, the file itself is safe."""

        def report(future: Future[None]) -> None:
            failure = future.exception()
            if isinstance(failure, BrokenExecutor):
                note_failure(result, failure)
            elif failure is not None:
                logger.error("no picture or summary of %s: %s", result, failure)

        self._pool.submit(_finish_whole, result).add_done_callback(report)
