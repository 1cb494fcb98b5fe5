"""Every word that people read on the page and in reports, in English and Japanese, from one catalogue.

The catalogue is ``words.toml`` beside this file: one table a room, each entry with ``en`` and ``ja``.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal, get_args

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_CATALOGUE = Path(__file__).with_name("words.toml")


class Words:
    """The words of one language.

    Parameters
    ----------
    language
        ``en`` or ``ja``.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._entries = catalogue()

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of ``room.name`` with its ``{places}`` filled in.

        Raises
        ------
        KeyError
            If the catalogue has no such entry.
        """
        text = self._entries[key][self.language]
        return text.format(**values) if values else text

    def reason(self, reason: str) -> str:
        """Return what people read for a reason of the ledger: its entry in the room ``reason``, else itself."""
        entry = self._entries.get(f"reason.{reason.replace(' ', '_')}")
        return reason if entry is None else entry[self.language]

    def name_of(self, name_en: str, name_ja: str) -> str:
        """Return the name of a class in this language."""
        return name_ja if self.language == "ja" and name_ja else name_en


@cache
def words(language: str) -> Words:
    """Return the words of a language; English for one that the catalogue does not have."""
    return Words("ja" if language == "ja" else "en")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Return ``room.name`` to language to text."""
    tables = tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))
    return {f"{room}.{name}": texts for room, table in tables.items() for name, texts in table.items()}
