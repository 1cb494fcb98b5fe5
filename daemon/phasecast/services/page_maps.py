"""What the page shows and gives of several scans that are one map, each made by a process of its own."""

import json
from pathlib import Path
from typing import Any

from phasecast.core.words import LANGUAGES, words


def describe_map(paths: tuple[Path, ...], target: Path) -> None:
    """Write what a map holds and what its interruptions changed as JSON, in all languages.

    ``points``, ``superseded``, and ``interruptions``: the ``file`` and ``row`` from which each holds, whether it lies
    ``within`` a scan, whether an offset was found that is larger than its uncertainty (``displaced``), and by language
    the whole ``text`` and the ``offset`` alone, empty where nothing can be told.
    """
    from phasecast.report.map_text import interruption_text, is_displaced, map_of, offset_text
    from phasecast.results.composed_map import open_map

    with open_map(paths) as result:
        fact = map_of(result)
        interruptions: list[dict[str, Any]] = [
            {
                "file": one.after_file,
                "row": one.after_row,
                "within": one.within_a_scan,
                "displaced": is_displaced(one),
                "text": {language: interruption_text(one, words(language)) for language in LANGUAGES},
                "offset": {language: offset_text(one, words(language)) for language in LANGUAGES},
            }
            for one in (fact.interruptions if fact is not None else ())
        ]
        content = {
            "points": result.points,
            "superseded": result.ledger_sums["superseded"],
            "interruptions": interruptions,
        }
    target.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_repair(paths: tuple[Path, ...], target: Path) -> None:
    """Write the points of a map to measure again: a table if the target ends in ``.csv``, else a bluesky plan."""
    from phasecast.results.composed_map import open_map
    from phasecast.results.repair_list import repair_list

    with open_map(paths) as result:
        found = repair_list(result)
    # Japanese Excel needs the byte order mark to see that it is UTF-8
    text = "\ufeff" + found.as_csv() if target.suffix == ".csv" else found.as_plan()
    target.write_text(text, encoding="utf-8", newline="")
