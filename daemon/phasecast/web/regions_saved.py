"""The saved regions of a data directory, as one session sees them on one scan."""

import html
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import panel as pn

from phasecast.core.errors import PhasecastError
from phasecast.core.region_requests import RemoveRegion
from phasecast.records.regions import Region, RegionBook, regions_path
from phasecast.web.asking import Asking
from phasecast.web.chosen import show_points
from phasecast.web.hub import Hub
from phasecast.web.live_scan import LiveScan
from phasecast.web.pattern_plot import PatternPlot
from phasecast.web.regions_files import file_stem, mask_npy, mask_tiff, points_csv
from phasecast.web.regions_measure import Ground, Mask, applies_to, mask_of
from phasecast.web.regions_overlay import Area
from phasecast.web.regions_table import FactBook, table_html
from phasecast.web.session import Session
from phasecast.web.soon import soon
from phasecast.web.theme import PARTS

ROLE_COLOURS = {"steel": "#4477AA", "rust": "#CC6633", "outside": "#BBBBBB"}
_COLOURS = ("#228833", "#AA3377", "#66CCEE", "#CCBB44", "#EE6677", "#332288")
_FIRST_SHOWN = 6
TABLE_CSS = """
table { border-collapse: collapse; font-size: 12px; } .wide { overflow-x: auto; }
th { text-align: left; font-weight: 600; color: var(--pc-faint); vertical-align: bottom; font-size: 11.5px; }
th, td { padding: 3px 10px 3px 0; border-bottom: 1px solid var(--pc-line); } td { white-space: nowrap; }
td.n { font-variant-numeric: tabular-nums; } td small { color: var(--pc-faint); }
td i { display: inline-block; width: 11px; height: 11px; margin-right: 6px; border: 1px solid var(--pc-line); }
"""
_FILES: dict[str, Callable[[Ground, Mask], bytes]] = {"csv": points_csv, "tif": mask_tiff, "npy": mask_npy}


class SavedRegions:
    """List of regions, which of them the map shows, numbers of all, and the mean pattern of one.

    Parameters
    ----------
    hub
        Mailbox and data directory.
    session
        Words, colours, chosen points, and who looks.
    """

    def __init__(self, hub: Hub, session: Session) -> None:
        self._session, self._words = session, session.words
        words = self._words
        self._book = RegionBook(regions_path(hub.directory))
        self._facts = FactBook()
        self._asking = Asking(hub.mailbox, words, "pc-region-removed")
        self._scan: LiveScan | None = None
        self._ground: Ground | None = None
        self._masks: dict[tuple[str, float], Mask] = {}
        self._known: list[str] = []
        self._shown: tuple[Any, ...] = ()
        self._written: tuple[Any, ...] = ()
        self._problem = ""
        self._visible = pn.widgets.MultiChoice(
            name=words("regions.on_map"), options=[], css_classes=["pc-region-shown"], sizing_mode="stretch_width"
        )
        self._style = pn.widgets.RadioButtonGroup(
            options={words(f"regions.{key}"): key for key in ("outline", "tint")}, value="outline",
            button_type="primary", button_style="outline", width=150, css_classes=["pc-region-style"],
            margin=(23, 5, 5, 5),
        )  # fmt: skip
        self._choice = pn.widgets.Select(
            name=words("regions.one_region"), options=[], css_classes=["pc-region-choice"], width=210
        )
        self._choose = pn.widgets.Button(
            name=words("regions.choose_points"),
            css_classes=["pc-region-choose"],
            button_type="primary",
            button_style="outline",
        )
        self._remove = pn.widgets.Button(
            name=words("regions.remove"),
            css_classes=["pc-region-remove"],
            button_type="primary",
            button_style="outline",
        )
        self._choose.on_click(soon(lambda _: self._choose_points()))
        self._remove.on_click(soon(lambda _: self._ask_to_remove()))
        self._files = {
            suffix: pn.widgets.FileDownload(
                callback=lambda suffix=suffix: self._file(suffix), filename=f"region.{suffix}", embed=False, auto=True,
                label=words(f"regions.file_{suffix}"), css_classes=[f"pc-region-{suffix}"], width=110,
            )
            for suffix in _FILES
        }  # fmt: skip
        self._pattern = PatternPlot(words, session.theme, name="region-pattern", height=210)
        self._pattern.plot.visible = False
        self._about = self._html("pc-region-about")
        self.table = self._html("pc-region-table")
        self.panel = pn.Column(
            pn.Row(self._visible, self._style, sizing_mode="stretch_width"),
            pn.Row(self._choice, pn.Row(self._choose, self._remove, margin=(17, 0, 0, 0))),
            pn.Row(*self._files.values(), margin=(0, 0, 4, 0)),
            self._asking.line,
            self._about,
            pn.pane.Bokeh(self._pattern.plot, sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
        )

    @property
    def with_role(self) -> list[Region]:
        """Regions that stand for a part of the sample."""
        return [region for region in self._book.regions if region.role]

    def show(self, scan: LiveScan, ground: Ground) -> None:
        """Bring list, numbers and pattern up to date."""
        if ground is not self._ground:
            self._ground, self._masks = ground, {}
        self._asking.look()
        try:
            self._book.refresh()
            self._problem = ""
        except PhasecastError as error:
            self._problem = str(error)
        self._offer(scan)
        threshold = round(self._session.view.threshold, 2)
        regions = self._here(ground)
        worked = self._facts.work(ground, threshold, regions)
        written = (ground.raw_uid, threshold, self._problem, *((region.name, region.time_s) for region in regions))
        if worked or written != self._written:
            self._written = written
            table = table_html(ground, threshold, regions, self._facts.newest, self._colours(), self._words)
            problem = f"<p class='bad'>{html.escape(self._problem)}</p>" if self._problem else ""
            self.table.object = problem + table
        self._show_one(scan, ground, threshold)

    def areas(self, ground: Ground) -> list[Area]:
        """What the map shows of them."""
        colours = self._colours()
        return [
            Area(chosen=self._mask(ground, region), colour=colours[region.name], filled=self._style.value == "tint")
            for region in self._here(ground)
            if region.name in self._visible.value
        ]

    def watch(self, changed: Callable[[], None]) -> None:
        """Call something when a person chooses what the map shows, or another region."""
        for widget in (self._visible, self._style, self._choice):
            widget.param.watch(soon(lambda _: changed()), "value")

    def _mask(self, ground: Ground, region: Region) -> Mask:
        """Points of a region, worked out once for each look at the scan."""
        key = region.name, region.time_s
        if key not in self._masks:
            self._masks[key] = mask_of(ground, region)
        return self._masks[key]

    def _here(self, ground: Ground) -> list[Region]:
        return [region for region in self._book.regions if applies_to(region, ground.raw_uid)]

    def _colours(self) -> dict[str, str]:
        others = [region.name for region in self._book.regions if not region.role]
        return {
            region.name: ROLE_COLOURS[region.role]
            if region.role
            else _COLOURS[others.index(region.name) % len(_COLOURS)]
            for region in self._book.regions
        }

    def _offer(self, scan: LiveScan) -> None:
        """Offer what there is; what appears while somebody looks is shown at once."""
        assert self._ground is not None
        names = [region.name for region in self._here(self._ground)]
        if scan is not self._scan:
            self._scan, self._known = scan, names
            self._visible.param.update(options=names, value=names[:_FIRST_SHOWN])
            self._choice.param.update(options=names, value=names[0] if names else None)
        elif names != self._known:
            new = [name for name in names if name not in self._known]
            self._known = names
            value = [name for name in self._visible.value if name in names] + new
            self._visible.param.update(options=names, value=value)
            chosen = new[-1] if new else self._choice.value if self._choice.value in names else None
            self._choice.param.update(options=names, value=chosen or (names[0] if names else None))

    def _show_one(self, scan: LiveScan, ground: Ground, threshold: float) -> None:
        region = self._one()
        nothing = region is None
        for widget in (self._choose, self._remove, *self._files.values()):
            widget.disabled = nothing
        self._files["tif"].disabled = nothing or ground.placement is None
        chosen = self._mask(ground, region) & ground.done if region is not None else np.zeros(0, dtype=np.bool_)
        state = (scan, threshold, region.name if region is not None else "", chosen.tobytes())
        if state == self._shown:
            return
        self._shown = state
        rows = np.flatnonzero(chosen)
        self._pattern.plot.visible = bool(rows.size)
        if region is None or not rows.size:
            self._pattern.clear()
            line = self._words("regions.holds_nothing") if region is not None else ""
            self._about.object = f"<p class='hint'>{html.escape(line)}</p>"
            return
        shown = show_points(scan, rows, threshold)
        self._pattern.show(replace(shown, unexplained=()))
        line = self._words("page.mean_of", points=rows.size, averaged=shown.averaged)
        self._about.object = f"<b>{html.escape(region.name)}</b> · {html.escape(line)}"
        for suffix, widget in self._files.items():
            widget.filename = f"{file_stem(scan.path.stem, region.name)}.{suffix}"

    def _one(self) -> Region | None:
        return next((region for region in self._book.regions if region.name == self._choice.value), None)

    def _choose_points(self) -> None:
        region = self._one()
        if region is not None and self._ground is not None:
            self._session.view.choose(np.flatnonzero(mask_of(self._ground, region)))
            self._session.view.param.trigger("to_map")

    def _ask_to_remove(self) -> None:
        region, who = self._one(), self._session.view.who.strip()
        if not who:
            self._asking.refuse(self._words("page.name_first"))
        elif region is not None:
            self._asking.ask(RemoveRegion(name=region.name, who=who))

    def _file(self, suffix: str) -> io.BytesIO:
        region = self._one()
        if region is None or self._ground is None:
            return io.BytesIO()
        return io.BytesIO(_FILES[suffix](self._ground, mask_of(self._ground, region)))

    def _html(self, css_class: str) -> Any:
        return pn.pane.HTML(
            "", stylesheets=[PARTS, TABLE_CSS], css_classes=[css_class], sizing_mode="stretch_width"
        )  # fmt: skip
