"""How well `phasecast calibrate` finds measured modules again: table and picture of docs/calibration.md."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import SourceError
from phasecast.profiles import Profile, load_profile
from phasecast.profiles.schema import HC_KEV_ANGSTROM
from phasecast.sources.frame_file import read_frame_file
from phasecast.xrd.calibration import Calibration, calibrate
from phasecast.xrd.calibration_picture import calibration_png
from phasecast.xrd.calibration_rings import Standard, parameters_of
from phasecast.xrd.geometry import DetectorGeometry, geometry_from_profile

DISTANCE_OFF_MM = 3.0
ARM_OFF_DEG = 0.5
PICTURED = "LaB6_SSRL_tth25.40_module1"


def recovered_modules(data: Path) -> Iterator[tuple[str, Calibration, DetectorGeometry]]:
    """Yield name, calibration from a start that is 3 mm and 0.5 deg off, and the given geometry of each module.

    Parameters
    ----------
    data
        Folder of measured data that holds ``pilatus100k_lab6`` and ``pilatus100k_ceo2``.

    Raises
    ------
    SourceError
        If the modules are not there.
    """
    frames = [*sorted(data.glob("pilatus100k_lab6/*.cbf")), *sorted(data.glob("pilatus100k_ceo2/*.cbf"))]
    if not frames:
        raise SourceError(
            "holds no pilatus100k_lab6 or pilatus100k_ceo2", where=str(data), remedy="name another folder"
        )
    for path in frames:
        on_arm = path.name.startswith("LaB6")
        standard: Standard = "LaB6" if on_arm else "CeO2"
        profile = load_profile("ssrl-lab6") if on_arm else _ceo2_profile()
        given = geometry_from_profile(profile, path.with_suffix(".poni"))
        start = replace(given, distance_mm=given.distance_mm + DISTANCE_OFF_MM)
        if on_arm:
            start = replace(start, rot2_deg=given.rot2_deg + ARM_OFF_DEG)
        else:
            start = replace(start, rot1_deg=given.rot1_deg + ARM_OFF_DEG)
        image: NDArray[np.integer] = read_frame_file(path.name, path.read_bytes()).image
        arm = "rot2" if on_arm else None
        yield path.stem, calibrate(image, image < 0, start=start, standard=standard, arm_rotation=arm), given


def _ceo2_profile() -> Profile:
    profile = load_profile("gsecars-map")
    geometry = profile.geometry.model_copy(update={"distance_mm": 208.65, "beam_centre_px": (-29.1, 83.5)})
    return profile.model_copy(update={"energy_kev": HC_KEV_ANGSTROM / 0.4066, "geometry": geometry})


def table(data: Path, picture: Path | None) -> Iterator[str]:
    """Yield lines of a Markdown table, and write the picture of one module on the way."""
    yield "| module | free | ring | line | found | diff | rms | points | from given, at most |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, found, given in recovered_modules(data):
        if picture is not None and name == PICTURED:
            picture.write_bytes(calibration_png(found, dpi=90))
        for ring in found.rings:
            line = next(line for line in found.frame.lines if line.tth_deg == ring.line_tth_deg)
            own = found.points[found.points[:, 2] == line.index]
            now_deg, then_deg = (
                found.frame.tth_deg(parameters_of(geometry), own[:, 0], own[:, 1])
                for geometry in (found.geometry, given)
            )
            yield (
                f"| {name.replace('_', ' ')} | {', '.join(found.free_set.free)} | {ring.hkl} | {ring.line_tth_deg:.4f} "
                f"| {ring.found_tth_deg:.4f} | {ring.difference_deg:+.4f} | {ring.rms_deg:.4f} | {ring.points} "
                f"| {np.abs(now_deg - then_deg).max():.4f} |"
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of measured data")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    for line in table(arguments.data, arguments.picture):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
