"""Names of the files that a datum of an areaDetector file plugin stands for."""

import re
from collections.abc import Mapping
from typing import Any

from phasecast.core.frame import FrameKey, file_key

_TEMPLATE = re.compile(r"(?:[^%]|%s){0,200}%0?\d{0,2}(?:\.\d{1,2})?d(?:[^%]){0,100}")
"""Two texts and one number of bounded width: ``%`` formatting of a foreign template can allocate gigabytes."""
_MAX_FRAMES_A_POINT = 1000
_FIRST_NUMBER = {"AD_CBF": 1, "AD_TIFF": 0, "AD_HDF5_SINGLE": 0}
"""Spec to number of the first file where the resource does not say."""


def datum_file_keys(
    spec: object, resource_kwargs: Mapping[str, Any], datum_kwargs: Mapping[str, Any]
) -> tuple[FrameKey, ...]:
    """Return a key for each file of one datum; empty where it cannot be computed."""
    return tuple(map(file_key, datum_file_names(spec, resource_kwargs, datum_kwargs)))


def datum_file_names(
    spec: object, resource_kwargs: Mapping[str, Any], datum_kwargs: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the name, without folders, of each file of one datum; empty where it cannot be computed.

    File number = first number + point * frames per point + frame, as the area-detector-handlers resolve it.
    """
    template = resource_kwargs.get("template")
    filename = resource_kwargs.get("filename")
    point = datum_kwargs.get("point_number")
    frames = resource_kwargs.get("frame_per_point", 1)
    if spec not in _FIRST_NUMBER:
        return ()
    first = resource_kwargs.get("initial_number", _FIRST_NUMBER[str(spec)])
    match template, filename, point, frames, first:
        case str(), str(), int(), int(), int() if (
            _TEMPLATE.fullmatch(template)
            and template.count("%s") == 2
            and len(filename) <= 256
            and 0 < frames <= _MAX_FRAMES_A_POINT
            and 0 <= point < 2**40
            and 0 <= first < 2**40
        ):
            numbers = range(first + point * frames, first + (point + 1) * frames)
            paths = (template % ("", filename, number) for number in numbers)
            return tuple(path.rpartition("/")[2] for path in paths)
    return ()
