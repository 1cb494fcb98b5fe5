"""Sample, people and proposal in the file, as everybody said them before the scan."""

import h5py
import pytest

from phasecast.records.samples import FOLDER_KEY, FORM_KEY, PROPOSAL_KEY, SIDECAR_KEY
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan
from support.nexus import validation


def text(file, path):
    return file[f"entry/{path}"][()].decode()


def written(tmp_path, **metadata):
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in raster_scan((2, 3), metadata=metadata).documents():
        sink(*document)
    return sink.path


def test_the_nearest_word_counts_and_every_field_has_its_place(tmp_path):
    path = written(
        tmp_path,
        sample={"name": "from the scan", "id": "S-1", "material": "耐候性鋼"},
        user="M. Mori",
        **{
            PROPOSAL_KEY: {"id": "2026A1234", "title": "錆の断面", "users": {"M. Mori": "Kobe", "青木": "JASRI"}},
            FOLDER_KEY: {"path": "/f/A-3_30um", "fields": {"name": "A-3", "thickness_um": "30"}},
            FORM_KEY: {"fields": {"condition": "塩水噴霧 3 年", "comment": "two\nlines", "thickness_um": "29"}},
            SIDECAR_KEY: {"path": "/f/sample.toml", "fields": {"mounted_side": "裏", "thickness_um": "28.5"}},
        },
    )
    with h5py.File(path) as file:
        assert text(file, "sample/name") == "A-3"
        assert text(file, "sample/sample_id") == "S-1"
        assert text(file, "sample/material") == "耐候性鋼"
        assert text(file, "sample/condition") == "塩水噴霧 3 年"
        assert text(file, "sample/mounted_side") == "裏"
        assert text(file, "sample/notes/data") == "two\nlines"
        thickness = file["entry/sample/thickness"]
        assert (float(thickness[()]), thickness.attrs["units"]) == (28.5, "um")
        assert text(file, "experiment_identifier") == "2026A1234"
        assert text(file, "experiment_description") == "錆の断面"
        users = [(text(file, f"{name}/name"), text(file, f"{name}/affiliation")) for name in ("user", "user_1")]
        assert users == [("M. Mori", "Kobe"), ("青木", "JASRI")]
        for name in ("user", "user_1"):
            assert file[f"entry/{name}"].attrs["NX_class"] == "NXuser"
    assert validation(path)[1] == 0


def test_a_thickness_that_is_no_number_is_kept_as_it_was_said(tmp_path):
    path = written(tmp_path, **{FORM_KEY: {"fields": {"thickness_um": "about 30"}}})
    with h5py.File(path) as file:
        assert text(file, "sample/thickness_um") == "about 30"
        assert "thickness" not in file["entry/sample"]


@pytest.mark.parametrize("metadata", [{}, {"sample": 7}, {FORM_KEY: "x", SIDECAR_KEY: 3, PROPOSAL_KEY: []}])
def test_missing_metadata_blocks_nothing(tmp_path, metadata):
    path = written(tmp_path, **metadata)
    with h5py.File(path) as file:
        assert text(file, "sample/name") in ("unknown", "7")
        assert text(file, "user/name") == "unknown"
        assert "experiment_identifier" not in file["entry"]
    assert validation(path)[1] == 0
