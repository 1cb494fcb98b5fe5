"""What the model cannot be asked about bears no class: rejected, or integrated and not classified."""

import shutil
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phasecast.core.frame import Frame, FrameId, FrameReference
from phasecast.core.ledger import PointFlag
from phasecast.core.protocols import Reduced, Rejection
from phasecast.profiles import load_profile
from phasecast.services.offline import classify_files
from phasecast.services.xrd_stage import build_stage
from phasecast.xrd.classifier import Classifier, OutsideModelError
from phasecast.xrd.stages import NO_PATTERN
from phasecast_models.xrd.drift import fit_drift
from phasecast_models.xrd.features import features, prepare

SHAPE = (195, 487)


def frame(number: int, image: NDArray[np.int32]) -> Frame:
    return Frame(
        frame_id=FrameId(f"f/{number}"),
        series="f",
        number=number,
        image=image,
        keys=(),
        received_s=0.0,
        scalars={},
        reference=FrameReference(store="file", path=f"f{number}", offset=0, number=number),
    )


def test_a_frame_without_any_count_is_rejected_and_costs_its_neighbours_nothing() -> None:
    stage = build_stage(load_profile("bl16xu"), device="cpu")
    bright = np.random.default_rng(0).poisson(40.0, SHAPE).astype(np.int32)
    dark, nearly_dark = np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.int32)
    nearly_dark[::40, ::40] = 1
    first, rejected, few, last = stage.process(
        [frame(place, image) for place, image in enumerate((bright, dark, nearly_dark, bright))]
    )
    assert isinstance(rejected, Rejection)
    assert rejected.reason == NO_PATTERN
    assert "frame f/1" in rejected.detail
    assert isinstance(first, Reduced)
    assert isinstance(last, Reduced)
    assert np.array_equal(first.columns["confidences"], last.columns["confidences"])
    assert isinstance(few, Reduced)
    assert not few.flags & PointFlag.NOT_CLASSIFIED
    assert few.columns["confidences"].max() < 0.9


def test_without_a_model_a_frame_without_counts_is_a_pattern_like_any_other() -> None:
    stage = build_stage(load_profile("bl16xu"), device="cpu", classify=False)
    (outcome,) = stage.process([frame(0, np.zeros(SHAPE, np.int32))])
    assert isinstance(outcome, Reduced)
    assert not outcome.columns["intensity"].any()


@pytest.fixture(scope="module")
def bundle_for_low_thresholds(tmp_path_factory: pytest.TempPathFactory) -> str:
    shipped = Path(str(resources.files("phasecast_models.xrd").joinpath("bundles", "bl16xu-rust")))
    folder = Path(shutil.copytree(shipped, tmp_path_factory.mktemp("bundle") / "low"))
    card = folder / "model.toml"
    text = card.read_text()
    if "[valid]" in text:
        head, _, rest = text.partition("[valid]")
        text = head + rest[rest.index("\n[") + 1 :]
    valid = "[valid]\nenergy_kev = 10.0\ntth_min_deg = 10.0\ntth_max_deg = 40.0\nthreshold_kev = [4.0, 6.0]\n\n"
    card.write_text(text.replace("[axis]", valid + "[axis]", 1))
    return str(folder)


def test_a_threshold_outside_the_model_is_integrated_and_not_classified(bundle_for_low_thresholds: str) -> None:
    profile = load_profile("bl16xu")

    def behind(threshold_kev: float | None) -> Classifier | None:
        detector = profile.detector.model_copy(update={"threshold_kev": threshold_kev})
        return Classifier.from_profile(profile.model_copy(update={"detector": detector}), bundle_for_low_thresholds)

    assert behind(5.0) is not None
    assert behind(None) is not None
    with pytest.raises(OutsideModelError, match=r"thresholds of 4-6 keV, the profile states 8 keV"):
        behind(8.0)
    detector = profile.detector.model_copy(update={"threshold_kev": 8.0})
    stage = build_stage(
        profile.model_copy(update={"detector": detector}), model=bundle_for_low_thresholds, device="cpu"
    )
    bright = np.random.default_rng(0).poisson(40.0, SHAPE).astype(np.int32)
    (outcome,) = stage.process([frame(0, bright)])
    assert isinstance(outcome, Reduced)
    assert outcome.flags & PointFlag.NOT_CLASSIFIED
    assert "thresholds of 4-6 keV" in outcome.note
    assert outcome.columns["intensity"].any()


def test_a_file_without_a_pattern_is_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "nothing.xy"
    angles = 10.05 + 0.1 * np.arange(300)
    np.savetxt(path, np.column_stack([angles, np.zeros(300)]))
    (report,) = classify_files([path], profile="bl16xu", model=None, wavelength_angstrom=None, poni=None, device="cpu")
    assert report.error is not None
    assert NO_PATTERN in report.error


def test_a_pattern_says_how_strange_it_is_to_the_model_where_the_model_can_tell() -> None:
    stage = build_stage(load_profile("bl16xu"), device="cpu")
    classifier = stage.classifier
    assert classifier is not None
    rng = np.random.default_rng(0)
    usual = [frame(number, rng.poisson(40.0, SHAPE).astype(np.int32)) for number in range(2)]
    dim = frame(2, np.zeros(SHAPE, np.int32))
    dim.image[::40, ::40] = 1
    classifier.bundle = replace(classifier.bundle, drift_limits=None)
    (unknown,) = stage.process(usual[:1])
    assert isinstance(unknown, Reduced)
    assert np.isnan(unknown.columns["drift"])
    patterns = rng.poisson(rng.uniform(200, 400, (60, 1)) * np.ones(classifier.axis.bins)).astype(np.float32)
    inputs = features(prepare(patterns, None, classifier.bundle.axis), classifier.bundle.axis)
    activations = classifier.bundle.network.hidden_layer(torch.from_numpy(inputs)).detach().numpy()
    classifier.bundle = replace(classifier.bundle, drift_limits=fit_drift(activations))
    together = stage.process([*usual, dim])
    (alone,) = stage.process(usual[1:])
    assert all(isinstance(outcome, Reduced) for outcome in (*together, alone))
    drifts = [float(outcome.columns["drift"]) for outcome in together]  # type: ignore[union-attr]
    assert np.isfinite(drifts[:2]).all()
    assert drifts[1] == float(alone.columns["drift"]), "whatever else is in the call"  # type: ignore[union-attr]
    assert np.isnan(drifts[2]), "too few counts to tell"
