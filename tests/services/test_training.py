"""`phasecast train xrd`: exact errors before anything is trained, a bundle whole or none, an end with its daemon."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import BundleMismatchError, PhasecastError
from phasecast.profiles import load_profile
from phasecast.records.book import stamp
from phasecast.records.journal import append
from phasecast.records.models import ActiveModel, list_models, set_active
from phasecast.records.status import read_status
from phasecast.services.model_desk import model_to_begin_with
from phasecast.services.training import CANCELLED, TrainOptions, run_training
from phasecast.services.training_labels import checked_labels
from phasecast.xrd.classifier import Classifier
from phasecast.xrd.stages import require_same_columns
from phasecast_models.xrd.bundle import load_bundle
from support.daemon import wait_until

COUNT = 24


@pytest.fixture(scope="module")
def base():
    return load_bundle("bl16xu-rust")


@pytest.fixture(scope="module")
def entries(base):
    """What a person said of patterns of three scans: two oxides by turns, each with its lines."""
    rng, tth_deg = np.random.default_rng(3), base.axis.tth_deg
    said = ["magnetite" if row % 2 else "goethite" for row in range(COUNT)]
    mean = np.full((COUNT, tth_deg.size), 80.0)
    for row, name in enumerate(said):
        for place_deg, height in base.reference_lines[name]:
            mean[row] += 5 * height * np.exp(-(((tth_deg - place_deg) / 0.15) ** 2))
    intensity = rng.poisson(mean).astype(np.float32)
    sigma = np.sqrt(np.maximum(intensity, 1))
    return [
        {
            **stamp(f"r{row}", "A. Sato", 1e9 + row),
            "kind": "label",
            "id": f"r{row}/{row}",
            "raw_uid": f"scan-{row % 3}",
            "result": f"scan-{row % 3}.nxs",
            "result_uid": "x",
            "point": row,
            "x_um": 0.0,
            "y_um": 0.0,
            "classes": [said[row]],
            "confidences": {},
            "model": {},
            "tth_deg": base.axis.tth_deg.tolist(),
            "intensity": intensity[row].tolist(),
            "sigma": sigma[row].tolist(),
        }
        for row in range(COUNT)
    ]


def journal(path, entries):
    append(path, entries)
    return path


def changed(entries, number, **fields):
    return [*entries[:number], {**entries[number], **fields}, *entries[number + 1 :]]


def refused(**options):
    with pytest.raises(PhasecastError) as caught:
        run_training(TrainOptions(**options), say=lambda line: None)
    return str(caught.value)


def test_labels_that_teach_nothing_are_refused_before_anything_is_trained(tmp_path, entries):
    output = tmp_path / "new"

    def said(name, some, **more):
        return refused(output=output, labels=(journal(tmp_path / f"{name}.jsonl", some),), **more)

    assert "no such file" in refused(output=output, labels=(tmp_path / "nowhere.jsonl",))
    (tmp_path / "empty.jsonl").touch()
    assert "there are no labels" in refused(output=output, labels=(tmp_path / "empty.jsonl",))
    (tmp_path / "torn.jsonl").write_text("no label\n")
    assert "1 lines are no labels" in refused(output=output, labels=(tmp_path / "torn.jsonl",))
    assert "so there is nothing to tell apart" in said("one", [{**one, "classes": ["resin"]} for one in entries])
    assert "'gold'" in said("class", changed(entries, 3, classes=["gold"]))
    shifted = (np.array(entries[2]["tth_deg"]) + 1.03).tolist()
    assert "not made of whole bins" in said("axis", changed(entries, 2, tth_deg=shifted))
    assert "have 300, 299 and 300 values" in said("short", changed(entries, 2, intensity=entries[2]["intensity"][1:]))
    another = {**entries[0], "who": "B. Mori", "id": "other/0", "classes": ["other"], "time_s": 2e9}
    contradiction = said("contradiction", [*entries, another])
    assert "A. Sato says" in contradiction
    assert "B. Mori says other" in contradiction
    output.mkdir()
    assert "exists already" in said("fine", entries)


def test_a_later_word_of_one_person_counts_and_the_trusted_person_settles_what_two_see_differently(
    tmp_path, entries, base
):
    changed_mind = {**entries[0], "id": "later/0", "classes": ["resin"], "time_s": 2e9}
    another = {**entries[1], "who": "B. Mori", "id": "other/1", "classes": ["other"], "time_s": 2e9}
    path = journal(tmp_path / "labels.jsonl", [*entries, changed_mind, another])
    checked = checked_labels(None, base, files=[path], trusted="B. Mori")
    assert len(checked.examples) == COUNT
    rows = dict(zip(checked.points, checked.examples.labels, strict=True))
    assert np.flatnonzero(rows["scan-0/0"]).tolist() == [base.classes.index("resin")]
    assert np.flatnonzero(rows["scan-1/1"]).tolist() == [base.classes.index("other")]
    assert set(checked.examples.samples.tolist()) == {"scan-0", "scan-1", "scan-2"}
    fewer = checked_labels(None, base, files=[path], scans=["scan-2"])
    assert set(fewer.examples.samples.tolist()) == {"scan-2"}


def test_a_model_of_another_axis_or_other_classes_takes_no_ones_place(base):
    profile = load_profile("bl16xu")
    now = Classifier(base, profile)
    require_same_columns(now, Classifier(replace(base, version="2"), profile))
    narrower = replace(base, axis=replace(base.axis, tth_min_deg=12.0, tth_max_deg=38.0, bins=260))
    with pytest.raises(BundleMismatchError, match=r"it looks at 12-38 deg in 260 bins, the model in use at"):
        require_same_columns(now, Classifier(narrower, profile))
    with pytest.raises(BundleMismatchError, match="the profile's are"):
        Classifier(replace(base, classes=base.classes[::-1]), profile)
    with pytest.raises(BundleMismatchError, match="integrated and not classified"):
        require_same_columns(None, now)


def test_a_daemon_begins_with_what_was_in_use_here_unless_that_is_damaged_or_another_is_wished_for(tmp_path, base):
    directory, profile = DataDirectory(tmp_path).create(), load_profile("bl16xu")
    assert model_to_begin_with(directory, profile, None) is None
    shipped = resources.files("phasecast_models.xrd").joinpath("bundles", "bl16xu-rust")
    folder = directory.models / "rust-1"
    shutil.copytree(str(shipped), folder)
    chosen = ActiveModel(model="rust-1", sha256=base.sha256, since_s=1e9, who="A. Sato", why="chosen")
    set_active(directory, chosen, request_id="r1")
    assert model_to_begin_with(directory, profile, None) == str(folder)
    assert model_to_begin_with(directory, profile, "elsewhere") == "elsewhere"
    set_active(directory, replace(chosen, sha256="00" * 32), request_id="r2")
    assert model_to_begin_with(directory, profile, None) is None, "another bundle lies there than the one chosen"
    set_active(directory, chosen, request_id="r3")
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert model_to_begin_with(directory, profile, None) is None
    shutil.rmtree(folder)
    assert model_to_begin_with(directory, profile, None) is None


def command(directory, output, *more):
    words = ["train", "xrd", "--data-dir", str(directory.root), "-o", str(output), "--owner", "Sato group", *more]
    return [sys.executable, "-m", "phasecast.cli", *words]


@pytest.mark.slow
def test_a_training_that_is_killed_or_whose_daemon_is_gone_leaves_nothing_on_the_shelf(tmp_path, entries):
    directory = DataDirectory(tmp_path).create()
    journal(directory.labels / "all.jsonl", entries)
    status = directory.status / "training.json"

    def training():
        return (read_status(status) or {}).get("state")

    def under_way(process):
        wait_until(lambda: (read_status(status) or {}).get("pid") == process.pid, "the training", process=process)

    # killed as the kernel kills
    killed = subprocess.Popen(command(directory, directory.models / "rust-1"), stderr=subprocess.PIPE)
    under_way(killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert list_models(directory) == []

    # whoever started it is gone
    orphan = subprocess.Popen(
        command(directory, directory.models / "rust-1", "--while-open"), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    under_way(orphan)
    orphan.stdin.close()
    orphan.stdin = None
    orphan.communicate(timeout=90)
    assert orphan.returncode == CANCELLED
    assert training() == "cancelled"
    assert list_models(directory) == []
    assert not list(directory.models.glob(".rust*"))
