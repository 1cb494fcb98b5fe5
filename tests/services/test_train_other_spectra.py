"""Another wavelength, window and list of phases: the same command trains, and the model knows real minerals."""

import subprocess
import sys

import pytest

from phasecast_models.xrd.bundle import load_bundle
from phasecast_models.xrd.measured import rebin
from support.rockjock import rockjock_patterns

NAMED = {
    "MAGNETITE": "magnetite",
    "GOETHITE": "goethite",
    "LEPIDOCROCITE": "lepidocrocite",
    "HEMATITE": "hematite",
    "HEMATITE_FINE": "hematite",
    "SIDERITE": "siderite",
    "IRON": "ferrite",
    "PYRITE": "pyrite",
    "QUARTZ": "quartz",
    "CALCITE": "calcite",
    "GYPSUM": "gypsum",
    "HALITE": "halite",
}
# Quartz is in these powders: its lines at 20.9 and 26.7 deg stand 5 to 190 sigma above their surroundings.
WITH_QUARTZ = ("MAGNETITE", "HEMATITE_FINE", "SIDERITE")
FOREIGN = ("PYRRHOTITE", "JAROSITE", "CORUNDUM", "ILMENITE", "BRUCITE")


@pytest.mark.slow
@pytest.mark.long
def test_the_same_command_makes_a_model_for_a_powder_diffractometer(tmp_path, measured_data) -> None:
    output = tmp_path / "powder"
    command = [sys.executable, "-m", "phasecast.cli", "train", "xrd", "--profile", "powder-cu", "-o", str(output)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    bundle = load_bundle(output)
    said = {}
    for name, (tth_deg, counts) in rockjock_patterns(measured_data).items():
        confidences = bundle.confidences(rebin(tth_deg, counts, bundle.axis), bundle.axis.tth_deg)[0]
        said[name] = dict(zip(bundle.classes, map(float, confidences), strict=True))
        best = sorted(said[name].items(), key=lambda item: -item[1])[:3]
        print(f"{name:<26}" + "  ".join(f"{phase} {value:.2f}" for phase, value in best))  # noqa: T201
    for name, phase in NAMED.items():
        assert said[name][phase] > 0.8, name
        there = {phase, "other"} | ({"quartz"} if name in WITH_QUARTZ else set())
        wrong = {key: value for key, value in said[name].items() if key not in there}
        assert max(wrong.values()) < 0.8, name
    for name in FOREIGN:
        assert said[name]["other"] > 0.5, name
