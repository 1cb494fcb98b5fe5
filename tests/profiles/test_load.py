"""A profile either loads or says which file, field and value is wrong and what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from phasecast.core.errors import ProfileError
from phasecast.profiles import list_profiles, load_profile, profile_json_schema
from phasecast.profiles.upgrade import upgrade
from phasecast_profiles.shipped import schema_path, shipped_profiles

BL16XU = shipped_profiles()["bl16xu"].read_text(encoding="utf-8")

CLASS_ORDER = ["magnetite", "goethite", "lepidocrocite", "ferrite", "austenite", "cementite"]
CLASS_ORDER += ["resin", "peakless_iron", "other"]


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(shipped_profiles()))
def test_every_shipped_profile_loads_under_its_own_name(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert load_profile(list_profiles()[name]) == profile


def test_bl16xu_says_what_the_beamline_is() -> None:
    profile = load_profile("bl16xu")
    assert profile.wavelength_angstrom == pytest.approx(1.239842, abs=1e-6)
    assert (profile.geometry.arm_tth_deg, profile.geometry.distance_mm) == (25.0, 153.0)
    assert profile.axis.step_deg == pytest.approx(0.05)
    assert [phase.id for phase in profile.classes] == CLASS_ORDER
    assert profile.classes[0].name_en == "Fe3O4/gamma-Fe2O3 (spinel)"
    assert len({phase.colour for phase in profile.classes}) == 9


def test_committed_json_schema_is_the_generated_one() -> None:
    """Run ``python -m phasecast.profiles`` after a change of the schema."""
    assert schema_path().read_text(encoding="utf-8") == profile_json_schema()


def test_every_field_of_the_schema_is_described() -> None:
    schema = json.loads(profile_json_schema())
    undescribed = [
        f"{title}.{field}"
        for title, part in [("Profile", schema), *schema["$defs"].items()]
        for field, entry in part["properties"].items()
        if not entry.get("description") and "$ref" not in entry
    ]
    assert undescribed == []
    assert all(part.get("description") for part in schema["$defs"].values())


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("count_limit", "count_limt", ["detector.count_limt", "1048575", "did you mean count_limit?"]),
        ("energy_kev", "energy_ev", ["energy_ev", "did you mean energy_kev?"]),
        ('arm_plane = "horizontal"\n', "", ["geometry.arm_plane", "required", "No default"]),
        ('"horizontal"', '"sideways"', ["geometry.arm_plane", "'sideways'", "'horizontal' or 'vertical'"]),
        ("threshold_kev = 5.0", "threshold_kev = 12.0", ["threshold_kev 12.0", "below energy_kev 10.0"]),
        ('"#0072B2"', '"blue"', ["classes.0.colour", "'blue'", "#RRGGBB"]),
        ("153.0", "-153.0", ["geometry.distance_mm", "-153.0", "in mm"]),
        ("153.0", "nan", ["geometry.distance_mm", "nan", "finite"]),
        ("schema_version = 1", "schema_version = 7", ["schema_version", "7", "update phasecast"]),
        ("schema_version = 1", "", ["schema_version", "must be a number"]),
        ('id = "goethite"', 'id = "magnetite"', ["class ids must differ", "magnetite"]),
        ('"simplon:', '"gopher:', ["sources.0", "gopher://127.0.0.1:9999", "simplon://host:port"]),
        ('"documents"', '"header"', ["frame_files", "needs header_horizontal"]),
        ('"documents"', '"sidecar"', ["frame_files", "'sidecar' needs header_horizontal"]),
        ("[axis]", "[axis", ["not valid TOML", "line"]),
        ("tth_max_deg = 40.0", "tth_max_deg = 9.0", ["axis", "9.0 must be above tth_min_deg 10.0"]),
    ],
)
def test_refusal_names_file_field_value_and_remedy(tmp_path: Path, old: str, new: str, fragments: list[str]) -> None:
    assert old in BL16XU
    path = _write(tmp_path, BL16XU.replace(old, new, 1))
    with pytest.raises(ProfileError) as refusal:
        load_profile(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_unknown_name_offers_close_ones() -> None:
    with pytest.raises(ProfileError, match=r"did you mean bl16xu\?"):
        load_profile("bl16xv")


def test_files_named_in_a_profile_are_taken_relative_to_it(tmp_path: Path) -> None:
    text = BL16XU.replace("orientation = 3", 'orientation = 3\nponi_file = "calibration/arm.poni"')
    profile = load_profile(_write(tmp_path, text))
    assert profile.geometry.poni_file == str((tmp_path / "calibration" / "arm.poni").resolve())


def test_polarisation_follows_the_arm_plane(tmp_path: Path) -> None:
    """A detector turned by 90 degrees sees the beam's polarisation along its slow axis."""
    vertical = load_profile(_write(tmp_path, BL16XU.replace('"horizontal"', '"vertical"')))
    assert load_profile("bl16xu").image_polarisation_factor == 0.99
    assert vertical.image_polarisation_factor == -0.99


def test_upgrade_leaves_the_present_version_as_it_is() -> None:
    tables = {"schema_version": 1, "name": "x"}
    assert upgrade(tables) == tables


def test_profiles_load_without_heavy_libraries() -> None:
    code = (
        "import sys; from phasecast.profiles import load_profile; load_profile('bl16xu');"
        "sys.exit(' '.join({'torch', 'pyFAI', 'h5py', 'zmq'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
