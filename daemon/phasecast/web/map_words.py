"""What is said of a map of several scans below its legend, and of one of its points."""

import html

from phasecast.core.words import Words
from phasecast.records.maps_list import PREFIX, MapEntry
from phasecast.web.hub import Hub
from phasecast.web.live_map import LiveMap
from phasecast.web.live_scan import LiveScan
from phasecast.web.scans_table import printable
from phasecast.web.session import Session, address


def map_html(scan: LiveScan, hub: Hub, session: Session) -> str:
    """Return the scans of a map, each a link to itself, and what its interruptions changed; empty for one scan."""
    entry = hub.map_entry(scan.address) if isinstance(scan, LiveMap) else None
    if not isinstance(scan, LiveMap) or entry is None:
        return ""
    say, composed = session.words, scan.map_columns.composed
    counting = composed.counting_points
    live = {one.path.name for one in entry.live}
    lines = []
    for part in composed.parts:
        name = part.result.path.name
        said = [say("map.counting", counting=counting[part.first], points=part.result.points)]
        said += [say("scans.live")] if name in live else []
        lines.append(f"<li>{_link(name, session)}: {html.escape(' · '.join(said))}</li>")
    facts = hub.map_facts.of(entry)
    notes = []
    if facts is None:
        failure = hub.map_facts.failure_of(entry)
        notes.append(("bad", say("map.facts_failed", reason=failure)) if failure else ("hint", say("map.estimating")))
    else:
        notes += [("warn" if one.displaced else "hint", one.text[say.language]) for one in facts.interruptions]
    if not composed.has_one_step:
        notes.append(("hint", say("map.steps_differ")))
    notes.append(("hint", say("map.one_scan")))
    texts = "".join(f"<p class='{kind}'>{html.escape(text)}</p>" for kind, text in notes)
    return f"<div class='pc-map-facts'><b>{html.escape(say('map.scans'))}</b><ul>{''.join(lines)}</ul>{texts}</div>"


def point_html(scan: LiveScan, point: int, hub: Hub, words: Words, theme: str) -> list[str]:
    """Return which scan a point of a map is from, as a link, and the offset of that scan; nothing for one scan."""
    entry = hub.map_entry(scan.address) if isinstance(scan, LiveMap) else None
    if not isinstance(scan, LiveMap) or entry is None:
        return []
    source = scan.source_of(point)
    name = source.result.path.name
    where = address({"lang": words.language, "theme": theme}, scan=printable(name), point=str(source.point))
    text = html.escape(words("map.point_of", point=source.point, file=printable(source.result.path.stem)))
    said = [f'<a href="{html.escape(where)}" class="pc-source">{text}</a>']
    facts = hub.map_facts.of(entry)
    found = facts.of_point(name, source.point) if facts is not None else None
    if found is not None and found.offset[words.language]:
        kind = "warn" if found.displaced else "hint"
        offset = words("map.point_offset", offset=found.offset[words.language])
        said.append(f"<span class='{kind}'>{html.escape(offset)}</span>")
    return said


def map_label(entry: MapEntry, words: Words) -> str:
    """Return what a map is called in a list: its name and coordinate frame, and the number of scans."""
    name = " / ".join(part for part in (entry.name, entry.frame) if part)
    _, several, number = entry.address.removeprefix(PREFIX).partition("//")
    return words("map.label", name=f"{name} ({number})" if several else name, scans=len(entry.entries))


def _link(name: str, session: Session) -> str:
    where = address({"lang": session.words.language, "theme": session.theme.name}, scan=printable(name))
    return f'<a href="{html.escape(where)}">{html.escape(printable(name))}</a>'
