"""The plan of a map: a bluesky grid_scan that takes its faults along."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.plans import grid_scan
from bluesky.utils import Msg

from phasecast.simulate.devices import Axis, Pilatus
from phasecast.simulate.faults import Faults

Plan = Generator[Msg, Any, Any]


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
    md: Mapping[str, Any] | None = None,
) -> Plan:
    """Yield the messages of a snaking grid_scan, y slow and x fast, of shape (rows, cols).

    Raises
    ------
    RunDiesError
        At point ``dies_at``.
    """
    rows, cols = shape
    point = -1

    def take_reading(devices: Sequence[Any], name: str = "primary") -> Plan:
        if point not in faults.pauses:
            return (yield from bps.trigger_and_read(devices, name))
        # Paused between exposure and event: when resumed, the RunEngine goes back to the checkpoint and
        # triggers again, so that this point has two frames and one event.
        for device in devices:
            if hasattr(device, "trigger"):
                yield from bps.trigger(device, group="before pause")
        yield from bps.wait(group="before pause")
        yield from bps.pause()
        yield from bps.create(name)
        for device in devices:
            yield from bps.read(device)
        return (yield from bps.save())

    def per_step(detectors: Sequence[Any], step: Mapping[Any, Any], pos_cache: dict[Any, Any]) -> Plan:
        nonlocal point
        point += 1
        if point == dies_at:
            raise RunDiesError
        detector.point = point
        detector.lead_in = faults.lead_in_frames if point == 0 else 0
        if point % cols == 0:
            detector.lead_in += faults.lead_in_rows
        yield from bps.one_nd_step(detectors, step, pos_cache, take_reading=take_reading)

    axes = (y, *y_um, rows, x, *x_um, cols)
    yield from grid_scan([detector, *monitors], *axes, snake_axes=True, per_step=per_step, md=dict(md or {}))
