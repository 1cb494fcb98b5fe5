"""The font of reports and figures: one that writes Japanese on every machine, because it travels with the program."""

import base64
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from matplotlib import font_manager

FONT_PATH = Path(__file__).with_name("fonts") / "NotoSansCJKjp-subset.ttf"
"""Subset of Noto Sans CJK JP; SIL Open Font License 1.1, see OFL.txt beside it. Made by `make_font`."""
GETA = "〓"
"""What Japanese printers set for a character they have no type for."""


@cache
def font_family() -> str:
    """Make the font known to matplotlib; return its family name."""
    font_manager.fontManager.addfont(FONT_PATH)
    return str(font_manager.FontProperties(fname=FONT_PATH).get_name())


@cache
def known_characters() -> frozenset[str]:
    """Return the characters the font can write."""
    with TTFont(FONT_PATH, lazy=True) as font:
        return frozenset(map(chr, font.getBestCmap()))


def writable(text: str) -> str:
    """Return a text with every character the font cannot write replaced by a geta mark; line ends stay."""
    known = known_characters()
    return "".join(
        character if character in known or character == "\n" else GETA for character in str(text) if character != "\r"
    )


@contextmanager
def figure_style(*, text_as_paths: bool = False) -> Iterator[None]:
    """Draw with the report's font and thin grey axes within this block.

    Parameters
    ----------
    text_as_paths
        Whether SVG holds outlines instead of text, so that it looks the same without the font.
    """
    settings: Any = {
        "font.family": [font_family(), "DejaVu Sans"],
        "font.size": 9,
        "axes.edgecolor": "#667085",
        "axes.linewidth": 0.7,
        "axes.labelcolor": "#344054",
        "axes.titlesize": 9.5,
        "axes.titlecolor": "#1d2939",
        "axes.unicode_minus": True,
        "xtick.color": "#667085",
        "ytick.color": "#667085",
        "xtick.labelcolor": "#344054",
        "ytick.labelcolor": "#344054",
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "text.parse_math": False,
        "svg.fonttype": "path" if text_as_paths else "none",
        "pdf.fonttype": 42,
    }
    with matplotlib.rc_context(settings):
        yield


def embedded_font(text: str) -> str:
    """Return a ``data:`` URI of a WOFF font with the characters of a text and no more."""
    # it tells of every table that it drops
    logging.getLogger("fontTools.subset").setLevel(logging.ERROR)
    options = Options(flavor="woff", layout_features=[], hinting=False, notdef_outline=True)
    with TTFont(FONT_PATH) as font:
        subsetter = Subsetter(options)
        subsetter.populate(text=text)
        subsetter.subset(font)
        font.flavor = "woff"
        written = io.BytesIO()
        font.save(written)
    return "data:font/woff;base64," + base64.b64encode(written.getvalue()).decode()
