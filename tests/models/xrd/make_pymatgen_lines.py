"""Write the powder lines that pymatgen computes for 13 structures, as a table to test ours against.

pymatgen takes a gigabyte with all that it needs and is no dependency, not even of the tests. To make the table anew:

    python -m venv /tmp/oracle && /tmp/oracle/bin/pip install pymatgen
    /tmp/oracle/bin/python tests/models/xrd/make_pymatgen_lines.py

Cells and atoms come from structures.toml; symmetry operations from spglib's tables and scattering factors from
pymatgen's, so that nothing but the atoms is shared with the code under test.
"""

import json
import re
import tomllib
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import spglib
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

HERE = Path(__file__).parent
STRUCTURES = HERE.parents[2] / "models" / "phasecast_models" / "xrd" / "structures.toml"
ENERGY_KEV = 10.0
WINDOW_DEG = (10.0, 40.0)
PHASES = (
    "magnetite",
    "goethite",
    "lepidocrocite",
    "ferrite",
    "austenite",
    "cementite",
    "hematite",
    "akaganeite",
    "siderite",
    "wustite",
    "quartz",
    "calcite",
    "halite",
)
# Our symbol with its setting: number of the Hall symbol in spglib's tables (Hall, 1981).
HALL_NUMBERS = {
    "F d -3 m:2": 526,
    "P b n m": 294,
    "B b m m": 302,
    "I m -3 m": 529,
    "F m -3 m": 523,
    "P n m a": 292,
    "R -3 c:H": 460,
    "I 1 2/m 1": 65,
    "P 32 2 1": 443,
}


def lines_of(table: dict) -> list[list[float]]:
    operations = spglib.get_symmetry_from_database(HALL_NUMBERS[table["space_group"]])
    species, places = [], []
    for _, element, x, y, z, occupancy, _ in table["atoms"]:
        images: list[np.ndarray] = []
        for turn, shift in zip(operations["rotations"], operations["translations"], strict=True):
            place = (turn @ [x, y, z] + shift) % 1
            if not any(np.abs((place - other + 0.5) % 1 - 0.5).max() < 0.01 for other in images):
                images.append(place)
        places += images
        species += [{element: occupancy}] * len(images)
    structure = Structure(Lattice.from_parameters(*table["cell"]), species, places)
    pattern = XRDCalculator(wavelength=12.398419843 / ENERGY_KEV).get_pattern(structure, two_theta_range=WINDOW_DEG)
    return [[round(float(x), 4), round(float(y), 2)] for x, y in zip(pattern.x, pattern.y, strict=True) if y > 0.05]


def main() -> None:
    warnings.simplefilter("ignore")
    structures = tomllib.loads(STRUCTURES.read_text(encoding="utf-8"))
    table = {
        "made_by": f"make_pymatgen_lines.py with pymatgen {version('pymatgen')}, spglib {version('spglib')}",
        "energy_kev": ENERGY_KEV,
        "window_deg": WINDOW_DEG,
        "columns": ["tth_deg", "intensity with (1 + cos^2 2theta) / (sin^2 theta cos theta), strongest = 100"],
        "lines": {name: lines_of(structures[name]) for name in PHASES},
    }
    text = json.dumps(table, indent=1)
    text = re.sub(r"\[\s+([\d.]+),\s+([\d.]+)\s+\]", r"[\1, \2]", text)
    (HERE / "pymatgen_lines.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
