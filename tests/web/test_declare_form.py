"""The form's fields are the model's, and whatever is wrong is said beside the field it is in."""

import pytest
from pydantic import ValidationError

from phasecast.core.words import catalogue
from phasecast.profiles import ScanDeclaration
from phasecast.web.declare_form import FIELDS, Problem, declaration_in, empty_form, form_of
from phasecast.web.declare_tab import GROUPS

RASTER = {"nx": "60", "ny": "40", "step_x_um": "2", "step_y_um": "-2.5", "exposure_s": "0.5"}
LOG = {"positions": "log", "log.path": "/data/位置.txt", "log.x.column": "X[pulse]", "log.y.column": "３"}


def form(**changes: str) -> dict[str, str]:
    return empty_form() | RASTER | {name.replace("__", "."): text for name, text in changes.items()}


def problems(texts: dict[str, str]) -> dict[str, Problem]:
    found = declaration_in(texts)
    assert isinstance(found, dict)
    return found


def test_every_field_of_the_model_has_its_place_and_its_words():
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(FIELDS)
    assert not {f"declare.{name.replace('.', '_')}" for name in FIELDS} - set(catalogue())
    choices = {choice or "auto" for field in FIELDS.values() if field.kind == "choice" for choice in field.choices} - {
        "x",
        "y",
        "um",
        "mm",
        "pulse",
        "-1",
        "1",
        "utf-8",
        "cp932",
    }
    assert not {f"declare.choice_{choice}" for choice in choices} - set(catalogue())


def test_a_filled_form_is_the_declaration_it_says_and_back():
    texts = form() | LOG | {"log.x.unit": "pulse", "log.x.factor": "０．０５", "log.y.sign": "-1", "log.time": "日時"}
    texts |= {
        "log.time_zone": "Asia/Tokyo",
        "log.scalars": "i0 = I0, i1 = 7",
        "snake": "1",
        "expected_start": "2026-11-25 10:00",
    }
    found = declaration_in(texts)
    assert isinstance(found, ScanDeclaration), found
    assert found.log is not None
    assert found.log.y.column == 3
    assert found.log.x.um_per_unit == 0.05
    assert found.log.scalars == {"i0": "I0", "i1": 7}
    assert (found.points, found.extent_um, found.least_s) == (2400, (118.0, 97.5), 1200.0)
    assert declaration_in(form_of(found)) == found


@pytest.mark.parametrize(
    ("changes", "field", "kind"),
    [
        ({"nx": "0"}, "nx", "greater_than_equal"), ({"nx": ""}, "nx", "missing"), ({"ny": "3.5"}, "ny", "whole"),
        ({"step_x_um": "0"}, "step_x_um", "no_step"), ({"step_y_um": "two"}, "step_y_um", "number"),
        ({"exposure_s": "0"}, "exposure_s", "greater_than"), ({"exposure_s": "nan"}, "exposure_s", "number"),
        ({"nx": "9000", "ny": "9000"}, "nx", "too_many"), ({"frames_per_row": "59"}, "frames_per_row", "few_frames"),
        ({"name": "n" * 201}, "name", "string_too_long"), ({"expected_start": "soon"}, "expected_start", "time"),
        (LOG | {"log.x.column": ""}, "log.x.column", "missing"),
        (LOG | {"log.y.column": "0"}, "log.y.column", "greater_than_equal"),
        (LOG | {"log.x.unit": "pulse"}, "log.x.factor", "pulse_factor"),
        (LOG | {"log.time": "t"}, "log.time_zone", "needs_zone"),
        (LOG | {"log.time_zone": "Mars"}, "log.time_zone", "unknown_zone"),
        (LOG | {"log.join": "file"}, "log.join", "join_column"),
        (LOG | {"log.scalars": "i0 = "}, "log.scalars", "string_too_short"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_with_what_the_model_says(changes, field, kind):
    found = problems(form() | changes)
    assert found[field].key == f"declare.error_{kind}", found
    assert found[field].key in catalogue()
    catalogue()[found[field].key]["ja"].format(**found[field].values)


def test_limits_shown_are_the_models():
    assert problems(form(nx="100001"))["nx"].values == {"le": 100_000}
    with pytest.raises(ValidationError):
        ScanDeclaration.model_validate(RASTER | {"nx": 100_001})
