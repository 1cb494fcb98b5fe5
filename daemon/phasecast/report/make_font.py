"""Makes the font that reports carry: a subset of Noto Sans CJK JP, from the installed collection.

Run it after adding words: ``python -m phasecast.report.make_font .../opentype/noto/NotoSansCJK-Regular.ttc``
"""

import sys
from pathlib import Path

from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection, TTFont, newTable
from fontTools.ttLib.tables._g_l_y_f import Glyph

from phasecast.core.words import catalogue
from phasecast.report.fonts import FONT_PATH

_FAMILY = "Noto Sans CJK JP"
_LEVEL_1_ROWS = range(16, 48)
_MORE_NAMES = "髙﨑栁濵德惠錆鉄鋼礬褐垢蝕腐剝剥𠮷"
_RANGES = (
    (0x20, 0x7E), (0xA0, 0xFF), (0x391, 0x3C9), (0x2010, 0x2027), (0x2030, 0x2033), (0x2070, 0x209C),
    (0x3000, 0x30FF), (0xFF01, 0xFF9F),
)  # fmt: skip
_SIGNS = "←↑→↓⇒−√∞∑∂≈≠≤≥±×÷∝∆Å℃™①②③④⑤⑥⑦⑧⑨■□▲△▼▽◆◇○●◎★☆〓々"
_SMALL = 0.62
_MOST_ERROR = 1.0
"""Of a curve, in units of which an em has 1000."""


def wanted_characters() -> set[str]:
    """Return every character the font holds: kana, JIS X 0208 level 1, Latin, Greek, signs, and all our words."""
    wanted = {chr(code) for first, last in _RANGES for code in range(first, last + 1)} | set(_SIGNS + _MORE_NAMES)
    for row in _LEVEL_1_ROWS:
        for cell in range(1, 95):
            wanted |= set(bytes([row + 0xA0, cell + 0xA0]).decode("euc_jp", "ignore"))
    return wanted | {character for texts in catalogue().values() for text in texts.values() for character in text}


def make_font(collection: Path, target: Path) -> int:
    """Write the subset; return its size in bytes.

    Outlines become quadratic (TrueType): matplotlib cannot put the cubic ones of OpenType into a PDF. Small digits
    that it lacks are made of its own digits: formulae need them.

    Raises
    ------
    ValueError
        If the collection has no such font.
    """
    fonts = TTCollection(str(collection)).fonts
    font = next((font for font in fonts if font["name"].getDebugName(1) == _FAMILY), None)
    if font is None:
        raise ValueError(f"{collection}: no font named {_FAMILY}")
    options = Options(
        layout_features=["kern"], hinting=False, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], notdef_outline=True
    )
    options.drop_tables += ["vhea", "vmtx", "VORG", "BASE", "GSUB", "GPOS", "GDEF"]
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(sorted(wanted_characters())))
    subsetter.subset(font)
    _make_quadratic(font)
    font.save(str(target))
    return target.stat().st_size


def _missing_small_digits(font: TTFont) -> dict[int, tuple[str, int]]:
    """Return subscripts and superscripts the font lacks: code to the digit to shrink and how far to move it up."""
    known = font.getBestCmap()
    wanted = {code: (code - 0x2080, -130) for code in range(0x2080, 0x208A)}
    wanted |= {code: (code - 0x2070, 330) for code in (0x2070, *range(0x2074, 0x207A))}
    return {code: (known[ord("0") + digit], shift) for code, (digit, shift) in wanted.items() if code not in known}


def _make_quadratic(font: TTFont) -> None:
    outlines = font.getGlyphSet()
    order = font.getGlyphOrder()
    glyphs: dict[str, Glyph] = {}
    small = _missing_small_digits(font)
    for name in order:
        pen = TTGlyphPen(outlines)
        outlines[name].draw(Cu2QuPen(pen, _MOST_ERROR, reverse_direction=True))
        glyphs[name] = pen.glyph()
    for code, (digit, shift) in small.items():
        pen = TTGlyphPen(outlines)
        scaled = TransformPen(Cu2QuPen(pen, _MOST_ERROR, reverse_direction=True), (_SMALL, 0, 0, _SMALL, 0, shift))
        outlines[digit].draw(scaled)
        name = f"uni{code:04X}"
        glyphs[name] = pen.glyph()
        order = [*order, name]
        font["hmtx"].metrics[name] = (round(font["hmtx"].metrics[digit][0] * _SMALL) + 12, 0)
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap[code] = name
    font.setGlyphOrder(order)
    font["loca"] = newTable("loca")
    font["glyf"] = table = newTable("glyf")
    table.glyphOrder = order
    table.glyphs = glyphs
    del font["CFF "]
    for name in order:
        table[name].recalcBounds(table)
        font["hmtx"].metrics[name] = (font["hmtx"].metrics[name][0], getattr(table[name], "xMin", 0))
    font["maxp"] = highest = newTable("maxp")
    highest.tableVersion = 0x00010000
    for field in (
        "maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs", "maxStackElements",
        "maxSizeOfInstructions", "maxComponentElements", "maxPoints", "maxContours", "maxCompositePoints",
        "maxCompositeContours", "maxComponentDepth",
    ):  # fmt: skip
        setattr(highest, field, 1 if field == "maxZones" else 0)
    highest.numGlyphs = len(order)
    font["post"].formatType = 3.0
    font.sfntVersion = "\x00\x01\x00\x00"


if __name__ == "__main__":
    sys.stdout.write(f"{make_font(Path(sys.argv[1]), FONT_PATH)} bytes\n")
