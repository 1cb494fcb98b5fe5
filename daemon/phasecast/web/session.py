"""What one browser looks at: scan, layer, threshold and point, kept in the address so that links lead back here."""

import html
from urllib.parse import urlencode

import numpy as np
import panel as pn
import param
from numpy.typing import NDArray

from phasecast.core.words import Words, words
from phasecast.results.layout import THRESHOLD
from phasecast.web.layers import COMPOSITE
from phasecast.web.theme import Theme, theme_called


class View(param.Parameterized):
    """State of one session; every part of the page watches what it shows.

    The points chosen are rows of the scan; several after a box, lasso or region, else one or none.
    """

    scan = param.String(default="", doc="File name of the result; empty for the newest.")
    layer = param.String(default=COMPOSITE, doc="Layer of the large map.")
    threshold = param.Number(default=THRESHOLD, bounds=(0.05, 0.95), doc="Confidence from which a class counts.")
    point = param.Integer(default=None, allow_None=True, doc="The chosen point.")
    other = param.String(default="", doc="File name of the result that it is compared with; empty if none was chosen.")
    who = param.String(default="", doc="Who looks; kept by the browser.")
    to_map = param.Event(doc="Something was opened: the map comes to the front.")
    points = param.Parameter(default=np.zeros(0, dtype=np.int64), doc="All chosen points, (n,).")

    def choose(self, points: NDArray[np.int64]) -> None:
        """Choose points; one of them becomes the point of the address."""
        point = int(points[0]) if points.size == 1 else None
        self.param.update(points=points, point=point)


class Session:
    """View, words and colours of one session, from the address it was opened with.

    Parameters
    ----------
    arguments
        Query of the address: ``scan``, ``layer``, ``threshold``, ``point``, ``lang``, ``theme``.
    """

    def __init__(self, arguments: dict[str, str]) -> None:
        self.words: Words = words(arguments.get("lang", "en"))
        self.theme: Theme = theme_called(arguments.get("theme", "light"))
        self.view = View()
        self.view.scan = arguments.get("scan", "")
        self.view.other = arguments.get("other", "")
        self.view.layer = arguments.get("layer", COMPOSITE)
        self.view.threshold = _number(arguments.get("threshold"), THRESHOLD, 0.05, 0.95)
        point = arguments.get("point", "")
        if point.isdigit():
            self.view.choose(np.array([int(point)]))

    def keep_in_address(self) -> None:
        """Write what is looked at into the address of the browser whenever it changes."""
        location = pn.state.location
        if location is None:
            return
        names = {"scan": "scan", "layer": "layer", "threshold": "threshold", "point": "point", "other": "other"}
        location.sync(self.view, names)


def arguments_of_request() -> dict[str, str]:
    """Return the query of the address that the running session was opened with."""
    found: dict[str, list[bytes]] = pn.state.session_args
    return {name: values[-1].decode("utf-8", "replace") for name, values in found.items() if values}


def _number(text: str | None, default: float, low: float, high: float) -> float:
    try:
        value = float(text or default)
    except ValueError:
        return default
    return min(max(value, low), high) if value == value else default


def link(name: str, value: str, text: str) -> str:
    """Return a link to what is looked at now with one thing of the address changed, as HTML."""
    name, value = html.escape(name), html.escape(value)
    # "URL" alone is the document's own address within a handler
    go = (
        f"const a = new window.URL(window.location); a.searchParams.set('{name}', '{value}'); "
        "window.location = a; return false"
    )
    return f'<a href="?{name}={value}" onclick="{go}">{html.escape(text)}</a>'


def address(arguments: dict[str, str], **changes: str) -> str:
    """Return the address of this page with some of its query changed."""
    return "?" + urlencode({**arguments, **changes})
