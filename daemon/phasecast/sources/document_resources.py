"""Where the frame of a datum lies: handlers for the specs of areaDetector's file plugins and ophyd's simulator."""

from collections.abc import Mapping
from typing import Any

from phasecast.core.errors import WireError
from phasecast.sources.document_files import datum_file_names
from phasecast.sources.wanted_frames import FilePlace, Hdf5Place

HDF5_DATASET = "/entry/data/data"
"""Where areaDetector's HDF5 plugin writes unless its layout says otherwise."""

_IN_ONE_FILE = frozenset({"AD_HDF5", "AD_HDF5_SWMR"})
_A_FILE_EACH = frozenset({"AD_TIFF", "AD_CBF", "AD_HDF5_SINGLE"})
_MAX_FRAMES_A_POINT = 100


def place_of_datum(resource: Mapping[str, Any], datum_kwargs: Mapping[str, Any]) -> tuple[int, Hdf5Place | FilePlace]:
    """Return number and place of a datum's frame.

    Parameters
    ----------
    resource
        The resource document.
    datum_kwargs
        Of the datum document.

    Raises
    ------
    WireError
        If the spec is not one that is read, or the documents do not say where the frame is.
    """
    spec, kwargs = resource.get("spec"), resource.get("resource_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    stated = joined(resource.get("root"), resource.get("resource_path"))
    if spec == "NPY_SEQ":
        number = _number(datum_kwargs, "index")
        folder, _, stem = stated.replace("\\", "/").rpartition("/")
        return number, FilePlace(folder=folder, names=(f"{stem}_{number}.npy",))
    if spec not in _IN_ONE_FILE | _A_FILE_EACH:
        raise WireError(f"frames of spec {str(spec)[:40]!r} are not read")
    number = _number(datum_kwargs, "point_number")
    frames = frames_a_point(kwargs.get("frame_per_point", 1))
    if spec in _IN_ONE_FILE:
        place = Hdf5Place(path=stated, dataset=HDF5_DATASET, first=number * frames, frames_per_point=frames)
        return number, place
    if frames > 1:
        raise WireError(f"{frames} files a point: frames in files of their own are not added up")
    names = datum_file_names(spec, kwargs, datum_kwargs)
    if not names:
        raise WireError("the resource does not say how its files are called")
    return number, FilePlace(folder=stated, names=names, dataset=HDF5_DATASET if spec == "AD_HDF5_SINGLE" else "")


def frames_a_point(value: object) -> int:
    """Return a number of frames that make one point.

    Raises
    ------
    WireError
        If it is none, or more than are added up.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_FRAMES_A_POINT:
        raise WireError(f"{str(value)[:20]} frames a point: 1 to {_MAX_FRAMES_A_POINT} are read")
    return value


def joined(root: object, path: object) -> str:
    """Return the path of a resource; raises WireError if it has none."""
    if not isinstance(root, str) or not isinstance(path, str) or not 0 < len(root) + len(path) <= 4096:
        raise WireError("the resource has no path")
    return f"{root.rstrip('/' + chr(92))}/{path.lstrip('/' + chr(92))}" if root else path


def _number(kwargs: Mapping[str, Any], name: str) -> int:
    value = kwargs.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
        raise WireError(f"{name} {str(value)[:20]!r} of a datum is no number from 0")
    return value
