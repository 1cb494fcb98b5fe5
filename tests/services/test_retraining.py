"""Scan, labels, training, swap, re-scored map and the way back, while frames go on arriving."""

import signal
from itertools import pairwise

import numpy as np
import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import BundleMismatchError
from phasecast.core.model_requests import ActivateModel, CancelTraining, Retrain
from phasecast.core.requests import LabelPoints
from phasecast.profiles import load_profile
from phasecast.records.clerk import Clerk
from phasecast.records.mailbox import Mailbox
from phasecast.records.models import list_models, model_before, read_active, read_history
from phasecast.records.status import read_status
from phasecast.results import open_result
from phasecast.simulate.truth import read_truth
from phasecast.xrd.classifier import Classifier
from phasecast_models.xrd.axis import CLASSES
from phasecast_models.xrd.bundle import load_bundle
from support.daemon import beamline, done_in, wait_until

ROWS, COLUMNS = 12, 20
POINTS = ROWS * COLUMNS
WHO = "A. Sato"


def trained(number):
    """Key of the bundle that the daemon trains as the first, second ... after the shipped one."""
    return f"bl16xu-rust-{int(load_bundle('bl16xu-rust').version) + number}"


class Beamtime:
    """What people and their page do, beside a daemon and a beamline that pauses before its scan is over."""

    def __init__(self, setup):
        self.setup = setup
        self.daemon = setup.start_daemon()
        self.directory = DataDirectory(setup.data_dir)
        self.mailbox = Mailbox(self.directory.requests)
        self.clerk = Clerk(self.directory)
        self.paused = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.go_on()  # a process that is paused does not end either
        self.clerk.close()

    def wait(self, condition, what):
        def looked():
            # on a slow machine the scan must not be over before what it is there for
            if not self.paused and done_in(self.setup.status) > 0.85 * POINTS:
                self.pause()
            self.clerk.step()
            return condition()

        return wait_until(looked, what, process=self.daemon)

    def pause(self):
        self.setup.processes[0].send_signal(signal.SIGSTOP)
        self.paused = True

    def go_on(self):
        self.setup.processes[0].send_signal(signal.SIGCONT)
        self.paused = False

    def ask(self, request):
        asked = self.mailbox.submit(request)
        return self.wait(lambda: self.mailbox.answer(asked), f"the answer to {request.kind}")

    @property
    def training(self):
        return read_status(self.directory.status / "training.json") or {}

    @property
    def models(self):
        return self.setup.status["models"]

    def settled(self):
        """Whether the newest model was asked about all points."""
        with open_result(self.path) as result:
            made_by = result.model_of_points[result.done]
            return made_by.size > 0 and (made_by == made_by.max()).all() and not self.models["rescoring"]["left"]

    @property
    def path(self):
        (path,) = self.setup.results
        return path

    def label(self, truth):
        """Label points as an analyst would, six of each of two groups."""
        with open_result(self.path) as result:
            done = np.flatnonzero(result.done)
            uid = result.header.raw_uid
        said = {}
        for row in done.tolist():
            said.setdefault(tuple(np.array(CLASSES)[truth.labels[row] > 0].tolist()), []).append(row)
        groups = sorted(said.items(), key=lambda item: -len(item[1]))[:3]
        for classes, rows in groups:
            found = self.ask(
                LabelPoints(scan_raw_uid=uid, result=self.path.name, points=tuple(rows[:8]), classes=classes, who=WHO)
            )
            assert found.ok, found.detail
        return sum(min(8, len(rows)) for _, rows in groups)


def numbers_of_models(result):
    return [(model.stamp.version, model.stamp.owner) for model in result.models]


@pytest.mark.slow
def test_a_model_learns_from_labels_of_the_running_scan_and_the_map_is_scored_anew(tmp_path):
    with beamline(tmp_path, shape=f"{ROWS}x{COLUMNS}", rate=20.0) as setup, Beamtime(setup) as time_of:
        setup.begin()
        directory = time_of.directory
        refused = time_of.ask(Retrain(who=WHO, effort="quick"))
        assert not refused.ok
        assert "there are no labels" in refused.detail
        time_of.wait(lambda: done_in(setup.status) >= 60, "60 points")
        labels = time_of.label(read_truth(setup.truth))

        begun = time_of.ask(Retrain(who=WHO, owner="Sato group", effort="quick"))
        assert begun.ok, begun.detail
        assert begun.values["labels"] == labels
        frames = setup.status["scans"][0]["frames"]
        again = time_of.ask(Retrain(who=WHO, effort="quick"))
        assert not again.ok, "one training at a time"
        time_of.wait(lambda: (read_active(directory) or 0) != 0, "the new model in use")
        (model,) = list_models(directory)
        assert read_active(directory).model == model.key == trained(1)
        assert model.owner == "Sato group"
        assert not model.damage
        assert load_bundle(model.folder).neighbours is not None, "as its base has"
        time_of.wait(lambda: setup.status["model"]["owner"] == "Sato group", "the status")
        time_of.wait(time_of.settled, "the map scored anew")
        assert setup.status["scans"][0]["frames"] > frames, "frames came while the model learned"
        with open_result(time_of.path) as result:
            assert [owner for _, owner in numbers_of_models(result)] == ["", "Sato group"]
            assert result.models[1].stamp.sha256 == model.sha256
            relearned = result.confidences.to_numpy()[result.done]
            its_drift = result.column("drift").to_numpy()[result.done]

        back = time_of.ask(ActivateModel(model="bl16xu-rust", who="B. Mori"))
        assert back.ok, back.detail
        time_of.wait(lambda: read_active(directory).who == "B. Mori", "the way back written down")
        assert model_before(directory) == model.key
        time_of.wait(time_of.settled, "the map scored as before")
        with open_result(time_of.path) as result:
            assert set(result.model_of_points[result.done].tolist()) == {0}
            before = result.confidences.to_numpy()[: len(relearned)]
            assert np.abs(before - relearned[: len(before)]).max() > 1e-4, "the two models differ"
            drift = result.column("drift").to_numpy()[: len(its_drift)]
            assert np.isfinite(drift).all()
            assert np.abs(drift - its_drift[: len(drift)]).max() > 1e-4, "and in what they find strange"

        # weights that are not those of the card are not taken
        weights = model.folder / "weights.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1] + b"?")
        damaged = time_of.ask(ActivateModel(model=model.key, who="B. Mori"))
        assert not damaged.ok
        assert "sha256" in damaged.detail
        assert not time_of.ask(ActivateModel(model="no-such-model", who="B. Mori")).ok

        # a training that is stopped half way leaves the model in use, and nothing half made on the shelf
        begun = time_of.ask(Retrain(who=WHO, effort="full"))
        assert begun.ok, begun.detail
        time_of.wait(lambda: time_of.training.get("state") == "running", "the second training")
        cancelled = time_of.ask(CancelTraining(who="B. Mori"))
        assert cancelled.ok, cancelled.detail
        time_of.wait(lambda: read_history(directory)[-1].what == "cancelled", "the cancelled training")
        assert [one.key for one in list_models(directory)] == [model.key]
        weights.write_bytes(whole)
        assert not list(directory.models.glob(".*.tmp"))

        time_of.go_on()
        wait_until(lambda: setup.status.get("finished_scans") == 1, "the finished scan", process=time_of.daemon)
        setup.end()
    events = [(event.what, event.model, event.who) for event in read_history(directory)]
    assert events == [
        ("failed", "", WHO),
        ("trained", model.key, WHO),
        ("in_use", model.key, WHO),
        ("in_use", "bl16xu-rust", "B. Mori"),
        ("refused", model.key, "B. Mori"),
        ("cancelled", trained(2), WHO),
    ]
    with open_result(time_of.path) as result:
        assert result.ledger_sums["done"] == POINTS, "no frame was lost"
        assert result.is_closed
        assert set(result.model_of_points.tolist()) == {0}
        assert np.isfinite(result.confidences.to_numpy()).all()
        assert result.ledger["revision"].to_numpy()[:30].min() >= 2, "scored, scored anew, and scored as before"
        since = [model.since_s for model in result.models]
        assert all(earlier < later for earlier, later in pairwise(since))
    profile = load_profile("bl16xu").model_copy(update={"default_bundle": str(model.folder)})
    with pytest.raises(BundleMismatchError, match="nobody's default"):
        Classifier.from_profile(profile)
    assert Classifier.from_profile(profile, str(model.folder)).stamp.owner == "Sato group"
