"""The plan of a map: a bluesky grid_scan that takes its faults along."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from bluesky.plans import grid_scan
from bluesky.utils import Msg, RequestAbort

from phasecast.simulate.devices import Axis, Pilatus
from phasecast.simulate.faults import Faults

Plan = Generator[Msg, Any, Any]
_msg: Callable[..., Msg] = Msg


class RunDiesError(Exception):
    """Ends a run on purpose, without a stop."""


def rust_map(
    detector: Pilatus,
    monitors: Sequence[Any],
    y: Axis,
    x: Axis,
    *,
    y_um: tuple[float, float],
    x_um: tuple[float, float],
    shape: tuple[int, int],
    faults: Faults,
    dies_at: int | None = None,
    before_point: Callable[[int], None] = lambda point: None,
    md: Mapping[str, Any] | None = None,
) -> Plan:
    """Yield the messages of a snaking grid_scan, y slow and x fast, of shape (rows, cols).

    `before_point` is called with the number of each point before the stage moves there.

    Raises
    ------
    RunDiesError
        At point ``dies_at``.
    RequestAbort
        At the point at which the scan is aborted.
    """
    rows, cols = shape
    point = -1

    def per_step(
        detectors: Sequence[Any], step: Mapping[Any, Any], pos_cache: dict[Any, Any], take_reading: Any = None
    ) -> Plan:
        nonlocal point
        point += 1
        if point == dies_at:
            raise RunDiesError
        if point == faults.abort_at:
            raise RequestAbort
        before_point(point)
        detector.point = point
        detector.lead_in = faults.lead_in_frames if point == 0 else 0
        detector.row_starts = point % cols == 0
        if detector.row_starts:
            detector.lead_in += faults.lead_in_rows
        # The messages of bluesky's own one_nd_step, without its stubs: each stub formats a stack trace,
        # which costs 2 of 3.7 ms a point.
        yield _msg("checkpoint")
        for axis, position in step.items():
            if position != pos_cache[axis]:
                yield _msg("set", axis, position, group="move")
                pos_cache[axis] = position
        yield _msg("wait", None, group="move")
        yield _msg("trigger", detector, group="expose")
        yield _msg("wait", None, group="expose")
        if point in faults.pauses:
            # Between exposure and event: when resumed, the RunEngine goes back to the checkpoint and
            # triggers again, so that this point has two frames and one event.
            yield _msg("pause", None, defer=False)
        yield _msg("create", None, name="primary")
        for device in (*detectors, *step):
            yield _msg("read", device)
        yield _msg("save")

    axes = (y, *y_um, rows, x, *x_um, cols)
    yield from grid_scan([detector, *monitors], *axes, snake_axes=True, per_step=per_step, md=dict(md or {}))
