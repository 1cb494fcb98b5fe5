"""What each person says of each point, without the patterns, and where two of them contradict each other."""

from dataclasses import dataclass

from phasecast.records.book import Book
from phasecast.records.journal import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A person's newest word on one point.

    Parameters
    ----------
    label_id
        Id of the label.
    point
        Row of the result.
    who, time_s
        The person, POSIX time.
    classes
        Ids of the classes that they see.
    """

    label_id: str
    point: int
    who: str
    time_s: float
    classes: tuple[str, ...]


class ClaimBook(Book):
    """Claims from the journal of a scan's labels: `refresh` takes what is new."""

    @property
    def claims(self) -> list[Claim]:
        """The newest claim of each person on each point that was not taken back, in order of time."""
        newest = {(one.point, one.who): one for one in self._said.values() if one.label_id not in self._undone}
        return sorted(newest.values(), key=lambda one: (one.time_s, one.label_id))

    @property
    def rows(self) -> set[int]:
        """Rows that anybody labelled."""
        return {one.point for one in self.claims}

    @property
    def conflicts(self) -> list[tuple[Claim, ...]]:
        """Claims on each point that people see differently, by point; within a point in order of time."""
        by_point: dict[int, list[Claim]] = {}
        for one in self.claims:
            by_point.setdefault(one.point, []).append(one)
        return [
            tuple(claims)
            for _, claims in sorted(by_point.items())
            if len({frozenset(one.classes) for one in claims}) > 1
        ]

    def _clear(self) -> None:
        self._said: dict[str, Claim] = {}
        self._undone: set[str] = set()

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "label":
                one = Claim(
                    label_id=str(entry["id"]),
                    point=int(entry["point"]),
                    who=str(entry["who"]),
                    time_s=float(entry["time_s"]),
                    classes=tuple(map(str, entry["classes"])),
                )
                self._said[one.label_id] = one
            case "undo":
                self._undone.update(map(str, entry["labels"]))
