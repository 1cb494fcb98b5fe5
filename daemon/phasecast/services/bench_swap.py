"""Another model comes into use halfway through a benchmark's scan: what that costs the frames that arrive then."""

import time
from importlib import resources
from pathlib import Path
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.model_requests import ActivateModel
from phasecast.records.mailbox import Mailbox, RequestId
from phasecast.records.models import shelf_key
from phasecast.results import open_result
from phasecast_models.xrd.bundle_card import write_twin

_SHIPPED, _VERSION = "bl16xu-rust", "bench"


class SwapHalfway:
    """Asks a running daemon for a twin of the shipped bundle, as the page does, when half of the points are scored.

    Parameters
    ----------
    directory
        The daemon's data directory; the twin is put on its shelf.
    points
        Points of the scan.
    """

    def __init__(self, directory: DataDirectory, *, points: int) -> None:
        self.key = shelf_key(_SHIPPED, _VERSION)
        shipped = resources.files("phasecast_models.xrd").joinpath("bundles", _SHIPPED)
        with resources.as_file(shipped) as folder:
            write_twin(folder, directory.models / self.key, version=_VERSION)
        self.in_use = directory.root / "model-in-use"
        """Path that exists once the daemon says that the model is in use; a scan that ends before shows nothing."""
        self._mailbox = Mailbox(directory.requests)
        self._points = points
        self._asked: RequestId | None = None
        self._asked_s = 0.0
        self._at_points = 0
        self._before: dict[str, Any] = {}
        self._done_s: float | None = None
        self._models: dict[str, Any] = {}

    def look(self, status: dict[str, Any]) -> None:
        """Do what is due now.

        Raises
        ------
        PhasecastError
            If the daemon refuses the model.
        """
        done = int(status.get("counters", {}).get("scored", 0))
        if self._asked is None:
            if status and 2 * done >= self._points - 1:
                self._before = {name: status[f"latency_{name}_ms"] for name in ("p50", "p99", "max")}
                self._at_points, self._asked_s = done, time.monotonic()
                self._asked = self._mailbox.submit(ActivateModel(model=self.key, who="bench"))
            return
        answer = self._mailbox.answer(self._asked)
        if answer is not None and not answer.ok:
            raise PhasecastError(f"the daemon refused the model: {answer.detail}", where=self.key)
        self._models = status["models"]
        if self._models["in_use"] == self.key:
            self.in_use.touch()
        rescoring = self._models["rescoring"]
        if self._done_s is None and rescoring["rescored"] and not rescoring["left"]:
            self._done_s = time.monotonic()

    def report(self, result: Path | None) -> dict[str, Any]:
        """Return the figures, after the scan."""
        by_new = 0
        if result is not None:
            with open_result(result) as opened:
                by_new = sum(count for stamp, count in opened.model_shares if stamp.version == _VERSION)
        return {
            "asked_at_points": self._at_points,
            "points_rescored": self._models.get("rescoring", {}).get("rescored", 0),
            "points_by_new_model": by_new,
            "seconds": None if self._done_s is None else round(self._done_s - self._asked_s, 1),
            "latency_before_ms": self._before,
            "latency_during_ms": self._models.get("swap_latency", {}),
        }


def format_swap(swap: dict[str, Any], points: int) -> list[str]:
    """Return the figures as lines for people."""
    before, during = swap["latency_before_ms"], swap["latency_during_ms"]
    seconds = "?" if swap["seconds"] is None else f"{swap['seconds']:.0f}"
    return [
        f"another model asked for at {swap['asked_at_points']:,} points: {swap['points_rescored']:,} points asked anew "
        f"within {seconds} s, {swap['points_by_new_model']:,} of {points:,} are by it in the end",
        "latency before: " + ", ".join(f"{name} {_ms(before.get(name))}" for name in ("p50", "p99", "max")),
        f"latency of the {during.get('points', 0):,} points that came while it was loaded and asked: "
        + ", ".join(f"{name} {_ms(during.get(f'{name}_ms'))}" for name in ("p50", "p99", "max")),
    ]


def _ms(value: float | None) -> str:
    return "? ms" if value is None else f"{value:.1f} ms"
