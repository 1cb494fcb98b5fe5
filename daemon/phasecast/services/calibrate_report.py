"""What a calibration found, in lines, as a table and as JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phasecast.xrd.calibration import Calibration
from phasecast.xrd.geometry import DetectorGeometry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationReport:
    """What was found and where it was written.

    Parameters
    ----------
    calibration
        Geometry as seen from the standard, with residuals.
    geometry
        Geometry as seen from the sample; what the .poni file holds.
    sample_offset_mm
        Sample less standard along the beam, positive downstream.
    poni, picture
        Files written.
    notes
        Lines that people should read, such as headers that were ignored.
    """

    calibration: Calibration
    geometry: DetectorGeometry
    sample_offset_mm: float
    poni: Path
    picture: Path
    notes: tuple[str, ...]

    @property
    def table(self) -> str:
        """Residuals per ring, in lines for people."""
        lines = ["ring        line      found     diff      rms   points  azimuth"]
        lines += [
            f"{ring.hkl:<8}{ring.line_tth_deg:>8.4f}{ring.found_tth_deg:>11.4f}{ring.difference_deg:>+9.4f}"
            f"{ring.rms_deg:>9.4f}{ring.points:>9}{ring.azimuth_deg:>9.1f}"
            for ring in self.calibration.rings
        ]
        return "\n".join([*lines, f"all{self.calibration.rms_deg:>42.4f}{len(self.calibration.points):>9}   (deg)"])

    @property
    def summary(self) -> tuple[str, ...]:
        """What was refined, what moved and what remains open, in lines for people."""
        found, free_set, geometry = self.calibration.geometry, self.calibration.free_set, self.geometry
        start = self.calibration.start
        moved = (
            f"distance {found.distance_mm - start.distance_mm:+.3f} mm, "
            f"poni1 {found.poni1_mm - start.poni1_mm:+.3f} mm, "
            f"poni2 {found.poni2_mm - start.poni2_mm:+.3f} mm, rot1 {found.rot1_deg - start.rot1_deg:+.4f} deg, "
            f"rot2 {found.rot2_deg - start.rot2_deg:+.4f} deg"
        )
        offset = f", sample {self.sample_offset_mm:+g} mm from the standard" if self.sample_offset_mm else ""
        return (
            f"free: {', '.join(free_set.free)}",
            *(f"fixed: {name} ({reason})" for name, reason in free_set.fixed),
            f"from {start.origin}: {moved}",
            f"distance {geometry.distance_mm:.3f} mm, poni1 {geometry.poni1_mm:.3f} mm, "
            f"poni2 {geometry.poni2_mm:.3f} mm, rot1 {geometry.rot1_deg:.4f} deg, rot2 {geometry.rot2_deg:.4f} deg, "
            f"rot3 {geometry.rot3_deg:.4f} deg{offset}",
            f"left open by the rings: {free_set.window_sigma_deg:.4f} deg at most, at {free_set.worst_tth_deg:.2f} deg",
            *self._doubts,
            *self.notes,
            f"poni: {self.poni}",
            f"picture: {self.picture}",
        )

    @property
    def _doubts(self) -> tuple[str, ...]:
        lines = []
        if self.calibration.unseen:
            named = ", ".join(line.label for line in self.calibration.unseen)
            lines.append(f"in the window but not seen as rings: {named}")
        if len(self.calibration.rings) == 1:
            ring = self.calibration.rings[0]
            lines.append(f"one ring: that it is {ring.hkl} rests on the arm angle that was started from")
        return tuple(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        free_set = self.calibration.free_set
        return {
            "poni": str(self.poni),
            "picture": str(self.picture),
            "standard": self.calibration.standard,
            "start": self.calibration.start.origin,
            "free": list(free_set.free),
            "fixed": dict(free_set.fixed),
            "rings": [{**asdict(ring), "difference_deg": ring.difference_deg} for ring in self.calibration.rings],
            "unseen": [asdict(line) for line in self.calibration.unseen],
            "rms_deg": self.calibration.rms_deg,
            "window_sigma_deg": free_set.window_sigma_deg,
            "worst_tth_deg": free_set.worst_tth_deg,
            "sample_offset_mm": self.sample_offset_mm,
            "geometry": asdict(self.geometry),
            "notes": list(self.notes),
        }
