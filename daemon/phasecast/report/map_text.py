"""What a report says of a map that several scans make up, or that was interrupted."""

from collections.abc import Iterator

from phasecast.core.words import Words
from phasecast.report.fact_text import duration_text
from phasecast.report.model import InterruptionFact, MapFact
from phasecast.results.composed_map import ComposedMap
from phasecast.results.interruptions import Interruption, interruptions_of, parts_of
from phasecast.results.map_identity import map_name_of
from phasecast.results.reader import Result

_SIGNIFICANT = 3.0


def map_of(result: Result) -> MapFact | None:
    """Return the scans of a map and its interruptions; None for a single scan without any."""
    interruptions = tuple(_fact(one) for one in interruptions_of(result))
    if not isinstance(result, ComposedMap) and not interruptions:
        return None
    done, lines = result.done, []
    for part in parts_of(result):
        counting = int(done[part.rows].sum())
        lines.append((part.result.path.name, part.result.header.scan_id, counting, part.result.points))
    return MapFact(
        name=result.name if isinstance(result, ComposedMap) else map_name_of(result.header),
        scans=tuple(lines),
        one_step=result.has_one_step if isinstance(result, ComposedMap) else True,
        interruptions=interruptions,
    )


def map_rows(fact: MapFact | None, say: Words) -> list[tuple[str, str]]:
    """Return the lines of the table of what was scanned: name of the map and its scans."""
    if fact is None:
        return []
    lines = [
        say("map.scan_line", file=file, number=number, counting=f"{counting:,}", points=f"{points:,}")
        for file, number, counting, points in fact.scans
    ]
    return [(say("map.name"), fact.name or say("report.unknown")), (say("map.scans"), "; ".join(lines))]


def map_notices(fact: MapFact | None, say: Words) -> Iterator[tuple[str, str]]:
    """Yield what a reader must know before the maps: kind (``bad`` or ``note``) and sentence."""
    if fact is None:
        return
    for one in fact.interruptions:
        yield ("bad" if is_displaced(one) else "note"), interruption_text(one, say)
    if not fact.one_step:
        yield "note", say("map.steps_differ")


def shifts_of(result: ComposedMap, say: Words) -> Iterator[str]:
    """Yield what was added to the positions of each scan, as somebody asked."""
    for part in result.parts:
        if any(part.offset_um):
            x, y = (f"{value:+g}" for value in part.offset_um)
            yield say("map.shifted", file=part.result.path.name, x=x, y=y)


def is_displaced(fact: InterruptionFact) -> bool:
    """Whether an offset was found that is larger than its uncertainty explains."""
    axes = ((fact.x_um, fact.x_sigma_um), (fact.y_um, fact.y_sigma_um))
    return any(value is not None and sigma and abs(value) > _SIGNIFICANT * sigma for value, sigma in axes)


def interruption_text(fact: InterruptionFact, say: Words) -> str:
    """Return what one interruption changed, with its uncertainty and that nothing was applied."""
    duration = duration_text(fact.duration_s, say)
    if fact.within_a_scan:
        sentences = [say("map.pause", file=fact.before_file, point=fact.before_row, duration=duration)]
    else:
        sentences = [say("map.next_scan", file=fact.after_file, duration=duration)]
    if fact.i0_change is not None and fact.i0_change_sigma is not None:
        percent = f"{100 * fact.i0_change:+.1f}", f"{100 * fact.i0_change_sigma:.1f}"
        sentences.append(say("map.i0", change=percent[0], sigma=percent[1]))
    if fact.how == "none":
        sentences.append(say("map.offset_none"))
    else:
        x, y = (_with_sigma(*axis, say) for axis in ((fact.x_um, fact.x_sigma_um), (fact.y_um, fact.y_sigma_um)))
        sentences.append(say(f"map.offset_{fact.how}", points=fact.points, x=x, y=y))
    if any(fact.applied_um):
        x, y = (f"{value:+g}" for value in fact.applied_um)
        sentences.append(say("map.applied", file=fact.after_file, x=x, y=y))
    elif fact.how != "none":
        sentences.append(say("map.not_applied"))
    return ("" if say.language == "ja" else " ").join(sentences)


def offset_text(fact: InterruptionFact, say: Words) -> str:
    """Return the estimated offset alone, with its uncertainty; empty where nothing can be told."""
    if fact.how == "none":
        return ""
    x, y = (_with_sigma(*axis, say) for axis in ((fact.x_um, fact.x_sigma_um), (fact.y_um, fact.y_sigma_um)))
    return say("map.offset_short", x=x, y=y)


def _with_sigma(value: float | None, sigma: float | None, say: Words) -> str:
    if value is None or sigma is None:
        return say("map.not_told")
    return say("map.value_um", value=f"{value:+.1f}", sigma=f"{sigma:.1f}")


def _fact(one: Interruption) -> InterruptionFact:
    offset = one.offset
    return InterruptionFact(
        before_file=one.before[0],
        before_row=one.before[1],
        after_file=one.after[0],
        after_row=one.after[1],
        within_a_scan=one.within_a_scan,
        duration_s=one.duration_s,
        i0_change=one.i0_change,
        i0_change_sigma=one.i0_change_sigma,
        how=offset.how,
        points=offset.points,
        x_um=offset.x_um,
        y_um=offset.y_um,
        x_sigma_um=offset.x_sigma_um,
        y_sigma_um=offset.y_sigma_um,
        applied_um=one.applied_um,
    )
