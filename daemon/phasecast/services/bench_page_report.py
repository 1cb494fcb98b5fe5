"""The figures of `phasecast bench page` against what was promised, for people."""

from collections.abc import Iterator
from typing import Any

from phasecast.services.bench_page_watchers import NICE

LIMIT_DISK_TO_PIXEL_P95_MS = 1000.0
LIMIT_P99_RATIO = 2.0
LIMIT_P99_MS = 50.0
LIMIT_RATE_LOSS = 0.01
LIMIT_OPEN_MS = 3000.0
LIMIT_LAYER_MS = 500.0
LIMIT_GROWTH_MB = 5.0


def format_report(report: dict[str, Any]) -> str:
    """Return the report as lines; a figure that misses its limit says so."""
    return "\n".join([*_setting(report), *_live(report), *_opening(report["opening"]), *_memory(report["memory"])])


def _setting(report: dict[str, Any]) -> Iterator[str]:
    sessions = len(report["seen"]["sessions"])
    yield (
        f"everything on this machine, {report['cpus']} cores, load before {report['load_before']:.1f}: "
        f"beamline, daemon, page, one Chromium and {sessions} further sessions;"
    )
    yield f"browser and sessions at lower priority (nice {NICE}), as on a beamline they run on other computers"


def _live(report: dict[str, Any]) -> Iterator[str]:
    alone, seen = report["alone"], report["seen"]
    pages = seen["pages"]
    late = pages["disk_to_pixel_ms"]
    yield (
        f"result on disk to pixel, {seen['points']} points: p50 {_number(late['p50'], 0)} ms, "
        f"p95 {_number(late['p95'], 0)} ms, max {_number(late['max'], 0)} ms"
        + _against(late["p95"], LIMIT_DISK_TO_PIXEL_P95_MS, "p95 of 1000 ms")
    )
    told = pages["disk_to_browser_ms"]
    yield f"  of that until the browser was told: p50 {_number(told['p50'], 0)} ms, p95 {_number(told['p95'], 0)} ms"
    yield (
        f"  {pages['commits']} commits in {pages['pictures']} pictures, {pages['pictures_repainted']} with changed "
        f"pixels, {pages['commits_not_shown']} commits not shown; changes sent to the sessions: "
        + ", ".join(map(str, seen["sessions"]))
    )
    yield f"daemon                {'without pages':>15}{'with pages':>15}"
    for name, key, digits in (("frames/s sent", "sent_frames_per_s", 1), ("frames/s done", "done_frames_per_s", 1)):
        yield f"  {name:<20}{_number(alone[key], digits):>15}{_number(seen[key], digits):>15}" + (
            "" if "sent" in name else _rate(alone[key], seen[key])
        )
    for name in ("p50", "p99", "max"):
        without, with_pages = alone["latency_ms"][name], seen["latency_ms"][name]
        note = ""
        if name == "p99" and None not in (without, with_pages):
            note = _against(with_pages, min(LIMIT_P99_RATIO * without, LIMIT_P99_MS), "2x and 50 ms")
        yield f"  {f'latency {name}, ms':<20}{_number(without):>15}{_number(with_pages):>15}{note}"
    yield f"  {'cores':<20}{_number(alone['daemon_cpu_cores'], 2):>15}{_number(seen['daemon_cpu_cores'], 2):>15}"
    for name, figures in (("without pages", alone), ("with pages", seen)):
        yield (
            f"  frames {name}: {figures['frames_sent']} sent, {figures['frames_done']} done, "
            f"{figures['frames_unaccounted']} unaccounted"
        )
    yield f"page process: {_number(seen['page_cpu_cores'], 2)} cores during the scan"
    yield from (f"  page: {line}" for line in pages["errors"])


def _opening(opening: dict[str, Any]) -> Iterator[str]:
    yield f"a scan of {opening['points']} points, to the last changed pixel of its map:"
    for name, key in (("by its address", "opened_by_address_ms"), ("from the list", "opened_from_list_ms")):
        yield f"  opened {name}: {_number(opening[key], 0)} ms" + _against(opening[key], LIMIT_OPEN_MS, "3000 ms")
    layers = opening["layer_ms"]
    slowest = None if None in layers.values() else max(layers.values())
    yield (
        "  layer switched: "
        + ", ".join(f"{name} {_number(value, 0)} ms" for name, value in layers.items())
        + _against(slowest, LIMIT_LAYER_MS, "500 ms")
    )
    yield from (f"  page: {line}" for line in opening["errors"])


def _memory(memory: dict[str, Any]) -> Iterator[str]:
    series = [value for value in memory["after_each_mb"] if value is not None]
    halves = [value for value in memory["after_halves_mb"] if value is not None]
    yield (
        f"memory of the page over {memory['sessions']} sessions of that scan, opened and closed: "
        f"{_number(memory['before_mb'], 0)} MB before, at most {_number(memory['peak_mb'], 0)} MB, "
        f"{' and '.join(_number(value, 0) for value in halves)} MB after each half"
    )
    if series:
        yield "  MB after every fifth: " + ", ".join(_number(value, 0) for value in series[4::5])
    grown = memory["grown_in_second_half_mb"]
    yield f"  grown in the second half: {_number(grown)} MB" + _against(grown, LIMIT_GROWTH_MB, "5 MB")


def _rate(alone: float | None, seen: float | None) -> str:
    if alone is None or seen is None:
        return ""
    return "  within 1 %" if seen >= alone * (1 - LIMIT_RATE_LOSS) else "  BELOW the rate without pages"


def _against(value: float | None, limit: float, words: str) -> str:
    if value is None:
        return f"  NOT MEASURED (limit {words})"
    return f"  within the limit ({words})" if value <= limit else f"  ABOVE the limit ({words})"


def _number(value: float | None, digits: int = 1) -> str:
    return "?" if value is None else f"{value:.{digits}f}"
