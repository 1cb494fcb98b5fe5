"""A second opinion on every stored pattern of a result, made by a process of low priority, newest points first."""

import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.core.ledger import PointState
from phasecast.services.priority import be_nice
from phasecast.web.opinions import OpinionRows

if TYPE_CHECKING:
    from phasecast.results.follow import ResultFollower

_POINTS_AT_ONCE = 256
_LOOK_S = 0.5
_PATTERN = ("intensity", "sigma", "norm")


def follow_opinion(
    path: Path,
    known: NDArray[np.int64],
    take: Callable[[OpinionRows], None],
    is_wanted: Callable[[], bool],
) -> None:
    """Give the opinion on every point that is done, and on those to come while the result grows.

    Parameters
    ----------
    path
        The result.
    known
        Rows of which the opinion is known.
    take
        Is given some rows at a time.
    is_wanted
        Asked twice a second; the process is ended when it says no.

    Raises
    ------
    PhasecastError
        If there can be none, with the reason.
    """
    context = get_context("spawn")
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(mouth, path, known), daemon=True)
    process.start()
    mouth.close()
    try:
        while is_wanted():
            if not ear.poll(_LOOK_S):
                continue
            said = ear.recv()
            if said is None:
                return
            if isinstance(said, str):
                raise PhasecastError(said)
            take(said)
    except EOFError:
        raise PhasecastError("its process was ended", remedy="is there memory left? choose the layer again") from None
    finally:
        process.terminate()
        process.join()
        ear.close()


def disagreement_of(
    confidences: NDArray[np.floating], significance: NDArray[np.floating], share: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return how much network and fit contradict each other, (n,); see `phasecast_models.xrd.unmixing.disagreement`."""
    from phasecast_models.xrd.unmixing import Opinion, disagreement

    fit = Opinion(
        significance=np.asarray(significance, dtype=np.float64),
        share=np.asarray(share, dtype=np.float64),
        misfit=np.full(len(confidences), np.nan),
    )
    return disagreement(confidences, fit)


def _work(mouth: Connection, path: Path, known: NDArray[np.int64]) -> None:
    be_nice(10)
    try:
        _give(mouth, path, known)
    except BrokenPipeError:
        return  # nobody listens any more
    except Exception as error:
        text = str(error) if isinstance(error, PhasecastError) else f"{type(error).__name__}: {error}"
        mouth.send(" ".join(text.split()))


def _give(mouth: Connection, path: Path, known: NDArray[np.int64]) -> None:
    from phasecast.results.follow import ResultFollower

    follower = ResultFollower(path)
    opinion = _Opinion(follower)
    # points that were measured again have other counts; those that another model scored have not
    given = np.full(follower.points, np.nan)
    given[known] = np.nan_to_num(follower.total[known], nan=-1.0)
    while True:
        given = np.concatenate([given, np.full(follower.points - given.size, np.nan)])
        counts = np.nan_to_num(follower.total, nan=-1.0)
        due = np.flatnonzero((follower.state == PointState.DONE) & (given != counts))
        if due.size:
            rows = due[-_POINTS_AT_ONCE:]
            mouth.send(opinion.of(rows))
            given[rows] = counts[rows]
        elif not follower.is_growing:
            mouth.send(None)
            return
        else:
            time.sleep(_LOOK_S)
        if follower.is_growing:
            follower.advance()


class _Opinion:
    def __init__(self, follower: "ResultFollower") -> None:
        from phasecast.profiles import PatternAxis
        from phasecast.xrd.rebinning import rebinning_between
        from phasecast_models.xrd.axis import PatternAxis as ModelAxis

        self._follower = follower
        header = follower.result.header
        centres = header.tth_deg
        names = {column.name for column in header.columns}
        if len(centres) < 2 or not set(_PATTERN) <= names or not any(one.reference_lines for one in header.classes):
            raise PhasecastError("patterns or lines of classes are missing", where=follower.path.name)
        half = (centres[-1] - centres[0]) / (len(centres) - 1) / 2
        low, high = round(centres[0] - half, 9), round(centres[-1] + half, 9)
        archive = PatternAxis(tth_min_deg=low, tth_max_deg=high, bins=len(centres))
        ratio = header.processing.get("variance_ratio", ())
        # the bins of the model where they divide the archive's: half as many take half the time
        bins = len(ratio) if ratio and len(centres) % len(ratio) == 0 else len(centres)
        wanted = PatternAxis(tth_min_deg=low, tth_max_deg=high, bins=bins)
        self._rebinning = rebinning_between(archive, wanted, ratio)
        energy_kev = float(header.profile.get("energy_kev") or 10.0)
        self._axis = ModelAxis(tth_min_deg=low, tth_max_deg=high, bins=bins, energy_kev=energy_kev)
        self._classes = [phase.id for phase in header.classes]
        self._lines = {phase.id: phase.reference_lines for phase in header.classes if phase.reference_lines}

    def of(self, rows: NDArray[np.int64]) -> OpinionRows:
        from phasecast.results.quality import rows_of
        from phasecast_models.xrd.unmixing import unmix

        read = (np.asarray(rows_of(self._follower.result, name, rows), dtype=np.float32) for name in _PATTERN)
        intensity, sigma, norm = read
        known = np.isfinite(intensity) & np.isfinite(norm)
        found = self._rebinning.apply(np.nan_to_num(intensity), np.nan_to_num(sigma), np.where(known, norm, 0))
        measured = found.norm > 0
        said = unmix(
            np.where(measured, found.intensity, np.nan),
            np.where(measured, found.sigma, np.nan),
            self._axis,
            self._lines,
            classes=self._classes,
        )
        return OpinionRows(
            rows=rows, significance=said.significance.astype(np.float32), share=said.share.astype(np.float32)
        )
