"""The catalogue of words is whole: both languages, the same places, and nothing that the program uses is missing."""

import re
from pathlib import Path
from string import Formatter

import pytest

import phasecast
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.words import LANGUAGES, catalogue, words

_ROOMS = "|".join(sorted({key.partition(".")[0] for key in catalogue()}))
_USED = re.compile(rf'"((?:{_ROOMS})\.(?!(?:json|jsonl|log|html|png|toml)")[a-z0-9_]+)"')
_SOURCES = [
    path.read_text(encoding="utf-8")
    for pattern in ("*.py", "*.j2")
    for path in sorted(Path(phasecast.__path__[0]).rglob(pattern))
]


def places_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_entry_has_both_languages_with_the_same_places():
    assert len(catalogue()) > 100
    for key, entry in catalogue().items():
        assert set(entry) == set(LANGUAGES), key
        assert all(text.strip() for text in entry.values()), key
        assert places_of(entry["en"]) == places_of(entry["ja"]), key


def test_every_key_in_the_code_is_in_the_catalogue():
    used = {key for source in _SOURCES for key in _USED.findall(source)}
    assert len(used) > 50
    assert not sorted(used - set(catalogue()))


def test_states_and_flags_have_names():
    names = {f"state.{state.label}" for state in PointState}
    names |= {f"flag.{(flag.name or '').lower()}" for flag in PointFlag if flag}
    assert not names - set(catalogue())


@pytest.mark.parametrize(
    ("key", "japanese"),
    [
        ("common.confidence", "確信度"), ("common.interval", "信頼区間"), ("common.steel", "地鉄"),
        ("common.threshold", "しきい値"), ("state.pending", "未処理"), ("state.lost_upstream", "欠測"),
        ("state.rejected", "除外"),
    ],
)  # fmt: skip
def test_terms_that_users_agreed_on(key, japanese):
    assert words("ja")(key) == japanese


def test_reasons_are_said_in_the_language_or_as_the_file_says_them():
    assert words("ja").reason("no beam") == "ビームなし"
    assert words("ja").reason("wrong frame of a kind") == "wrong frame of a kind"


def test_an_unknown_language_is_english_and_places_are_filled():
    assert words("xx")("common.threshold") == "threshold"
    assert "0.70" in words("ja")("page.no_class", threshold="0.70")
    with pytest.raises(KeyError):
        words("en")("page.no_such_entry")
