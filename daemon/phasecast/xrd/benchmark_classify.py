"""Times a model bundle on this machine."""

import os
import statistics
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle

PATTERNS = 114_198
"""As many as the maps of 15 sections of corroded steel had that the classes come from."""
_DISTINCT = 4096


def bench_classify(*, model: str = "bl16xu-rust", patterns: int = PATTERNS, calls: int = 50) -> dict[str, Any]:
    """Return the time of one pattern, of one block, and of many patterns in one call, on one thread.

    Patterns are Poisson counts with rings of random height, each with its sigma.

    Parameters
    ----------
    model
        Bundle: a shipped one or a folder.
    patterns
        Number of patterns of the long call.
    calls
        Warm calls that medians are taken of.

    Raises
    ------
    PhasecastError
        If the bundle cannot be used.
    """
    try:
        bundle = load_bundle(model)
    except BundleError as error:
        raise PhasecastError(str(error), where="--model") from error
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure(bundle, patterns, calls)
    finally:
        torch.set_num_threads(threads)


def _measure(bundle: Bundle, patterns: int, calls: int) -> dict[str, Any]:
    counts = _counts(min(patterns, _DISTINCT), bundle.axis.bins)
    single_ms = _median_ms(bundle, counts, 1, calls)
    block_ms = _median_ms(bundle, counts, bundle.block, calls)
    whole = np.resize(counts, (patterns, counts.shape[1]))
    tth_deg = bundle.axis.tth_deg
    began = time.perf_counter()
    bundle.confidences(whole, tth_deg, sigma=np.sqrt(np.maximum(whole, 1)))
    total_s = time.perf_counter() - began
    return {
        "model": f"{bundle.name} {bundle.version}",
        "bins": bundle.axis.bins,
        "block": bundle.block,
        "calls": calls,
        "threads": 1,
        "ms_single": single_ms,
        "ms_block": block_ms,
        "patterns": patterns,
        "seconds": total_s,
        "patterns_per_s": {
            "single": 1e3 / single_ms,
            "block": 1e3 * bundle.block / block_ms,
            "one_call": patterns / total_s,
        },
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    rates, block = report["patterns_per_s"], f"block of {report['block']}"
    return "\n".join(
        [
            f"{report['model']}, {report['bins']} bins with sigma, one thread, median of {report['calls']} warm calls, "
            f"machine load {report['load']:.1f}",
            f"{'one pattern':<16} {report['ms_single']:9.2f} ms  {rates['single']:8.0f} patterns/s",
            f"{block:<16} {report['ms_block']:9.2f} ms  {rates['block']:8.0f} patterns/s",
            f"{report['patterns']:<16,} {report['seconds']:9.1f} s   {rates['one_call']:8.0f} patterns/s",
        ]
    )


def _counts(n: int, bins: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    x = np.arange(bins)
    rings = np.exp(-0.5 * ((x - rng.uniform(0, bins, (12, 1))) / 6) ** 2)
    return rng.poisson(50 + rng.exponential(100, (n, 12)) @ rings).astype(np.float32)


def _median_ms(bundle: Bundle, counts: NDArray[np.float32], size: int, calls: int) -> float:
    tth_deg, times = bundle.axis.tth_deg, []
    for call in range(calls + 3):
        first = call * size % max(1, len(counts) - size)
        part = counts[first : first + size]
        sigma = np.sqrt(np.maximum(part, 1))
        began = time.perf_counter()
        bundle.confidences(part, tth_deg, sigma=sigma)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times[3:])
