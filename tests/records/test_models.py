"""The shelf of models: read without the program that made them, and honest about what cannot be used."""

import hashlib
import json

import pytest
import tomli_w

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import RecordsError, RequestError
from phasecast.core.model_requests import ActivateModel, CancelTraining, Retrain
from phasecast.records.letter import parse_request, to_jsonable
from phasecast.records.models import (
    ActiveModel,
    find_model,
    list_models,
    model_before,
    next_version,
    note_event,
    read_active,
    read_history,
    set_active,
    shelf_key,
)


@pytest.fixture
def directory(tmp_path):
    return DataDirectory(tmp_path).create()


def put(directory, name, version, *, weights=b"weights", owner=""):
    folder = directory.models / shelf_key(name, version)
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(weights)
    card = {"name": name, "version": version, "sha256": hashlib.sha256(weights).hexdigest(), "owner": owner}
    (folder / "model.toml").write_text(tomli_w.dumps({**card, "calibrated_on": "simulation and 21 labels"}))
    return folder


def test_a_shelf_lists_its_bundles_and_names_the_damage(directory):
    assert list_models(directory) == []
    put(directory, "rust", "1", owner="Sato group")
    damaged = put(directory, "rust", "2")
    (damaged / "weights.safetensors").write_bytes(b"other weights")
    (directory.models / "nonsense").mkdir()
    (directory.models / ".rust-3-half.tmp").mkdir()
    sound, broken, nonsense = sorted(list_models(directory), key=lambda model: (not model.name, model.key))
    assert (sound.key, sound.owner, sound.calibrated_on) == ("rust-1", "Sato group", "simulation and 21 labels")
    assert not sound.damage
    assert "sha256" in broken.damage
    assert str(damaged) in broken.damage
    assert "not a readable bundle" in nonsense.damage
    assert next_version(directory, "rust") == "3"
    assert find_model(directory, "rust-1") == sound
    for key in ("", "../rust-1", ".rust-3-half.tmp", "active.json"):
        assert find_model(directory, key) is None


def test_who_put_which_model_to_use_and_the_way_back(directory):
    assert read_active(directory) is None
    assert model_before(directory) == ""
    for number, (key, who) in enumerate([("rust-1", "A"), ("rust-2", "B"), ("rust-2", "B"), ("shipped", "C")]):
        active = ActiveModel(model=key, sha256="ab", since_s=float(number), who=who, why="chosen")
        set_active(directory, active, request_id=f"r{number}")
    note_event(directory, "refused", "rust-9", who="D", request_id="r9", detail="damaged")
    assert read_active(directory) == active
    assert model_before(directory) == "rust-2"
    assert [(event.what, event.model, event.who) for event in read_history(directory)] == [
        ("in_use", "rust-1", "A"),
        ("in_use", "rust-2", "B"),
        ("in_use", "rust-2", "B"),
        ("in_use", "shipped", "C"),
        ("refused", "rust-9", "D"),
    ]
    (directory.models / "active.json").write_text("{")
    with pytest.raises(RecordsError, match="cannot tell which model is in use"):
        read_active(directory)


@pytest.mark.parametrize(
    "request_",
    [
        Retrain(who="森", scans=("a", "b"), trusted="A. Sato", effort="quick", owner="組", note="x"),
        Retrain(who="M"),
        CancelTraining(who="M"),
        ActivateModel(model="rust-1", who="M"),
    ],
)
def test_requests_come_back_as_they_were_sent(request_):

    content = json.dumps({"schema_version": 1, "request": to_jsonable(request_), "answer": None})
    assert parse_request(content.encode()) == request_


@pytest.mark.parametrize("bad", ["", "../x", "a/b", ".hidden", "x" * 200, "line\nbreak"])
def test_models_are_named_as_folders_are(bad):
    with pytest.raises(RequestError):
        ActivateModel(model=bad, who="M")


def test_a_retraining_names_each_scan_once():
    with pytest.raises(RequestError):
        Retrain(who="M", scans=("a", "a"))
