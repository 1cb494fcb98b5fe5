"""What `phasecast check` says of a profile that names its crystals."""

from pathlib import Path

from phasecast.services.check import check_file
from phasecast_profiles.shipped import shipped_profiles

BL16XU = shipped_profiles()["bl16xu"].read_text(encoding="utf-8")
CLASS = """
[[classes]]
id = "rust_red"
name_en = "Red rust"
name_ja = "赤さび"
colour = "#A6191E"
structures = ["{name}"]
"""


def test_a_profile_with_crystals_is_checked_to_the_last_atom(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BL16XU + CLASS.format(name="hematite"), encoding="utf-8")
    verdict = check_file(path)
    assert verdict.valid
    assert "10 classes on 10-40 deg in 300 bins of 0.1 deg at 10 keV" in verdict.detail
    path.write_text(BL16XU + CLASS.format(name="red.cif"), encoding="utf-8")
    verdict = check_file(path)
    assert not verdict.valid
    assert "class rust_red" in verdict.detail
    assert "red.cif: not a readable CIF" in verdict.detail
    assert "\n" not in verdict.line
