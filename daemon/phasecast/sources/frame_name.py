"""Reading number and series from the name of a frame file."""

import re
from dataclasses import dataclass

HDF5_SUFFIXES = (".h5", ".hdf5", ".nxs")
"""Files that may hold many frames and grow."""
SUFFIXES = (".cbf", ".tif", ".tiff", ".edf", ".raw", *HDF5_SUFFIXES)
_DELIMITED_NUMBER = re.compile(r"(?:^|(?<=[_\-]))\d{1,15}(?=$|[_\-])")
_NUMBER = re.compile(r"\d{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameName:
    """A file name taken apart.

    Parameters
    ----------
    prefix, rest
        What stands before and after the number; `rest` includes the suffix.
    number
        The running number.
    width
        Digits the number is written with.
    """

    prefix: str
    number: int
    width: int
    rest: str

    @property
    def series(self) -> str:
        """Name that all files of one series share."""
        return self.prefix.rstrip("_-")

    def numbered(self, number: int) -> str:
        """Return the name of another file of the series."""
        return f"{self.prefix}{number:0{self.width}d}{self.rest}"


def format_suffix(name: str) -> str:
    """Return the format's suffix, such as ``.cbf`` also for ``x.cbf.gz``; empty for files that are no frames."""
    lowered = name.lower().removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if lowered.endswith(suffix)), "")


def is_frame_name(name: str) -> bool:
    """Tell whether a file of this name can be a finished frame."""
    lowered = name.lower()
    if lowered.startswith((".", "~")) or not format_suffix(lowered):
        return False
    # The PILATUS alignment mode rewrites this one file again and again.
    return not lowered.startswith("alignment.")


def parse_frame_name(name: str, pattern: re.Pattern[str] | None = None) -> FrameName | None:
    """Take a name apart; None if it holds no number.

    Parameters
    ----------
    name
        File name without folders.
    pattern
        Regular expression whose first group is the number. Without it the last number between separators counts
        (``map_01_module_r2c1.cbf`` is number 1), else the last number of all (``test6.tif`` is number 6).
    """
    suffix = format_suffix(name)
    stem = name[: name.lower().rfind(suffix)] if suffix else name
    if pattern is not None:
        match = pattern.search(name)
        if match is None or not match.groups() or not (match[1] or "").isascii() or not (match[1] or "").isdigit():
            return None
        start, end = match.span(1)
    else:
        matches = list(_DELIMITED_NUMBER.finditer(stem)) or list(_NUMBER.finditer(stem))
        if not matches:
            return None
        start, end = matches[-1].span()
    digits = name[start:end]
    return FrameName(prefix=name[:start], number=int(digits), width=len(digits), rest=name[end:])
