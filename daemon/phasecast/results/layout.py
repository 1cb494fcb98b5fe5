"""Names, paths and dtypes of everything in a result file, in one place.

Row i of every dataset with one row a point is scan point i; it holds NaN (or the fill value) until the
point is done. All such datasets can grow. ``ledger/commit`` is written last: what it does not vouch for
has not happened (see `believed_states`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import ALONE_AXIS as ALONE_AXIS
from phasecast.core.documents import CLASS_AXIS as CLASS_AXIS
from phasecast.core.documents import LEDGER_COLUMNS, MODEL_COLUMNS
from phasecast.core.documents import MODEL_AXIS as MODEL_AXIS
from phasecast.core.documents import SHARE_AXIS as SHARE_AXIS
from phasecast.core.ledger import PointState

LAYOUT_VERSION = 1

UNTORN_PAGES: dict[str, Any] = {"fs_strategy": "page", "fs_page_size": 4096}
"""How files are made: no small header lies across two pages of the memory that the system writes from.

A process killed in mid-write leaves whole pages, but may leave the first half of a header new and the second old. One
such header, that of ``ledger/commit``, made a file unreadable and its readers wait without end.
"""

ENTRY = "/entry"
DATA = f"{ENTRY}/data"
INTENSITY_PATH = f"{DATA}/I"
SIGMA_PATH = f"{DATA}/I_errors"
RADIAL_AXIS = f"{DATA}/radial_axis"
NORM = f"{DATA}/norm"
"""Norm of a frame without masked pixels: the largest per bin over all frames. Each frame's own is a column."""
END_TIME = f"{ENTRY}/end_time"

REDUCTION = f"{ENTRY}/reduction"
COLUMNS = f"{REDUCTION}/columns"
CLASSIFICATION = f"{ENTRY}/classification"
CONFIDENCES = f"{CLASSIFICATION}/confidences/confidence"
CLASSES = f"{CLASSIFICATION}/classes"
MODEL = f"{CLASSIFICATION}/model"
"""The model that the scan began with."""
MODELS = f"{CLASSIFICATION}/models"
"""Table of all models that gave confidences of this result; a row is written before the first point that names it."""
MODEL_OF_POINT = f"{CLASSIFICATION}/model_of_point"
"""Row of the table, point by point; -1 where there are no confidences."""
METAL_SHARE = f"{CLASSIFICATION}/metal_share"
"""Where transmission is measured: odds of metal, as a share, with which peak-less iron was settled."""
CONFIDENCES_ALONE = f"{CLASSIFICATION}/confidences_alone"
"""Where confidences take neighbours into account: those of each point by itself, which transmission left alone too."""
MAPS = f"{CLASSIFICATION}/maps"

LEDGER_PATH = f"{ENTRY}/ledger"
SCALARS = f"{LEDGER_PATH}/scalars"
REVISION = f"{LEDGER_PATH}/revision"
CHANGED_IN = f"{LEDGER_PATH}/changed_in_commit"
DONE_IN = f"{LEDGER_PATH}/done_in_commit"
COMMIT = f"{LEDGER_PATH}/commit"
COUNTERS = f"{LEDGER_PATH}/counters"
DEFECTS_PATH = f"{ENTRY}/defects"
PROVENANCE = f"{ENTRY}/provenance"
HEADER = f"{PROVENANCE}/header"

INTENSITY_COLUMN = "intensity"
SIGMA_COLUMN = "sigma"
NORM_COLUMN = "norm"
DRIFT_COLUMN = "drift"
TOTAL_COLUMN = "total_counts"
PATTERN_AXIS = "tth"
"""`ColumnSpec.axis` of everything with one value a bin of the archive axis."""

TOTAL_MAP = "total_intensity"
STATE_MAP = "ledger_state"

THRESHOLD = 0.5
THRESHOLD_NOTE = "0.5 = an analyst would see a line at this exposure, not an amount"

LINE_SHIFT_LIMIT_DEG = 0.03
"""Shift of a known line within one scan, deg 2theta, from which alarm and report warn of it."""
UNSURE = (0.2, 0.8)
"""Confidences between which a class is neither seen nor excluded."""

COUNTERS_BYTES = 1 << 16

COMMIT_DTYPE = np.dtype(
    [
        ("sequence", "<i8"),
        ("points_done", "<i8"),
        ("defects", "<i8"),
        ("capture_segment", "S128"),
        ("capture_offset", "<i8"),
        ("time_s", "<f8"),
        ("first_row", "<i8"),
        ("end_row", "<i8"),
    ]
)
"""``defects``: rows of the defects table that are vouched for. ``first_row`` to before ``end_row``: every row that
the commit touched lies there, so that a reader looks at nothing else; files of the first days lack the two."""

LEDGER_FILE_COLUMNS: dict[str, str] = {
    name: dtype for name, dtype in LEDGER_COLUMNS.items() if not name.startswith("capture_")
}
del LEDGER_FILE_COLUMNS["point_index"]

UNITS: dict[str, str] = {"x_um": "um", "y_um": "um", "time_s": "s"}


def stored_dtype(dtype: str) -> np.dtype[Any]:
    """Dtype in the file: text becomes fixed-length UTF-8 bytes, with three bytes for each character."""
    wanted = np.dtype(dtype)
    if wanted.kind != "U":
        return wanted
    characters = wanted.itemsize // 4
    return np.dtype(f"S{3 * characters}")


MODEL_DTYPE = np.dtype([(name, stored_dtype(dtype)) for name, dtype in MODEL_COLUMNS.items()])
"""A row of the table of models; text is UTF-8."""


def fill_value(dtype: np.dtype[Any]) -> Any:
    """What a row holds before its point is done: NaN, -1 for counts, 0 for flags and states, or no text."""
    return {"f": np.nan, "i": -1, "u": 0, "b": False}.get(dtype.kind, b"")


def chunk_rows(row_bytes: int, *, budget: int = 65536, rows: int = 0) -> int:
    """Rows a chunk.

    Rows are written straight into their chunk, so large ones cost nothing but the room that a scan leaves
    empty; many small ones cost memory, because HDF5 keeps the index of every chunk at hand.

    Parameters
    ----------
    row_bytes
        Bytes a row.
    budget
        Bytes a chunk.
    rows
        Rows expected, which no chunk exceeds; 0 if unknown.
    """
    fitting = int(np.clip(budget // max(row_bytes, 1), 8, 8192))
    return min(fitting, rows) if rows else fitting


def ledger_dataset(name: str) -> str:
    """Path of a ledger column."""
    return f"{LEDGER_PATH}/{name}"


def defect_dataset(name: str) -> str:
    """Path of a column of the defects table."""
    return f"{DEFECTS_PATH}/{name}"


def column_dataset(name: str, axis: str) -> str:
    """Path of a result column: patterns and confidences have homes that NeXus readers know."""
    if name == INTENSITY_COLUMN:
        return INTENSITY_PATH
    if name == SIGMA_COLUMN:
        return SIGMA_PATH
    if axis == CLASS_AXIS:
        return CONFIDENCES
    if axis == MODEL_AXIS:
        return MODEL_OF_POINT
    if axis == SHARE_AXIS:
        return METAL_SHARE
    if axis == ALONE_AXIS:
        return CONFIDENCES_ALONE
    return f"{COLUMNS}/{name}"


def believed_states(
    state: NDArray[np.uint8], changed_in: NDArray[np.int64], done_in: NDArray[np.int64], last_commit: int
) -> NDArray[np.uint8]:
    """States that the last commit vouches for.

    A writer killed within a page leaves rows that carry the number of a commit that was never written, or
    columns of which some reached the disk and others did not. Such a row counts as what the commits before
    said of it: done if it was done then, else received or pending.

    Parameters
    ----------
    state, changed_in, done_in
        Ledger columns, shape (n,).
    last_commit
        Sequence of the newest commit; 0 if there is none.
    """
    vouched = (changed_in > 0) & (changed_in <= last_commit)
    done_before = (done_in > 0) & (done_in <= last_commit)
    believed = np.where(vouched, state, np.uint8(PointState.PENDING)).astype(np.uint8)
    believed[(believed == PointState.DONE) & ~done_before] = PointState.RECEIVED
    believed[~vouched & done_before] = PointState.DONE
    return believed
