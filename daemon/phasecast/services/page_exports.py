"""What the page lets people take along, each made by a process of its own: HDF5 and matplotlib would stop its loop."""

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from phasecast.core.errors import PhasecastError
from phasecast.core.words import words
from phasecast.services.priority import be_nice
from phasecast.services.report_place import note_failure, report_path

Argument = Path | str | tuple[Path, ...]
Results = Path | tuple[Path, ...]
"""A result, or several that are one map."""


def in_own_process(work: Callable[..., None], *arguments: Argument) -> None:
    """Do something in a process of low priority and wait for it; it ends with this process at the latest.

    Raises
    ------
    PhasecastError
        If it failed, with the reason.
    """
    context = get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(mouth, work, arguments), daemon=True)
    process.start()
    mouth.close()
    try:
        failure = ear.recv()
    except EOFError:
        raise PhasecastError("its process was ended", remedy="is there memory left? try again") from None
    finally:
        process.join()
        ear.close()
    if failure:
        raise PhasecastError(failure)


def _work(mouth: Connection, work: Callable[..., None], arguments: tuple[Argument, ...]) -> None:
    be_nice(10)
    failure = ""
    try:
        work(*arguments)
    except Exception as error:
        failure = str(error) if isinstance(error, PhasecastError) else f"{type(error).__name__}: {error}"
    mouth.send(" ".join(failure.split()))
    mouth.close()


def draw_png(results: Results, target: Path, language: str) -> None:
    """Draw the map of a result, or of several, in the words of a language."""
    from phasecast.report.map_png import draw_map
    from phasecast.results.composed_map import open_map

    with open_map(_paths(results)) as opened:
        draw_map(opened, target, words(language).language)


def write_csv(results: Results, target: Path) -> None:
    """Write one row a point; see `write_points_csv`."""
    from phasecast.results.composed_map import open_map
    from phasecast.results.export import write_points_csv

    with open_map(_paths(results)) as opened:
        write_points_csv(opened, target)


def snapshot(result: Path, target: Path) -> None:
    """Copy what is committed of a growing or crashed result into a closed file."""
    from phasecast.results.repair import copy_committed

    copy_committed(result, target)


def make_report(results: Results, language: str) -> Path:
    """Make the report of a result, or of several as one, and return it.

    A failure is raised, and noted beside the reports if it is that of one result.
    """
    if isinstance(results, tuple):
        in_own_process(_write_map_report, results, language)
        return report_path(results[-1]).with_name(f"{results[-1].stem}-map.html")
    in_own_process(_write_report, results, language)
    return report_path(results)


def _paths(results: Results) -> tuple[Path, ...]:
    return results if isinstance(results, tuple) else (results,)


def _write_map_report(paths: tuple[Path, ...], language: str) -> None:
    from phasecast.services.maps import write_map_report

    write_map_report(paths, language=words(language).language)


def _write_report(result: Path, language: str) -> None:
    from phasecast.services.report import write_report

    try:
        write_report(result, language=words(language).language)
    except Exception as failure:
        # noted here: a page that ends takes this process with it, and that is no failure of the report
        note_failure(result, failure)
        raise
