"""The raw frame of a point on a logarithmic scale, with contours of 2theta."""

import math
from typing import Any

import numpy as np
from bokeh.models import ColorBar, ColumnDataSource, LogColorMapper, LogTicker, Range1d
from bokeh.palettes import Cividis256
from bokeh.plotting import figure
from bokeh.plotting.contour import contour_data
from numpy.typing import NDArray

from phasecast.web.theme import Theme

_CONTOUR_DEG = 5.0
_RING = "#FFFFFF"


class FramePlot:
    """One figure.

    Parameters
    ----------
    theme
        Of the session.
    """

    def __init__(self, theme: Theme) -> None:
        self._x, self._y = Range1d(0, 1), Range1d(1, 0)
        self._source = ColumnDataSource(name="frame-source", data={"image": [], "dw": [], "dh": []})
        plot = figure(
            name="frame", css_classes=["pc-frame"], height=228, sizing_mode="stretch_width", x_range=self._x,
            y_range=self._y, match_aspect=True, tools="pan,wheel_zoom,reset,save", toolbar_location=None,
            active_scroll="wheel_zoom",
        )  # fmt: skip
        theme.dress(plot)
        plot.axis.visible = plot.grid.visible = False
        self._mapper = LogColorMapper(palette=Cividis256, low=1, high=1000, nan_color=theme.line, low_color="#000000")
        # Row 0 is drawn at the top, as viewers of detector frames do.
        plot.image("image", x=0, y=0, dw="dw", dh="dh", source=self._source, color_mapper=self._mapper)
        self._rings = plot.contour(
            np.arange(2.0), np.arange(2.0), np.zeros((2, 2)), levels=[9.0], line_color=_RING, line_alpha=0.55
        )
        self._labels = ColumnDataSource(data={"x": [], "y": [], "text": []})
        plot.text("x", "y", "text", source=self._labels, text_color=_RING, text_font_size="10px")
        plot.add_layout(
            ColorBar(
                color_mapper=self._mapper, ticker=LogTicker(), width=8, padding=3, background_fill_alpha=0,
                major_label_text_color=theme.ink,
            ),
            "right",
        )  # fmt: skip
        self.plot = plot

    def clear(self) -> None:
        """Show nothing."""
        self._source.data = {"image": [], "dw": [], "dh": []}
        self._draw_rings(None)

    def show(self, image: NDArray[np.integer], tth_deg: NDArray[np.floating] | None) -> None:
        """Draw a frame.

        Parameters
        ----------
        image
            Counts, (rows, cols); negative pixels are gaps and masked ones.
        tth_deg
            2theta of every pixel; None if unknown.
        """
        rows, columns = image.shape
        picture = np.where(image < 0, np.nan, image).astype(np.float32)
        known = picture[np.isfinite(picture)]
        self._mapper.high = max(float(known.max()) if known.size else 0.0, 10.0)
        if (self._x.reset_end, self._y.reset_start) != (columns, rows):
            self._x.update(start=0, end=columns, reset_start=0, reset_end=columns)
            self._y.update(start=rows, end=0, reset_start=rows, reset_end=0)
        self._source.data = {"image": [picture], "dw": [columns], "dh": [rows]}
        self._draw_rings(tth_deg if tth_deg is not None and tth_deg.shape == image.shape else None)

    def _draw_rings(self, tth_deg: NDArray[Any] | None) -> None:
        self._rings.visible = False
        self._labels.data = {"x": [], "y": [], "text": []}
        if tth_deg is None:
            return
        first = math.ceil(float(np.min(tth_deg)) / _CONTOUR_DEG) * _CONTOUR_DEG
        levels = np.arange(first, float(np.max(tth_deg)), _CONTOUR_DEG)
        if not levels.size:
            return
        rows, columns = tth_deg.shape
        lines = contour_data(np.arange(columns) + 0.5, np.arange(rows) + 0.5, tth_deg, levels=levels, want_fill=False)
        self._rings.set_data(lines)
        self._rings.visible = True
        middle = tth_deg[rows // 2]
        places = [int(np.argmin(np.abs(middle - level))) for level in levels]
        inside = [k for k, level in enumerate(levels) if middle.min() <= level <= middle.max()]
        self._labels.data = {
            "x": [places[k] + 3 for k in inside],
            "y": [rows - 6] * len(inside),
            "text": [f"{levels[k]:.0f}°" for k in inside],
        }
