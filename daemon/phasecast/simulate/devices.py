"""Stage, ion chambers and detector as ophyd devices."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ophyd import Component, Device, Signal
from ophyd.status import Status

from phasecast.simulate.beam import Beam, Pacer
from phasecast.simulate.faults import Defect, Faults
from phasecast.simulate.frames import FrameRenderer
from phasecast.simulate.passes import Conditions
from phasecast.simulate.transport import Exposure, FrameTransport

logger = logging.getLogger(__name__)

_ARM_TIMEOUT_S = 120.0


class UnitSignal(Signal):  # type: ignore[misc]
    """A soft signal whose descriptor names a unit."""

    def __init__(self, *, units: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._units = units

    def describe(self) -> dict[str, Any]:
        """Describe as ophyd does, with the unit."""
        described: dict[str, Any] = super().describe()
        if self._units:
            described[self.name]["units"] = self._units
        return described


class Axis(Device):  # type: ignore[misc]
    """A stage axis that takes its time.

    Parameters
    ----------
    velocity_um_s
        Speed; a move lasts distance over speed plus ``settle_s``.
    settle_s
        Settling time of a move.
    """

    readback = Component(UnitSignal, value=0.0, units="um", kind="hinted")
    setpoint = Component(UnitSignal, value=0.0, units="um", kind="normal")

    def __init__(self, *, name: str, velocity_um_s: float, settle_s: float, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.readback.name = name
        self._velocity_um_s = velocity_um_s
        self._settle_s = settle_s

    @property
    def position(self) -> float:
        """Position in um."""
        return float(self.readback.get())

    def set(self, value: float) -> Status:
        """Move; the status is done when the stage has settled."""
        status = Status(obj=self)
        duration = abs(value - self.position) / self._velocity_um_s + self._settle_s
        self.setpoint.put(float(value))

        def arrive() -> None:
            self.readback.put(float(value))
            status.set_finished()

        if duration < 1e-3:
            arrive()
        else:
            timer = threading.Timer(duration, arrive)
            timer.daemon = True
            timer.start()
        return status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readout:
    """An exposure that is over and whose frame is still to be rendered and sent."""

    point: int
    cell: tuple[int, int]
    flux: float
    number: int
    start_ns: int
    start_time: float
    defect: Defect


class Pilatus(Device):  # type: ignore[misc]
    """A PILATUS 100k: a trigger exposes, and the frame leaves through a transport.

    The image number of the last frame and the ion chambers are latched at the end of each exposure. One
    thread owns the transport, so that exposing, rendering and sending never block the RunEngine.

    Parameters
    ----------
    renderer, transport, beam, faults
        What is seen, where frames go, the flux, and what goes wrong.
    where
        True stage position (x, y) in um at the time of an exposure.
    i0, i1, transmission
        Signals that receive the monitors.
    frames
        Frames announced when armed.
    rate_hz
        Exposures per second; None is as fast as it goes.
    exposure_s
        Exposure time.
    counter
        Whether events carry ``<name>_image_number``.
    conditions
        Clock, flux and offset after interruptions; none happen if None.
    """

    image_number = Component(UnitSignal, value=-1, kind="normal")

    def __init__(
        self,
        *,
        name: str,
        renderer: FrameRenderer,
        transport: FrameTransport,
        beam: Beam,
        faults: Faults,
        where: Callable[[], tuple[float, float]],
        i0: Signal,
        i1: Signal,
        transmission: Signal,
        frames: int,
        rate_hz: float | None,
        exposure_s: float,
        counter: bool = True,
        conditions: Conditions | None = None,
    ) -> None:
        super().__init__(name=name)
        if not counter:
            self.image_number.kind = "omitted"
        self.point = 0
        self.lead_in = 0
        self.row_starts = False
        self.frames_sent = 0
        self.frames_lost = 0
        self._renderer, self._transport, self._beam, self._faults = renderer, transport, beam, faults
        self._where = where
        self._i0, self._i1, self._transmission = i0, i1, transmission
        self._frames = frames
        self._conditions = conditions or Conditions()
        self._exposure_s = exposure_s
        self._pacer = Pacer(rate_hz)
        self._series = 0
        self._number = 0
        self._work: queue.Queue[tuple[Callable[[], _Readout | None], Status] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, name=f"{name}-detector", daemon=True)
        self._thread.start()

    def begin_scan(self, faults: Faults, *, frames: int) -> None:
        """Say what goes wrong in the next scan, and how many frames are announced when it is armed."""
        self._faults, self._frames = faults, frames

    def stage(self) -> list[object]:
        """Arm: announce a new series."""
        staged: list[object] = super().stage()
        self._submit(self._arm).wait(timeout=_ARM_TIMEOUT_S)
        return staged

    def unstage(self) -> list[object]:
        """Disarm: announce the end of the series."""
        unstaged: list[object] = super().unstage()
        self._submit(self._end).wait(timeout=_ARM_TIMEOUT_S)
        return unstaged

    def trigger(self) -> Status:
        """Expose; done when the exposure is over, the frame leaves a little later."""
        point, lead_in, row_starts = self.point, self.lead_in, self.row_starts
        self.lead_in, self.row_starts = 0, False
        if row_starts:
            self._pacer.restart()
        return self._submit(lambda: self._take(point, lead_in))

    def close(self) -> None:
        """End the thread; the transport stays open."""
        self._work.put(None)
        self._thread.join(timeout=10)

    def _submit(self, work: Callable[[], _Readout | None]) -> Status:
        status = Status(obj=self)
        self._work.put((work, status))
        return status

    def _serve(self) -> None:
        while (job := self._work.get()) is not None:
            work, status = job
            try:
                readout = work()
            except Exception as error:  # reported to whoever waits for the status
                status.set_exception(error)
                continue
            status.set_finished()
            if readout is not None:
                self._read_out(readout)

    def _arm(self) -> None:
        self._series += 1
        self._number = 0
        self.image_number.put(-1)
        self._transport.arm(self._series, frames=self._frames, exposure_s=self._exposure_s)

    def _end(self) -> None:
        self._transport.end(self._series)

    def _take(self, point: int, lead_in: int) -> _Readout | None:
        """Expose what a trigger asks for; the last frame is still to be read out."""
        for _ in range(lead_in):
            self._read_out(self._expose(point))
        if point in self._faults.drop_triggers:
            self._pacer.wait()
            self._latch(point, self._renderer.sample.cell_at(*self._where()), self._flux(point))
            return None
        if point in self._faults.double_triggers:
            self._read_out(self._expose(point))
        readout = self._expose(point, defect=self._faults.defect_of(point))
        self._latch(point, readout.cell, readout.flux)
        self.image_number.put(readout.number, timestamp=time.time())
        return readout

    def _flux(self, point: int) -> float:
        return self._conditions.flux * self._beam.flux(self._series, self._number, dark=self._faults.is_dark(point))

    def _expose(self, point: int, *, defect: Defect = "") -> _Readout:
        self._pacer.wait()
        ahead_s = self._conditions.ahead_s
        start_ns, start_time = time.monotonic_ns() + round(ahead_s * 1e9), time.time() + ahead_s
        readout = _Readout(
            point=point,
            cell=self._renderer.sample.cell_at(*self._where()),
            flux=self._flux(point),
            number=self._number,
            start_ns=start_ns,
            start_time=start_time,
            defect=defect,
        )
        self._number += 1
        time.sleep(self._exposure_s)
        return readout

    def _read_out(self, readout: _Readout) -> None:
        """Render and send a frame."""
        noise = self._series * 10_000_000 + readout.number
        exposure = Exposure(
            counts=self._renderer.frame(*readout.cell, number=noise, flux=readout.flux),
            series=self._series,
            number=readout.number,
            start_ns=readout.start_ns,
            stop_ns=readout.start_ns + round(self._exposure_s * 1e9),
            start_time=readout.start_time,
            defect=readout.defect,
        )
        if readout.point in self._faults.lose_frames or not self._transport.send(exposure):
            self.frames_lost += 1
        else:
            self.frames_sent += 1

    def _latch(self, point: int, cell: tuple[int, int], flux: float) -> None:
        """Put what the ion chambers counted during the exposure of a point into their signals."""
        transmission = self._renderer.transmission(*cell)
        i0, i1 = self._beam.monitors(self._series, self._number, flux=flux, transmission=transmission)
        now = time.time()
        self._i0.put(i0, timestamp=now)
        self._i1.put(i1, timestamp=now)
        self._transmission.put(i1 / i0 if i0 > 0 else 0.0, timestamp=now)
