"""Times the reduction of one frame on this machine, beside the peers that are installed, in one run."""

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import pyFAI
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast.profiles import load_profile
from phasecast.xrd.integrator import Integrator

WARM_CALLS = 100
BATCH = 64
TURNS = 5
"""Rounds in which the ways take turns."""
SPLITTING = ("bbox", "csr", "cython")


def bench_integrate(*, profile_name: str = "bl16xu", calls: int = WARM_CALLS) -> dict[str, Any]:
    """Return milliseconds a frame on one thread, median of warm calls on changing frames.

    Milliseconds are wall time; those of the processor beside them leave out what other programs took. All give
    intensity and Poisson sigma on the profile's archive axis and leave out other pixels in every frame. The rounds
    are interleaved, so that a busy machine slows all alike. Runs in a process of its own, because
    OpenMP reads the number of threads once, when it is loaded.

    Parameters
    ----------
    profile_name
        Shipped profile or path.
    calls
        Calls that each median is taken of.

    Raises
    ------
    PhasecastError
        If the measurement fails; the message carries its last line.
    """
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, "-m", __name__, profile_name, str(calls)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PhasecastError(f"the measurement failed: {last}", remedy="run phasecast check on the profile")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def measure_here(profile_name: str, calls: int) -> dict[str, Any]:
    """Return what `bench_integrate` returns, measured in this process."""
    profile = load_profile(profile_name)
    half = profile.axis.model_copy(update={"bins": profile.axis.bins // 2})
    plain = Integrator.from_profile(profile, device="cpu", measure_spots=False)
    live = Integrator.from_profile(profile, device="cpu", axes=(half,))
    frames = _frames(plain.geometry.shape, 16)
    stack = np.concatenate([frames] * (BATCH // len(frames)))
    timed: dict[str, tuple[Callable[[], object], int]] = {
        "ours_single": (_each(frames, plain.integrate), 1),
        "ours_batch": (lambda: plain.integrate(stack), BATCH),
        "ours_live_single": (_each(frames, live.integrate), 1),
        "ours_live_batch": (lambda: live.integrate(stack), BATCH),
        "pyfai": (_each(frames, _pyfai(plain)), 1),
    }
    azint, azint_note = _azint(plain)
    if azint is not None:
        timed["azint"] = (_each(frames, azint), 1)
    load = os.getloadavg()[0]
    median_ms, cpu_ms = _medians_ms(timed, calls)
    single = median_ms["ours_single"]
    return {
        "profile": profile.name,
        "bins": profile.axis.bins,
        "pixels": int(np.prod(plain.geometry.shape)),
        "calls": calls,
        "batch": BATCH,
        "threads": 1,
        "ms_per_frame": median_ms,
        "cpu_ms_per_frame": cpu_ms,
        "times_faster_than_pyfai": median_ms["pyfai"] / single,
        "times_faster_than_azint": median_ms["azint"] / single if "azint" in median_ms else None,
        "azint": azint_note,
        "largest_difference_from_pyfai": _difference(plain, frames[0]),
        "cpu": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "load": load,
        "versions": {"pyFAI": pyFAI.version, "numba": numba.__version__, "numpy": np.__version__},
    }


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    batch = f"batch of {report['batch']}"
    names = {
        "ours_single": "phasecast, one frame",
        "ours_batch": f"phasecast, {batch}",
        "ours_live_single": "phasecast live (model axis, spottiness), one frame",
        "ours_live_batch": f"phasecast live, {batch}",
        "pyfai": "pyFAI integrate1d (" + ", ".join(SPLITTING) + ", poisson)",
        "azint": "azint with errors",
    }
    lines = [
        f"{report['bins']} bins of {report['pixels']} pixels, intensity and sigma, pixels masked in every frame; "
        f"median of {report['calls']} warm calls on one thread, machine load {report['load']:.1f}",
        f"{'ms/frame':<54} {'wall':>8} {'cpu':>8} {'pyFAI /':>8}",
    ]
    pyfai_ms = report["ms_per_frame"]["pyfai"]
    lines += [
        f"{names[key]:<54} {value:8.3f} {report['cpu_ms_per_frame'][key]:8.3f} {pyfai_ms / value:8.1f}"
        for key, value in report["ms_per_frame"].items()
    ]
    lines.append(f"{report['times_faster_than_pyfai']:.1f} x as fast as pyFAI")
    if report["times_faster_than_azint"] is None:
        lines.append(f"azint: {report['azint']}")
    else:
        lines.append(f"{report['times_faster_than_azint']:.1f} x as fast as azint")
    lines.append(f"largest relative difference from pyFAI: {report['largest_difference_from_pyfai']:.1e}")
    return "\n".join(lines)


def _frames(shape: tuple[int, int], n: int) -> NDArray[np.int32]:
    """Return frames with rings' worth of counts, bad pixels that stay and a few that come and go."""
    rng = np.random.default_rng(1)
    frames = rng.poisson(20.0, (n, *shape)).astype(np.int32)
    frames[:, 10:12, 20:40] = -2
    for frame in frames:
        frame[rng.integers(0, shape[0], 3), rng.integers(0, shape[1], 3)] = -1
    return frames


def _each(frames: NDArray[np.int32], call: Callable[[NDArray[np.int32]], object]) -> Callable[[], object]:
    def endless() -> Iterator[NDArray[np.int32]]:
        while True:
            yield from frames

    supply = endless()
    return lambda: call(next(supply))


def _pyfai(integrator: Integrator) -> Callable[[NDArray[np.int32]], Any]:
    """Return pyFAI's own way: negative counts are its detector's dummies, masked in every frame."""
    engine = integrator.geometry.pyfai()
    axis = integrator.axes[0]

    def integrate(frame: NDArray[np.int32]) -> Any:
        return engine.integrate1d(
            frame,
            axis.bins,
            unit="2th_deg",
            radial_range=(axis.tth_min_deg, axis.tth_max_deg),
            method=SPLITTING,
            error_model="poisson",
            polarization_factor=integrator.polarisation_factor,
            dummy=-2,
            delta_dummy=1.5,
        )

    return integrate


def _azint(integrator: Integrator) -> tuple[Callable[[NDArray[np.int32]], Any] | None, str]:
    """Return azint's integration with errors, or why there is none."""
    pixel_m = integrator.geometry.pyfai().detector.pixel1
    try:
        azint = importlib.import_module("azint")
    except ImportError:
        return None, "not installed, not compared"
    geometry, axis = integrator.geometry, integrator.axes[0]
    try:
        detector = azint.detector.Detector(pixel_m, pixel_m, geometry.shape)
        poni = azint.Poni(
            detector,
            geometry.distance_mm * 1e-3,
            geometry.poni1_mm * 1e-3,
            geometry.poni2_mm * 1e-3,
            np.deg2rad(geometry.rot1_deg),
            np.deg2rad(geometry.rot2_deg),
            np.deg2rad(geometry.rot3_deg),
            geometry.wavelength_angstrom * 1e-10,
        )
        edges = np.linspace(axis.tth_min_deg, axis.tth_max_deg, axis.bins + 1)
        engine = azint.AzimuthalIntegrator(
            poni,
            4,
            edges,
            unit="2th",
            solid_angle=True,
            polarization_factor=integrator.polarisation_factor,
            error_model="poisson",
        )
        engine.integrate(np.ones(geometry.shape, dtype=np.int32))
    except Exception as error:
        # Its interface has changed between versions; a peer that does not run is reported, not fatal.
        return None, f"installed but not comparable ({type(error).__name__}: {error})"
    return lambda frame: engine.integrate(frame, mask=(frame < 0).astype(np.uint8)), "compared"


def _medians_ms(
    timed: dict[str, tuple[Callable[[], object], int]], calls: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return medians of wall time and of processor time."""
    wall: dict[str, list[float]] = {name: [] for name in timed}
    cpu: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(TURNS):
        for name, (call, frames) in timed.items():
            # A way that follows another finds the caches full of the other's data: the first call takes three times
            # as long as the tenth.
            for _ in range(10 if frames == 1 else 1):
                call()
            for _ in range(max(1, calls // TURNS) if frames == 1 else 2):
                cpu_started_s, started_s = time.thread_time(), time.perf_counter()
                call()
                ended_s, cpu_ended_s = time.perf_counter(), time.thread_time()
                wall[name].append((ended_s - started_s) * 1e3 / frames)
                cpu[name].append((cpu_ended_s - cpu_started_s) * 1e3 / frames)
    return (
        {name: statistics.median(values) for name, values in wall.items()},
        {name: statistics.median(values) for name, values in cpu.items()},
    )


def _difference(integrator: Integrator, frame: NDArray[np.int32]) -> float:
    ours, theirs = integrator.integrate(frame), _pyfai(integrator)(frame)
    return max(
        float(np.nanmax(np.abs(ours.intensity[0] / theirs.intensity - 1))),
        float(np.nanmax(np.abs(ours.sigma[0] / theirs.sigma - 1))),
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_here(sys.argv[1], int(sys.argv[2]))) + "\n")
