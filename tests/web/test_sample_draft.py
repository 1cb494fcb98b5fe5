"""A form that two people fill in at once."""

from phasecast.web.sample_draft import Draft
from phasecast.web.sample_words import flat


def test_what_others_save_reaches_untouched_fields_only():
    draft = Draft(("name", "material"))
    draft.follow({"name": "A"})
    draft.type("material", "steel")
    draft.follow({"name": "B", "material": "iron"})
    assert draft.text == {"name": "B", "material": "steel"}
    assert draft.overtaken == {"material"}
    assert draft.touched() == {"material": "steel"}
    draft.type("material", "iron ")
    assert draft.touched() == {}
    assert draft.overtaken == set()


def test_saved_draft_is_untouched_and_a_cleared_field_is_sent():
    draft = Draft(("name", "material"))
    draft.follow({"name": "A", "material": "iron"})
    draft.type("name", " C ")
    draft.type("material", "")
    assert draft.touched() == {"name": "C", "material": ""}
    assert draft.filled() == {"name": "C"}
    draft.follow({"name": "C"})
    assert draft.touched() == {}


def test_nested_metadata_reads_as_lines():
    assert dict(flat({"a": {"b": [1, 2], "c": None}, "d": " x\n y ", "e": ""})) == {
        "a.b": "1, 2", "a.c": "None", "d": "x y",
    }  # fmt: skip
