"""Where a diffraction line lies, to a hundredth of its width."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

LAB6_TTH_DEG = (12.2299, 21.2645, 24.6020, 27.5600)
"""Lines of LaB6 at 14 keV inside the measured modules."""


def line_tth_deg(
    tth_deg: NDArray[np.float64], intensity: NDArray[np.float32], near_deg: float, half_width_deg: float = 0.25
) -> float:
    """Return where a pseudo-Voigt line on a sloping ground fits best."""
    window = (np.abs(tth_deg - near_deg) < half_width_deg) & (intensity > 0)
    x, y = tth_deg[window], intensity[window].astype(np.float64)

    def model(
        x: NDArray[np.float64], centre: float, width: float, height: float, mix: float, ground: float, slope: float
    ) -> NDArray[np.float64]:
        square = ((x - centre) / width) ** 2
        peak = mix / (1 + square) + (1 - mix) * np.exp(-np.log(2) * square)
        return np.asarray(height * peak + ground + slope * (x - near_deg))

    start = [x[np.argmax(y)], 0.03, y.max() - y.min(), 0.5, y.min(), 0.0]
    bounds = ([x[0], 0.005, 0, 0, -np.inf, -np.inf], [x[-1], half_width_deg, np.inf, 1, np.inf, np.inf])
    fitted, _ = curve_fit(model, x, y, p0=start, bounds=bounds)
    return float(fitted[0])


def lines_inside(tth_deg: NDArray[np.float64], intensity: NDArray[np.float32], lines_deg: tuple[float, ...]):
    """Return the lines that lie whole in what the frame covers."""
    lit = tth_deg[intensity > 0]
    return [line for line in lines_deg if lit.min() + 0.3 < line < lit.max() - 0.3]
