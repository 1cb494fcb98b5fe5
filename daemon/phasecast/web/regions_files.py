"""Files of a region: its points as CSV, its mask as TIFF and NPY."""

import csv
import io
import tempfile
from pathlib import Path

import numpy as np

from phasecast.results.export import write_map_tiff
from phasecast.web.regions_measure import Ground, Mask


def points_csv(ground: Ground, chosen: Mask) -> bytes:
    """Return one row a point: point, x_um, y_um, in_region.

    UTF-8 with a byte order mark, which Japanese Excel needs to see that it is. Unknown positions are empty cells.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["point", "x_um", "y_um", "in_region"])
    writer.writerows(
        (point, _cell(x), _cell(y), int(inside))
        for point, (x, y, inside) in enumerate(
            zip(ground.x_um.tolist(), ground.y_um.tolist(), chosen.tolist(), strict=True)
        )
    )
    return text.getvalue().encode("utf-8-sig")


def mask_tiff(ground: Ground, chosen: Mask) -> bytes:
    """Return the mask of a raster as float32 TIFF: 1 in the region, 0 outside, NaN where no point lies.

    First row of the file is the highest y; empty where the scan is no raster.
    """
    placement = ground.placement
    if placement is None:
        return b""
    everyone = np.ones(chosen.size, dtype=np.bool_)
    picture = placement.paint(chosen.astype(np.float32), select=everyone, fill=np.float32(np.nan))
    with tempfile.TemporaryDirectory(prefix="phasecast-mask-") as folder:
        path = Path(folder) / "mask.tif"
        write_map_tiff(path, picture, placement.x_um, placement.y_um)
        return path.read_bytes()


def mask_npy(ground: Ground, chosen: Mask) -> bytes:
    """Return the mask as a boolean NPY array: (rows, columns) of a raster, row 0 at the lowest y, else (points,)."""
    placement = ground.placement
    mask = chosen if placement is None else placement.paint(chosen, select=chosen, fill=False)
    content = io.BytesIO()
    np.save(content, mask, allow_pickle=False)
    return content.getvalue()


def file_stem(scan_stem: str, region: str) -> str:
    """Return a name for files of a region that every system takes."""
    safe = "".join(character if character.isalnum() or character in "-_" else "_" for character in region)
    return f"{scan_stem}_{safe or 'region'}"


def _cell(value: float) -> str:
    return f"{value:.10g}" if value == value else ""
