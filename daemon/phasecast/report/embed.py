"""Figures as parts of an HTML file: charts as SVG that uses the page's font, maps as PNG."""

import base64
import io
import re

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PNG_DPI = 220


def svg_of(figure: Figure, key: str) -> str:
    """Return a figure as an ``svg`` element whose ids no other figure has.

    Parameters
    ----------
    figure
        The figure.
    key
        Prefix of its ids.
    """
    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", metadata=nothing)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{key}-\1"', svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    return re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)


def png_of(figure: Figure) -> str:
    """Return a figure as a ``data:`` URI of a PNG."""
    FigureCanvasAgg(figure)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=PNG_DPI)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
