"""The picture of a calibration: rings of the standard on the frame, and the lines on its pattern."""

from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from phasecast.xrd.calibration import Calibration
from phasecast.xrd.calibration_pattern import radial_pattern
from phasecast.xrd.calibration_rings import StandardLine, parameters_of

_LINE = "#D55E00"
_POINT = "#56B4E9"


def calibration_png(calibration: Calibration, *, dpi: int = 110) -> bytes:
    """Return a PNG: above the frame with the predicted rings and the points found, below its pattern with the lines."""
    frame = calibration.frame
    rows, cols = (axis.astype(np.float64) for axis in np.indices(frame.image.shape))
    parameters = parameters_of(calibration.geometry)
    tth_deg = frame.tth_deg(parameters, rows.ravel(), cols.ravel()).reshape(frame.image.shape)
    lines = frame.lines_inside((float(tth_deg.min()), float(tth_deg.max())))

    figure = Figure(figsize=(8.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=(1.35, 1.0))
    counts = np.ma.array(np.maximum(frame.image, 0.5), mask=frame.mask)
    high = max(float(np.percentile(counts.compressed(), 99.9)), 2.0)
    above.imshow(counts, norm=LogNorm(0.5, high), cmap="gray_r", origin="lower", interpolation="nearest")
    for line in lines:
        # exactly one level a call: a line that only touches a corner has no contour, and matplotlib would warn
        if tth_deg.min() < line.tth_deg < tth_deg.max():
            above.contour(tth_deg, levels=[line.tth_deg], colors=_LINE, linewidths=0.7)
    above.plot(calibration.points[:, 1], calibration.points[:, 0], ".", color=_POINT, markersize=2.5)
    above.set(xlabel="fast axis / pixel", ylabel="slow axis / pixel")
    above.set_title(
        f"{calibration.standard}, {calibration.rms_deg:.4f}° rms over {len(calibration.points)} points; "
        f"free: {', '.join(calibration.free_set.free)}",
        fontsize=10,
    )
    _draw_pattern(below, calibration, lines)
    target = BytesIO()
    figure.savefig(target, format="png", dpi=dpi)
    return target.getvalue()


def _draw_pattern(axes: Axes, calibration: Calibration, lines: tuple[StandardLine, ...]) -> None:
    pattern = radial_pattern(calibration.frame, parameters_of(calibration.geometry))
    axes.plot(pattern.tth_deg, np.maximum(pattern.mean, 0.1), "k-", linewidth=0.8)
    axes.set_yscale("log")
    for line in lines:
        axes.axvline(line.tth_deg, color=_LINE, linewidth=0.7, linestyle="--")
        axes.text(
            line.tth_deg, 1.01, line.hkl, color=_LINE, fontsize=8, ha="center", transform=axes.get_xaxis_transform()
        )
    axes.set(xlabel="2θ / deg", ylabel="mean counts", xlim=(float(pattern.tth_deg[0]), float(pattern.tth_deg[-1])))
