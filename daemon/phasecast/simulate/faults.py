"""Everything that goes wrong at a beamline, on order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from phasecast.simulate.errors import SimulationError

Defect = Literal["", "truncated", "flipped", "wrong_shape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong; points are numbered from 0 in the order of the scan.

    Parameters
    ----------
    drop_triggers
        Points whose trigger never reaches the detector: no frame, the image number stays behind.
    double_triggers
        Points that are exposed twice.
    lose_frames
        Points that are exposed but whose frame never leaves the detector; the image number counts on.
    pauses
        Points at which the RunEngine is paused after the exposure; it repeats the point when resumed.
    pause_s
        How long each pause lasts.
    lead_in_frames
        Frames the detector takes before the first point.
    lead_in_rows
        Frames the detector takes before each row, the first included.
    truncated_frames, flipped_frames, wrong_shape_frames
        Points whose frame is cut short, has bytes changed, or lacks a column.
    no_stop
        The stop document is never sent.
    second_start_at
        The first run dies at this point without a stop; the whole scan then starts again.
    beam_dump
        First and last point without beam.
    abort_at
        The run is aborted before this point, with a stop document that says so.
    beam_lost_at, beam_lost_s
        Before this point the beam is away for so long on the simulated clock; nobody waits for it.
    i0_after, offset_after_um
        Factor on the flux after that, and where the beam then is minus where the stage says it is, x and y.
    """

    drop_triggers: tuple[int, ...] = ()
    double_triggers: tuple[int, ...] = ()
    lose_frames: tuple[int, ...] = ()
    pauses: tuple[int, ...] = ()
    pause_s: float = 0.3
    lead_in_frames: int = 0
    lead_in_rows: int = 0
    truncated_frames: tuple[int, ...] = ()
    flipped_frames: tuple[int, ...] = ()
    wrong_shape_frames: tuple[int, ...] = ()
    no_stop: bool = False
    second_start_at: int | None = None
    beam_dump: tuple[int, int] | None = None
    abort_at: int | None = None
    beam_lost_at: int | None = None
    beam_lost_s: float = 600.0
    i0_after: float = 0.95
    offset_after_um: tuple[float, float] = (3.0, 0.0)

    def defect_of(self, point: int) -> Defect:
        """What is wrong with the frame of a point."""
        if point in self.truncated_frames:
            return "truncated"
        if point in self.flipped_frames:
            return "flipped"
        return "wrong_shape" if point in self.wrong_shape_frames else ""

    def is_dark(self, point: int) -> bool:
        """Whether the beam is off at a point."""
        return self.beam_dump is not None and self.beam_dump[0] <= point <= self.beam_dump[1]


def parse_faults(words: Iterable[str]) -> Faults:
    """Read faults as the command line gives them, such as ``drop=5,9``, ``dump=10-20`` or ``no-stop``.

    Names: drop, double, lose, pause, truncate, flip, wrong-shape (points, comma separated); pause-s,
    lead-in, lead-in-rows, second-start, abort, beam-lost, beam-lost-s, i0-after (one number);
    offset-after (x,y in um); dump (first-last); no-stop. The names of the
    fields of `Faults` are understood too.

    Raises
    ------
    SimulationError
        Unknown fault or a value that is no number.
    """
    fields: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name in _FULL_NAMES:
            name = _FULL_NAMES[name]
        if name not in _FIELDS:
            raise SimulationError(
                f"unknown fault {name!r}", where="--faults", remedy=f"choose from {', '.join(_FIELDS)}"
            )
        field, read = _FIELDS[name]
        try:
            fields[field] = read(text)
        except ValueError as error:
            raise SimulationError(
                f"cannot read {text!r}", where=f"--faults {name}", remedy="give point numbers, such as drop=5,9"
            ) from error
    return Faults(**fields)


def _points(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _span(text: str) -> tuple[int, int]:
    first, last = text.split("-")
    return int(first), int(last)


def _pair(text: str) -> tuple[float, float]:
    x, y = text.split(",")
    return float(x), float(y)


def _flag(text: str) -> bool:
    if text not in {"", "true"}:
        raise ValueError(text)
    return True


_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "drop": ("drop_triggers", _points),
    "double": ("double_triggers", _points),
    "lose": ("lose_frames", _points),
    "pause": ("pauses", _points),
    "pause-s": ("pause_s", float),
    "lead-in": ("lead_in_frames", int),
    "lead-in-rows": ("lead_in_rows", int),
    "truncate": ("truncated_frames", _points),
    "flip": ("flipped_frames", _points),
    "wrong-shape": ("wrong_shape_frames", _points),
    "no-stop": ("no_stop", _flag),
    "second-start": ("second_start_at", int),
    "dump": ("beam_dump", _span),
    "abort": ("abort_at", int),
    "beam-lost": ("beam_lost_at", int),
    "beam-lost-s": ("beam_lost_s", float),
    "i0-after": ("i0_after", float),
    "offset-after": ("offset_after_um", _pair),
}
_FULL_NAMES = {field: name for name, (field, _) in _FIELDS.items()}
