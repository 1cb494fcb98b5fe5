"""Measured powder patterns of other instruments, brought to the axis of a model."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.structures import HC_KEV_ANGSTROM

Floats = NDArray[np.float64]

CU_K_ALPHA_ANGSTROM = 1.541838
"""Weighted mean of Cu K-alpha1 and K-alpha2 (Hoelzer et al., Phys. Rev. A 56, 4554, 1997)."""


class MeasuredPatternError(ValueError):
    """A pattern file that cannot be read or does not reach the axis."""


def load_pattern(path: str | Path, *, column: int = 1) -> tuple[Floats, Floats]:
    """Read scattering angle and one intensity column from a text file.

    Columns may be separated by commas, semicolons or spaces; lines that do not start with a number (headers, comments)
    are skipped.

    Raises
    ------
    MeasuredPatternError
        If fewer than ten rows hold the column, or the angles do not rise.
    """
    path = Path(path)
    rows = []
    try:
        text = path.read_text(encoding="utf-8-sig", errors="strict")
    except OSError as error:
        raise MeasuredPatternError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise MeasuredPatternError(f"{path}: not a text file ({error})") from error
    for line in text.splitlines():
        fields = line.replace(",", " ").replace(";", " ").split()
        try:
            rows.append((float(fields[0]), float(fields[column])))
        except (IndexError, ValueError):
            continue
    if len(rows) < 10:
        raise MeasuredPatternError(
            f"{path}: {len(rows)} rows hold an angle and column {column}, at least 10 are needed"
        )
    table = np.array(rows)
    if not np.all(np.diff(table[:, 0]) > 0):
        raise MeasuredPatternError(f"{path}: the angles in the first column must rise from row to row")
    return table[:, 0], table[:, 1]


def convert_axis(tth_deg: ArrayLike, from_wavelength_angstrom: float, to_energy_kev: float) -> Floats:
    """Return where the same lattice spacings scatter at another photon energy; NaN where they cannot.

    sin(theta') = sin(theta) lambda' / lambda (Bragg).
    """
    wavelength = HC_KEV_ANGSTROM / to_energy_kev
    sine = np.sin(np.radians(np.asarray(tth_deg, dtype=np.float64) / 2)) * wavelength / from_wavelength_angstrom
    return np.asarray(2 * np.degrees(np.arcsin(np.where(sine <= 1, sine, np.nan))))


def rebin(tth_deg: ArrayLike, intensity: ArrayLike, axis: PatternAxis) -> Floats:
    """Gather samples into the bins of an axis so that counts are conserved, shape (bins,).

    Each sample stands for the range half way to its neighbours and is shared between the bins it overlaps.
    Bins that the measurement does not cover entirely are NaN. Intensities must be counts for the noise
    of the result to be right.

    Raises
    ------
    MeasuredPatternError
        If the measurement covers less than a tenth of the axis.
    """
    x = np.asarray(tth_deg, dtype=np.float64)
    y = np.asarray(intensity, dtype=np.float64)
    usable = np.isfinite(x)
    x, y = x[usable], y[usable]
    middle = (x[:-1] + x[1:]) / 2
    bounds = np.concatenate([[1.5 * x[0] - 0.5 * x[1]], middle, [1.5 * x[-1] - 0.5 * x[-2]]])
    collected = np.concatenate([[0.0], np.cumsum(y)])
    edges = axis.edges_deg
    out = np.diff(np.interp(edges, bounds, collected))
    out[(edges[:-1] < bounds[0] - 1e-9) | (edges[1:] > bounds[-1] + 1e-9)] = np.nan
    if np.isfinite(out).sum() < axis.bins / 10:
        raise MeasuredPatternError(
            f"the pattern covers {bounds[0]:.2f}-{bounds[-1]:.2f} deg, hardly any of {axis} - check the wavelength"
        )
    return np.asarray(out, dtype=np.float64)
