"""Where raw files may lie after their tree was copied elsewhere."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path, PurePosixPath, PureWindowsPath


def places_below(path: str, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield where a file may lie below new roots, the place that keeps most of its old path first.

    A disk that went through another system may hold names in another Unicode form (NFD from macOS), so each place
    is also looked for in the composed and the decomposed form.

    Parameters
    ----------
    path
        Where it lay when it was recorded, with forward slashes or as Windows writes paths.
    roots
        Folders below which its tree may lie now.
    """
    old = PureWindowsPath(path) if "\\" in path or path[1:3] == ":/" else PurePosixPath(path)
    parts = [part for part in old.parts if part != old.anchor]
    if ".." in parts:
        parts = parts[-1:] if parts[-1] != ".." else []
    for start, root in product(range(len(parts)), roots):
        tail = "/".join(parts[start:])
        for text in dict.fromkeys((tail, unicodedata.normalize("NFC", tail), unicodedata.normalize("NFD", tail))):
            yield root / text
