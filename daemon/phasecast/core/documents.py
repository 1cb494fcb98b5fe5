"""The documents of a derived run: streams and the columns that every sink can rely on.

A result is a bluesky run. Its start document holds the `ResultHeader` as a dict under ``phasecast`` and the
raw run's uid under ``raw_run_start``. Five streams follow, always as event pages of numpy columns (n, ...):

``primary``   one row a scored point: ``point_index``, ``revision`` and the header's ``columns``.
``scores``    one row a point whose confidences are said anew after it was scored: withdrawn (NaN) or given back because
              later readings of I0 say so, or those of another model. ``point_index``, ``revision`` and the ``columns``
              whose axis is one of `SCORE_AXES`: the confidences, which model gave them, and how strange it finds them.
``models``    one row a model that gives confidences from now on, in the order of its number: `MODEL_COLUMNS`.
              It is sent before the first page that names it.
``ledger``    one row a point whose entry changed: `LEDGER_COLUMNS` and the header's ``point_columns``.
              It is sent after the other pages of the same turn, so a sink that sees it may commit.
``defects``   one row a thing that cannot be used or belongs to no point: `DEFECT_COLUMNS`.

The stop document holds the final counters under ``phasecast``.
"""

PRIMARY = "primary"
SCORES = "scores"
LEDGER = "ledger"
DEFECTS = "defects"
MODELS = "models"

HEADER_KEY = "phasecast"
RAW_UID_KEY = "raw_run_start"

LEDGER_COLUMNS: dict[str, str] = {
    "point_index": "<i8",
    "state": "|u1",
    "flags": "<u4",
    "reason": "<U64",
    "x_um": "<f8",
    "y_um": "<f8",
    "time_s": "<f8",
    "frame_store": "<U8",
    "frame_path": "<U256",
    "frame_offset": "<i8",
    "frame_number": "<i8",
    "frame_sha256": "<U64",
    "capture_segment": "<U64",
    "capture_offset": "<i8",
}
"""Column to dtype. ``capture_*`` name the newest record that was worked off when the page was made."""

DEFECT_COLUMNS: dict[str, str] = {
    "time_s": "<f8",
    "channel": "<U32",
    "reason": "<U64",
    "detail": "<U256",
    "frame_number": "<i8",
}

MODEL_COLUMNS: dict[str, str] = {
    "name": "<U64",
    "version": "<U64",
    "sha256": "<U64",
    "calibrated_on": "<U160",
    "owner": "<U64",
    "time_s": "<f8",
}
"""Column to dtype. ``time_s`` is when the model gave its first confidences of this result."""

CLASS_AXIS = "class"
"""`ColumnSpec.axis` of the confidences: one value a class."""
MODEL_AXIS = "model"
"""`ColumnSpec.axis` of the column that holds the number of the model behind the confidences; -1 for none."""
SHARE_AXIS = "share"
"""`ColumnSpec.axis` of the column that holds what transmission made of the confidence of peak-less iron."""
ALONE_AXIS = "class_alone"
"""`ColumnSpec.axis` of the confidences of each point by itself, where others take its neighbours into account."""
DRIFT_AXIS = "drift"
"""`ColumnSpec.axis` of the column that says how unlike everything that model knows a pattern is; NaN if it cannot."""
SCORE_AXES = (CLASS_AXIS, MODEL_AXIS, SHARE_AXIS, ALONE_AXIS, DRIFT_AXIS)
"""`ColumnSpec.axis` of all columns that are another model's once it was asked about a point."""
