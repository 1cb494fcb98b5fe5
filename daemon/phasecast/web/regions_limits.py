"""Limits on a layer: which layer, from where to where."""

from collections.abc import Callable

import panel as pn

from phasecast.core.requests import TOTAL_INTENSITY_LAYER, UNSURE_LAYER
from phasecast.core.words import Words
from phasecast.web.layers import TOTAL, UNSURE, LayerKey
from phasecast.web.live_scan import LiveScan
from phasecast.web.soon import soon

_PICTURES = {TOTAL_INTENSITY_LAYER: TOTAL, UNSURE_LAYER: UNSURE}


class LimitControls:
    """Choice of a layer and a slider with two ends.

    Parameters
    ----------
    words
        Of the session.
    changed
        Called when a person chose other limits.
    """

    def __init__(self, words: Words, changed: Callable[[], None]) -> None:
        self._words, self._changed = words, changed
        self._scan: LiveScan | None = None
        self._fitting = False
        self._layer = pn.widgets.Select(name=words("page.layer"), width=200, css_classes=["pc-region-layer"])
        self._limits = pn.widgets.RangeSlider(
            name=words("regions.limits"), start=0.0, end=1.0, step=0.01, value=(0.5, 1.0), width=320,
            css_classes=["pc-region-limits"],
        )  # fmt: skip
        self._layer.param.watch(soon(lambda _: self._fit()), "value")
        self._limits.param.watch(soon(lambda _: self._moved()), "value")
        self.panel = pn.Row(self._layer, self._limits, visible=False)

    def offer(self, scan: LiveScan) -> None:
        """Offer the layers of a scan."""
        words, classes = self._words, scan.header.classes
        names = {words.name_of(phase.name_en, phase.name_ja): phase.id for phase in classes}
        if classes:
            names[words("page.unsure_layer")] = UNSURE_LAYER
        names[words("page.total_layer")] = TOTAL_INTENSITY_LAYER
        self._scan = scan
        self._layer.options = names
        self._fit()

    @property
    def layer(self) -> str:
        """Id of the layer, as regions name it; empty before there is a scan."""
        return str(self._layer.value or "")

    @property
    def limits(self) -> tuple[float, float]:
        """Low and high end."""
        low, high = self._limits.value
        return float(low), float(high)

    def key(self) -> LayerKey:
        """The picture on which the limits are set."""
        return LayerKey(_PICTURES.get(self.layer, self.layer))

    def _moved(self) -> None:
        if not self._fitting:
            self._changed()

    def _fit(self) -> None:
        """Let the slider span what the layer can hold, and begin with its upper half."""
        scan = self._scan
        if scan is None or not self.layer:
            return
        low, end, step = 0.5, 1.0, 0.01
        if self.layer == TOTAL_INTENSITY_LAYER:
            end = scan.total_limit
            low, step = end / 2, end / 200
        elif self.layer == UNSURE_LAYER:
            low, end, step = 1.0, float(max(len(scan.header.classes), 2)), 1.0
        self._fitting = True
        try:
            self._limits.param.update(start=0.0, end=end, step=step, value=(low, end))
        finally:
            self._fitting = False
        self._changed()
