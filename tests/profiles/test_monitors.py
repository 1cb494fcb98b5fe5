"""What a profile says of monitors is either clear or refused with the reason."""

import pytest

from phasecast.core.errors import ProfileError
from phasecast.profiles import list_profiles, load_profile

BASE = list_profiles()["bl16xu"].read_text(encoding="utf-8")
OLD = BASE[BASE.index("[monitors]") : BASE.index("[join]")]
DIODE = '{ name = "diode", field = "d", unit = "A", role = "i1" }'


def load(tmp_path, monitors, corrections=""):
    path = tmp_path / "p.toml"
    text = BASE.replace(OLD, f"[monitors]\n{monitors}\n\n")
    path.write_text(text.replace("[axis]", f"{corrections}\n\n[axis]"), encoding="utf-8")
    return load_profile(path)


def test_monitors_are_named_with_unit_offset_and_role(tmp_path):
    ring = '{ name = "ring", field = "sr_current", unit = "mA", role = "ring_current" }'
    i0 = '{ name = "i0", field = "ic1", unit = "counts", offset = 120, role = "i0" }'
    monitors = load(tmp_path, f"named = [{i0}, {DIODE}, {ring}]\nempty_ratio = 2e-6").monitors
    assert [(one.name, one.unit, one.offset, one.role) for one in monitors.all] == [
        ("i0", "counts", 120, "i0"), ("diode", "A", 0, "i1"), ("ring", "mA", 0, "ring_current"),
    ]  # fmt: skip


def test_the_field_alone_is_a_monitor_of_counts(tmp_path):
    (i0,) = load(tmp_path, 'i0_field = "ic1"').monitors.all
    assert (i0.name, i0.field, i0.unit, i0.offset, i0.role) == ("i0", "ic1", "counts", 0, "i0")


REFUSED = {
    "two incident monitors": ('i0_field = "a"\nnamed = [{ name = "i0", field = "b", role = "i0" }]', "used twice: i0"),
    "another name for i0": ('named = [{ name = "front", field = "a", role = "i0" }]', "is named i0"),
    "i0 for another thing": ('named = [{ name = "i0", field = "a" }]', "is named i0"),
    "a name of the ledger": ('named = [{ name = "x_um", field = "a" }]', "another meaning: x_um"),
    "two transmissions": (
        f'i0_field = "a"\ntransmission_field = "t"\nnamed = [{DIODE}]\nempty_ratio = 1.0', "transmission_field or"
    ),
    "a ratio of nothing": ('i0_field = "a"\nempty_ratio = 1.0', "roles i0 and i1"),
    "two empty beams": (f'i0_field = "a"\nnamed = [{DIODE}]\nempty_ratio = 1.0\nempty_point = 0', "exclude each other"),
    "two chambers behind": (f'i0_field = "a"\nnamed = [{DIODE}, {DIODE.replace("diode", "i1")}]', "role i1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_contradictions_are_refused_in_one_line(tmp_path, name):
    monitors, said = REFUSED[name]
    with pytest.raises(ProfileError, match=said) as caught:
        load(tmp_path, monitors)
    assert "monitors" in str(caught.value)


EMPTY = 'empty_frame = { file = "empty.cbf", i0 = 1e6 }'
REFUSED_EMPTY = {
    "no flux to scale with": ('transmission_field = "t"', EMPTY, "role i0"),
    "no transmission": ('i0_field = "a"', EMPTY, "transmission of each point"),
    "no flux in the frame": (
        'transmission_field = "t"\nnamed = [{ name = "i0", field = "a", offset = 2e6, role = "i0" }]', EMPTY, "offset"
    ),
    "a point that comes later": (
        f'i0_field = "a"\nnamed = [{DIODE}]\nempty_point = 0', EMPTY.replace("}", ", i1 = 1.0 }"), "empty_point"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_EMPTY)
def test_an_empty_frame_that_cannot_be_scaled_is_refused_in_one_line(tmp_path, name):
    monitors, corrections, said = REFUSED_EMPTY[name]
    with pytest.raises(ProfileError, match=f"empty_frame.*{said}"):
        load(tmp_path, monitors, corrections)


def test_the_empty_frame_lies_beside_the_profile(tmp_path):
    profile = load(tmp_path, 'i0_field = "a"\ntransmission_field = "t"', EMPTY)
    assert profile.corrections.empty_frame.file == str(tmp_path.resolve() / "empty.cbf")
