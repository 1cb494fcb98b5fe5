"""The maps of a data directory: results whose scans belong together, grouped by what they say of themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

from phasecast.records.results_list import ResultEntry

PREFIX = "map/"
"""Begins the address of a map; no file name holds a slash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapEntry:
    """Several scans that are one map.

    Parameters
    ----------
    address
        What the page calls it: `PREFIX`, its name and, where one is stated, its coordinate frame.
    name, frame
        Name of the map, and of its coordinate frame.
    entries
        One result of each scan, in order of their start; at least two.
    others
        Older results of the same scans, which are left out.
    """

    address: str
    name: str
    frame: str
    entries: tuple[ResultEntry, ...]
    others: tuple[ResultEntry, ...]

    @property
    def newest(self) -> ResultEntry:
        """Result of the scan that began last."""
        return self.entries[-1]

    @property
    def live(self) -> tuple[ResultEntry, ...]:
        """Those that are being written."""
        return tuple(entry for entry in self.entries if entry.state == "live")

    @property
    def points(self) -> int:
        """Points of all scans."""
        return sum(entry.points for entry in self.entries)


def maps_of(entries: Sequence[ResultEntry]) -> list[MapEntry]:
    """Return the maps of several scans among results, that which was measured last first.

    Scans without a name of a map or sample belong to none. Of several results of one scan the one written last counts.
    Where results of one name do not fit each other, those that do are a map each, told apart by a number.
    """
    groups: dict[tuple[str, str], dict[int, list[ResultEntry]]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.started_s, entry.path.name)):
        if entry.is_readable and entry.map_name:
            groups.setdefault((entry.map_name, entry.map_frame), {}).setdefault(entry.fits, []).append(entry)
    found = []
    for (name, frame), kinds in groups.items():
        address = PREFIX + "/".join(_escaped(part) for part in (name, frame) if part)
        for number, kind in enumerate(kinds.values(), start=1):
            newest = {}
            for entry in sorted(kind, key=lambda entry: entry.changed_s):
                newest[entry.raw_uid] = entry
            chosen = tuple(entry for entry in kind if newest[entry.raw_uid] is entry)
            if len(chosen) > 1:
                found.append(
                    MapEntry(
                        address=address if number == 1 else f"{address}//{number}",
                        name=name,
                        frame=frame,
                        entries=chosen,
                        others=tuple(entry for entry in kind if entry not in chosen),
                    )
                )
    return sorted(found, key=lambda entry: (not entry.live, -entry.newest.started_s, entry.address))


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2F")
