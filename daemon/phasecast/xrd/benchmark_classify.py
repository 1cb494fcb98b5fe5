"""Times a model bundle on this machine, and shows what was measured of it."""

import os
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import PhasecastError
from phasecast_models.xrd.bundle import Bundle, BundleError, load_bundle
from phasecast_models.xrd.network import MEMBERS

PATTERNS = 114_198
"""As many as the maps of 15 sections of corroded steel had that the classes come from."""
LONGEST_SINGLE_MS = 2.0
LONGEST_ENSEMBLE_S = 5.0
LONGEST_ONE_NETWORK_S = 1.0
"""For `PATTERNS` on two cores, from intensity and sigma to confidences."""
_DISTINCT = 4096


def bench_classify(*, model: str = "bl16xu-rust", patterns: int = PATTERNS, calls: int = 50) -> dict[str, Any]:
    """Return the times of one pattern, of one block, and of many patterns in one call, and the tables of the card.

    Patterns are Poisson counts with rings of random height, each with its sigma. Those of the long call are classified
    by both halves of the network and by its perceptron alone, on one thread and on two.

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
    counts = _counts(min(patterns, _DISTINCT), bundle.axis.bins)
    single_ms = _median_ms(bundle, counts, 1, calls)
    block_ms = _median_ms(bundle, counts, bundle.block, calls)
    whole = np.resize(counts, (patterns, counts.shape[1]))
    sigma = np.sqrt(np.maximum(whole, 1))
    long_calls: list[dict[str, Any]] = [
        {"members": list(members), "threads": threads, "seconds": _seconds(bundle, whole, sigma, members, threads)}
        for members in (MEMBERS, MEMBERS[:1])
        for threads in (1, 2)
    ]
    total_s = min(call["seconds"] for call in long_calls if call["members"] == list(MEMBERS))
    return {
        "model": f"{bundle.name} {bundle.version}",
        "calibrated_on": str(bundle.card.get("calibrated_on", "unknown")),
        "bins": bundle.axis.bins,
        "block": bundle.block,
        "calls": calls,
        "ms_single": single_ms,
        "ms_block": block_ms,
        "patterns": patterns,
        "long_calls": long_calls,
        "patterns_per_s": {
            "single": 1e3 / single_ms,
            "block": 1e3 * bundle.block / block_ms,
            "one_call": patterns / total_s,
        },
        "limits": {
            "ms_single": LONGEST_SINGLE_MS,
            "seconds_ensemble": LONGEST_ENSEMBLE_S,
            "seconds_one_network": LONGEST_ONE_NETWORK_S,
            "patterns": PATTERNS,
        },
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "metrics": bundle.card.get("metrics", {}),
        "study": bundle.card.get("study", {}),
    }


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines for people."""
    rates, limits = report["patterns_per_s"], report["limits"]
    lines = [
        f"{report['model']} ({report['calibrated_on']}), {report['bins']} bins with sigma, median of {report['calls']} "
        f"warm calls, {report['cpus']} cores, machine load {report['load']:.1f}",
        f"{'one pattern':<34} {report['ms_single']:9.2f} ms  {rates['single']:8.0f} patterns/s  "
        + _verdict(report["ms_single"], limits["ms_single"], "ms"),
        f"{'block of ' + str(report['block']):<34} {report['ms_block']:9.2f} ms  {rates['block']:8.0f} patterns/s",
    ]
    for call in report["long_calls"]:
        alone, threads, seconds = len(call["members"]) == 1, call["threads"], call["seconds"]
        who = f"{call['members'][0]} alone" if alone else "ensemble"
        label = f"{report['patterns']:,} {who}, {threads} thread{'s' if threads > 1 else ''}"
        line = f"{label:<34} {seconds:9.2f} s   {report['patterns'] / seconds:8.0f} patterns/s"
        if threads == 2 and report["patterns"] == limits["patterns"]:
            line += "  " + _verdict(seconds, limits["seconds_one_network" if alone else "seconds_ensemble"], "s")
        lines.append(line)
    for title, content in (("metrics", report["metrics"]), ("study", report["study"])):
        lines += _tables(title, content)
    return "\n".join(lines)


def _verdict(value: float, limit: float, unit: str) -> str:
    return f"(limit {limit:g} {unit}: {'kept' if value <= limit else 'MISSED'})"


def _tables(title: str, content: object) -> Iterator[str]:
    """Yield the lines of a table of a card: values first, then lists of rows, then the tables within."""
    if not isinstance(content, Mapping) or not content:
        return
    yield f"\n{title}"
    scalars = {key: value for key, value in content.items() if not _is_table(value)}
    width = max((len(key) for key in scalars), default=0)
    for key, value in scalars.items():
        yield f"  {key:<{width}}  {_text(value)}"
    for key, value in content.items():
        if isinstance(value, list) and _is_table(value):
            yield f"\n{title}: {key}"
            yield from _rows(value)
    inner = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    flat = {key: value for key, value in inner.items() if not any(_is_table(part) for part in value.values())}
    if len(flat) > 1 and len(flat) == len(inner):
        # Tables side by side, as of one class or one model each: a row for each.
        yield ""
        yield from _rows([{"": key} | dict(value) for key, value in flat.items()])
        return
    for key, value in inner.items():
        yield from _tables(f"{title}: {key}", value)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)
    )


def _rows(rows: list[Mapping[str, object]]) -> Iterator[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_text(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        first, *others = (cell.ljust(w) if not place else cell.rjust(w) for place, (cell, w) in _placed(line, widths))
        yield "  " + "  ".join([first, *others]).rstrip()


def _placed(line: list[str], widths: list[int]) -> Iterator[tuple[int, tuple[str, int]]]:
    yield from enumerate(zip(line, widths, strict=True))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(_text(part) for part in value)
    return str(value)


def _counts(n: int, bins: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    x = np.arange(bins)
    rings = np.exp(-0.5 * ((x - rng.uniform(0, bins, (12, 1))) / 6) ** 2)
    return rng.poisson(50 + rng.exponential(100, (n, 12)) @ rings).astype(np.float32)


def _seconds(
    bundle: Bundle, whole: NDArray[np.float32], sigma: NDArray[np.float32], members: tuple[str, ...], threads: int
) -> float:
    began = time.perf_counter()
    bundle.confidences(whole, bundle.axis.tth_deg, sigma=sigma, members=members, threads=threads)
    return time.perf_counter() - began


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
