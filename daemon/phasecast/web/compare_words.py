"""What a comparison says in words and numbers."""

import html

import numpy as np

from phasecast.core.result import PhaseClass
from phasecast.core.words import Words
from phasecast.web.compare_changes import Change, Changes
from phasecast.web.compare_picture import CHANGE_COLOURS

_HEAD = ("class", "in_a", "in_b", "gained", "lost")


class ComparisonWords:
    """Text of the comparison in the words of one session; everything is escaped here.

    Parameters
    ----------
    words
        Of the session.
    """

    def __init__(self, words: Words) -> None:
        self._words = words

    def offer(self, has_same: bool, has_similar: bool) -> str:
        """Why nothing is compared yet."""
        key = "choose" if has_same else "only_others" if has_similar else "nothing"
        return self._words(f"compare.{key}")

    def note(self, changes: Changes, *, same_scan: bool) -> str:
        """What to know before believing the comparison."""
        words = self._words
        lines = [] if same_scan else [("warn", words("compare.other_scan"))]
        if not changes.classes:
            lines.append(("warn", words("compare.no_classes")))
        elif changes.unshared:
            names = ", ".join(dict.fromkeys(self._name(phase) for phase in changes.unshared))
            lines.append(("hint", words("compare.unshared", names=names)))
        left_out = max(changes.a.columns.points, changes.b.columns.points) - changes.compared
        if left_out:
            lines.append(("hint", words("compare.not_compared", points=left_out)))
        return "".join(f"<p class='{kind}'>{html.escape(line)}</p>" for kind, line in lines)

    def summary(self, changes: Changes, class_id: str) -> str:
        """How many points changed, and what the colours of the third map mean."""
        words = self._words
        if not changes.classes:
            return ""
        line = words(
            "compare.changed_of", changed=changes.changed, compared=changes.compared,
            threshold=f"{changes.threshold:.2f}",
        )  # fmt: skip
        kinds = changes.kinds(np.arange(changes.points), class_id)
        counts = np.bincount(kinds, minlength=len(Change))
        shown = [Change.GAINED, Change.LOST, Change.KEPT if class_id else Change.EXCHANGED, Change.UNCHANGED]
        keys = {Change.UNCHANGED: "without"} if class_id else {}
        entries = "".join(
            f"<span><i style='background:{CHANGE_COLOURS[kind]}'></i>"
            f"{html.escape(words(f'compare.{keys.get(kind, kind.name.lower())}'))}: {counts[kind]}</span>"
            for kind in shown
        )
        return f"<p><b>{html.escape(line)}</b></p><div class='legend'>{entries}</div>"

    def table(self, changes: Changes) -> str:
        """Points of each class in both results, and how many came and went."""
        if not changes.classes:
            return ""
        head = "".join(f"<th>{html.escape(self._words(f'compare.{key}'))}</th>" for key in _HEAD)
        numbers = zip(changes.in_a, changes.in_b, changes.gained, changes.lost, strict=True)
        rows = "".join(
            f"<tr><td><i style='background:{html.escape(phase.colour)}'></i>{html.escape(self._name(phase))}</td>"
            f"{''.join(f'<td>{number}</td>' for number in row)}</tr>"
            for phase, row in zip(changes.classes, numbers, strict=True)
        )
        return f"<table class='numbers'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def point(self, changes: Changes, point: int) -> str:
        """What both results make of a point."""
        words, columns = self._words, changes.a.columns
        before, after = (", ".join(map(self._name, classes)) or "–" for classes in changes.classes_of(point))
        kind = Change(int(changes.kinds(np.array([point]))[0]))
        verdict = words("compare.no_pair") if kind is Change.NOT_COMPARED else words(f"compare.{kind.name.lower()}")
        place = f"x {columns.x_um[point]:.1f}, y {columns.y_um[point]:.1f} µm"
        return (
            f"<b>{html.escape(words('common.point'))} {point}</b> · {place} · {html.escape(verdict)}"
            f"<br>A: {html.escape(before)}<br>B: {html.escape(after)}"
        )

    def _name(self, phase: PhaseClass) -> str:
        return self._words.name_of(phase.name_en, phase.name_ja)
