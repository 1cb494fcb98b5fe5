"""Creates the whole structure of a result file before its first point is written.

SWMR readers never see a dataset that is created after they came, so everything exists from the start, and
everything written later is chunked. Text is fixed-length: variable-length strings fail for live readers.
"""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

import phasecast
from phasecast.core.documents import DEFECT_COLUMNS
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.result import ResultHeader
from phasecast.results import layout
from phasecast.results.normalisation import I0_SCALAR
from phasecast.sinks.nexus_classification import create_classification
from phasecast.sinks.nexus_parts import (
    iso_time,
    put_column,
    put_group,
    put_late,
    put_number,
    put_text,
    to_json,
)
from phasecast.sinks.nexus_sample import create_sample

HC_KEV_ANGSTROM = 12.398419843320026
"""Planck's constant times the speed of light (exact in the SI of 2019)."""


def create_structure(file: h5py.File, header: ResultHeader, *, rows: int, created_s: float) -> None:
    """Fill a new file with every group, attribute and (empty) dataset of a result.

    Parameters
    ----------
    file
        Open and empty.
    header
        What is known of the result.
    rows
        Points expected; 0 if unknown. Every dataset can grow beyond it.
    created_s
        POSIX time of creation.
    """
    file.attrs.update(
        {
            "default": "entry",
            "creator": "phasecast",
            "creator_version": phasecast.__version__,
            "file_time": iso_time(created_s),
            "HDF5_Version": h5py.version.hdf5_version,
            "h5py_version": h5py.version.version,
            "phasecast_layout": layout.LAYOUT_VERSION,
        }
    )
    file.attrs["NX_class"] = "NXroot"
    entry = put_group(file, layout.ENTRY, "NXentry", default="data")
    _entry_fields(entry, header)
    _instrument(entry, header)
    create_sample(entry, header)
    _reduction(entry, header, created_s)
    _data(entry, header, rows)
    _ledger(entry, header, rows)
    create_classification(entry, header, rows, created_s)
    _provenance(entry, header)
    _monitor(entry, header)


def _monitor(entry: h5py.Group, header: ResultHeader) -> None:
    """Name the incident monitor, and say once whether the patterns were normalised with it."""
    has_i0 = f"{layout.SCALARS}/{I0_SCALAR}" in entry.file
    said = str(header.processing.get("normalisation") or ("not normalised" if has_i0 else "not normalised: no I0"))
    entry["data/I"].attrs["normalisation"] = said
    if has_i0:
        group = put_group(entry, "monitor", "NXmonitor")
        group["data"] = entry.file[f"{layout.SCALARS}/{I0_SCALAR}"]
        put_text(group, "description", str(group["data"].attrs.get("description", "incident flux")))


def _entry_fields(entry: h5py.Group, header: ResultHeader) -> None:
    put_text(entry, "definition", "NXazint1d")
    title = header.metadata.get("title") or header.metadata.get("sample_name") or header.plan_name
    put_text(entry, "title", f"{title} (scan {header.scan_id})" if header.scan_id else str(title))
    put_text(entry, "start_time", iso_time(header.started_s))
    # Not scalar: only chunked datasets may be written once readers follow the file.
    put_late(entry, "end_time", np.dtype("S32"), (), rows=1)
    put_text(entry, "program_name", "phasecast").attrs["version"] = phasecast.__version__
    put_text(entry, "entry_identifier", header.result_uid)
    put_text(entry, "collection_identifier", header.raw_uid).attrs["description"] = "uid of the raw run"
    corrections = {**header.profile.get("corrections", {}), **header.processing}
    polarisation = corrections.get("polarization_applied", corrections.get("polarisation_factor") is not None)
    entry["solid_angle_applied"] = np.bool_(
        corrections.get("solid_angle_applied", corrections.get("solid_angle", False))
    )
    entry["polarization_applied"] = np.bool_(polarisation)
    entry["normalization_applied"] = np.bool_(corrections.get("normalization_applied", True))
    entry["monitor_applied"] = np.bool_(corrections.get("monitor_applied", False))


def _instrument(entry: h5py.Group, header: ResultHeader) -> None:
    instrument = put_group(entry, "instrument", "NXinstrument")
    put_text(instrument, "name", str(header.profile.get("title") or header.profile_name or "unknown"))
    energy_kev = float(header.processing.get("energy_kev", header.profile.get("energy_kev", np.nan)))
    monochromator = put_group(instrument, "monochromator", "NXmonochromator")
    put_number(monochromator, "energy", energy_kev, "keV")
    put_number(monochromator, "wavelength", HC_KEV_ANGSTROM / energy_kev, "angstrom")
    source = put_group(instrument, "source", "NXsource")
    put_text(source, "name", str(header.metadata.get("facility") or header.profile_name or "unknown"))
    put_text(source, "type", "Synchrotron X-ray Source")
    put_text(source, "probe", "x-ray")


def _reduction(entry: h5py.Group, header: ResultHeader, created_s: float) -> None:
    reduction = put_group(entry, "reduction", "NXprocess")
    put_text(reduction, "program", "phasecast")
    put_text(reduction, "version", phasecast.__version__)
    put_text(reduction, "date", iso_time(created_s))
    reduction["sequence_index"] = 1
    put_text(
        reduction,
        "reference",
        "Sparse-matrix azimuthal integration with pyFAI's geometry and matrix: G. Ashiotis et al., "
        "J. Appl. Cryst. 48 (2015) 510-519, doi:10.1107/S1600576715004306",
    )
    note = (
        "Row i is scan point i in order of measurement; rows of points that are not done hold NaN. Points rejected for "
        "'no beam' keep the pattern that was measured and have no confidences."
    )
    put_text(reduction, "note", f"{note} Computed on {header.device}. {header.device_note}".strip())
    given = put_group(reduction, "input", "NXparameters")
    for section in ("detector", "geometry", "corrections", "axis"):
        _flatten(given, section, header.profile.get(section, {}))
    _flatten(given, "", header.processing)
    if "error_model" not in given:
        put_text(given, "error_model", "poisson")
    put_group(reduction, "columns", "NXcollection")


def _data(entry: h5py.Group, header: ResultHeader, rows: int) -> None:
    data = put_group(entry, "data", "NXdata", signal="I", interpretation="spectrum")
    data.attrs["axes"] = np.array([".", "radial_axis"], dtype=h5py.string_dtype())
    bins = np.asarray(header.tth_deg, dtype=np.float64)
    radial = data.create_dataset("radial_axis", data=bins)
    radial.attrs.update({"long_name": "2theta", "units": "deg"})
    names = {column.name for column in header.columns}
    for column in header.columns:
        path = layout.column_dataset(column.name, column.axis)
        if path in (layout.CONFIDENCES, layout.MODEL_OF_POINT, layout.METAL_SHARE, layout.CONFIDENCES_ALONE):
            continue
        dataset = put_column(entry.file, path, column, rows)
        if path == layout.INTENSITY_PATH:
            dataset.attrs.update({"long_name": "intensity", "units": "arbitrary units"})
        elif path == layout.SIGMA_PATH:
            dataset.attrs.update({"long_name": "estimated intensity error", "units": "arbitrary units"})
    if layout.NORM_COLUMN in names:
        norm = put_late(data, "norm", np.dtype("<f4"), (), rows=bins.size)
        norm.attrs.update(
            {
                "long_name": "effective number of pixels contributing to the corresponding bin",
                "units": "arbitrary units",
                "description": "largest over all frames, that is without pixels masked in one frame alone; "
                f"each frame's own lies in {layout.COLUMNS}/{layout.NORM_COLUMN}",
            }
        )


def _ledger(entry: h5py.Group, header: ResultHeader, rows: int) -> None:
    ledger = put_group(entry, "ledger", "NXcollection")
    for name, dtype in layout.LEDGER_FILE_COLUMNS.items():
        dataset = put_late(ledger, name, layout.stored_dtype(dtype), (), rows=rows)
        if name in layout.UNITS:
            dataset.attrs["units"] = layout.UNITS[name]
    ledger["state"].attrs["state_names"] = np.array([state.label for state in PointState], dtype=h5py.string_dtype())
    flags = [flag for flag in PointFlag if flag]
    ledger["flags"].attrs["flag_names"] = np.array(
        [(flag.name or "").lower() for flag in flags], dtype=h5py.string_dtype()
    )
    ledger["flags"].attrs["flag_bits"] = [int(flag) for flag in flags]
    put_late(ledger, "revision", np.dtype("<i8"), (), rows=rows)
    for path, meaning in (
        (layout.CHANGED_IN, "sequence of the commit in which the row last changed; 0 = never"),
        (layout.DONE_IN, "sequence of the commit in which the point was first done; 0 = not yet"),
    ):
        dataset = put_late(entry.file, path, np.dtype("<i8"), (), rows=rows, fill=0)
        dataset.attrs["description"] = f"{meaning}. Believe rows up to the last row of 'commit' only"
    put_late(ledger, "commit", layout.COMMIT_DTYPE, (), rows=0)
    put_late(ledger, "counters", np.dtype(f"S{layout.COUNTERS_BYTES}"), (), rows=1)
    scalars = put_group(ledger, "scalars", "NXcollection")
    for column in header.point_columns:
        put_column(entry.file, f"{scalars.name}/{column.name}", column, rows)
    defects = put_group(entry, "defects", "NXcollection")
    for name, dtype in DEFECT_COLUMNS.items():
        put_late(defects, name, layout.stored_dtype(dtype), (), rows=0)


def _provenance(entry: h5py.Group, header: ResultHeader) -> None:
    provenance = put_group(entry, "provenance", "NXcollection")
    put_text(provenance, "header", to_json(header.to_dict()))
    put_text(provenance, "profile", to_json(header.profile))
    put_text(provenance, "processing", to_json(header.processing))
    put_text(provenance, "versions", to_json(header.versions))
    put_text(provenance, "metadata", to_json(header.metadata))
    for name in ("raw_uid", "result_uid", "plan_name", "profile_name"):
        put_text(provenance, name, str(getattr(header, name)))
    provenance["scan_id"] = header.scan_id


def _flatten(group: h5py.Group, prefix: str, settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        name = f"{prefix}_{key}" if prefix else str(key)
        if name in group:
            continue
        if isinstance(value, Mapping):
            _flatten(group, name, value)
        elif isinstance(value, bool | int | float):
            group[name] = value
        else:
            put_text(group, name, value if isinstance(value, str) else to_json(value))
