"""Monitors from the profile to the file: no beam, transmission, normalised and subtracted patterns."""

import signal
from dataclasses import replace

import fabio
import h5py
import numpy as np
import pytest

from phasecast.core.errors import ProfileError
from phasecast.core.ledger import PointFlag, PointState
from phasecast.core.scan import PointMeasured
from phasecast.pipeline.beam_columns import BeamColumns, EmptyBeam
from phasecast.profiles import EmptyFrame, list_profiles, load_profile
from phasecast.results import layout, open_result
from phasecast.results.follow import ResultFollower
from phasecast.services.derived_runs import find_results
from phasecast.services.monitors import beam_columns
from phasecast.xrd.integrator import Integrator
from support.beam_scans import BINS, POINTS, BeamScan, confidences_of, reduced
from support.daemon import beamline, done_in, wait_until
from support.nexus import validation

DARK = range(10, 15)


def profile_with(**monitors):
    """The rust beamline with other monitors."""
    profile = load_profile("bl16xu")
    return profile.model_copy(update={"monitors": type(profile.monitors)(**monitors)})


I0 = {"i0_field": "i0"}
I0_I1 = {"named": [{"name": "i0", "field": "i0", "role": "i0", "offset": 100.0},
                   {"name": "diode", "field": "i1", "unit": "A", "role": "i1", "offset": 0.5}]}  # fmt: skip


def flux(dark=DARK, *, level=1e6):
    return [{"i0": 100.0 + index if index in dark else level * (1 + 0.001 * index)} for index in range(POINTS)]


def file_of(scan, tmp_path, name="scan.nxs", **how):
    path = tmp_path / name
    fold = scan.run(path, how.pop("messages", scan.messages()), **how)
    return path, fold


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dark", [DARK, range(5), range(12, POINTS), (0, 7, 31)], ids=str)
def test_points_without_beam_are_rejected_and_hold_no_confidence_in_whatever_order_they_came(tmp_path, seed, dark):
    scan = BeamScan(profile_with(**I0), flux(dark))
    messages = scan.messages(seed=None if seed == 0 else seed)
    path, fold = file_of(scan, tmp_path, messages=messages, turns=None if seed % 2 else seed)
    with open_result(path) as result:
        state, reason = result.ledger["state"].values, result.ledger["reason"].values
        assert [int(index) for index in np.flatnonzero(state == PointState.REJECTED)] == list(dark)
        assert set(reason[state == PointState.REJECTED]) == {"no beam"}
        assert result.ledger_sums["done"] == POINTS - len(dark)
        assert sum(result.ledger_sums.values()) == POINTS
        assert result.counters["counters"]["no_beam_points"] == len(dark)
        assert result.counters["ledger"] == result.ledger_sums
    with h5py.File(path) as file:  # what a reader sees who knows nothing of ledgers
        kept = file[layout.CONFIDENCES][...]
        done = np.setdiff1d(np.arange(POINTS), list(dark))
        assert np.isnan(kept[list(dark)]).all()
        assert np.array_equal(kept[done], [confidences_of(index) for index in done])
        patterns = file[layout.INTENSITY_PATH][...]
        assert np.array_equal(patterns, [reduced(index).columns["intensity"] for index in range(POINTS)])
    assert fold.beam.usual_i0 == np.median([s["i0"] for k, s in enumerate(scan.scalars) if k not in dark])


@pytest.mark.parametrize("seed", range(6))
def test_monitors_that_frames_state_count_as_those_of_events_and_never_against_them(tmp_path, seed):
    """The flux in sidecars, the diode in events; one sidecar contradicts its event, which then holds."""
    profile = profile_with(**I0_I1, empty_ratio=1.6e-6)
    both = [{"i0": one["i0"], "i1": 0.5 + 1e-6 * index} for index, one in enumerate(flux())]
    path, _ = file_of(BeamScan(profile, both), tmp_path, "events.nxs")
    events = [{"i1": one["i1"]} for one in both]
    scan = BeamScan(profile, events)
    messages = [
        item if isinstance(item, PointMeasured)
        else replace(item, scalars={"i0": both[item.number]["i0"], "i1": 7.0, "angle": 3.0})
        for item in scan.messages(seed or None)
    ]  # fmt: skip
    other, _ = file_of(scan, tmp_path, "sidecars.nxs", messages=messages, turns=seed)
    with h5py.File(path) as one, h5py.File(other) as two:
        for name in ("scalars/i0", "scalars/diode", "scalars/transmission", "state", "flags", "reason"):
            values = one[f"/entry/ledger/{name}"][...], two[f"/entry/ledger/{name}"][...]
            assert np.array_equal(*values, equal_nan=values[0].dtype.kind == "f"), name
        assert np.array_equal(one[layout.CONFIDENCES][...], two[layout.CONFIDENCES][...], equal_nan=True)


def test_points_without_beam_are_named_with_how_little_there_was(tmp_path):
    path, _ = file_of(BeamScan(profile_with(**I0), flux((3, *DARK))), tmp_path)
    with open_result(path) as result:
        said = list(result.defects["detail"].values[result.defects["reason"].values == "no beam"])
    assert [line.partition(":")[0] for line in said] == ["point 3", "points 10 to 14"]
    assert "0.011 % of the usual" in said[1]


def test_who_follows_the_growing_file_loses_the_confidence_of_a_point_that_turns_out_dark(tmp_path):
    scan = BeamScan(profile_with(**I0), flux(range(5)))
    path, _ = file_of(scan, tmp_path, messages=scan.messages()[:10], stop=False)
    follower = ResultFollower(path)
    assert follower.ledger_sums["done"] == 5
    assert np.isfinite(follower.confidence[:5]).all(), "nothing says yet that there is no beam"
    follower.close()
    (left,), _ = find_results(tmp_path)
    scan.run(path, scan.messages()[:14], left=left, stop=False)
    follower = ResultFollower(path)
    assert follower.ledger_sums["rejected"] == 5
    assert np.isnan(follower.confidence[:5]).all()
    follower.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_daemon_that_was_stopped_in_between_ends_with_the_same_file(tmp_path, seed):
    scan = BeamScan(profile_with(**I0), [*flux(range(5))[:20], {"i0": 4e6}, *flux(range(5))[21:]])
    messages = scan.messages(seed or None)
    whole, _ = file_of(scan, tmp_path, "whole.nxs", messages=messages)
    folder = tmp_path / "parts"
    folder.mkdir()
    path = folder / "scan.nxs"
    scan.run(path, messages[: 8 * (seed + 1) - 1], stop=False, turns=seed)
    (left,), _ = find_results(folder)
    scan.run(path, messages, left=left, turns=seed)
    with h5py.File(whole) as one, h5py.File(path) as other:
        for name in (layout.CONFIDENCES, layout.INTENSITY_PATH, "/entry/ledger/state", "/entry/ledger/flags"):
            assert np.array_equal(one[name][...], other[name][...], equal_nan=True), name


def test_a_withdrawal_that_was_never_committed_costs_no_confidence(tmp_path):
    scan = BeamScan(profile_with(**I0), flux(()))
    path, _ = file_of(scan, tmp_path, messages=scan.messages()[:20], stop=False)
    with h5py.File(path, "r+") as file:
        file[layout.CONFIDENCES][4] = np.nan
    (left,), _ = find_results(tmp_path)
    scan.run(path, scan.messages(), left=left)
    with h5py.File(path) as file:
        assert np.array_equal(file[layout.CONFIDENCES][...], [confidences_of(index) for index in range(POINTS)])


def test_without_i0_nothing_is_rejected_and_the_file_says_that_nothing_is_normalised(tmp_path):
    path, _ = file_of(BeamScan(profile_with(), flux()), tmp_path)
    with open_result(path) as result:
        assert result.ledger_sums["done"] == POINTS
        assert result.flag_sums["not_normalised"] == POINTS
        assert "not normalised" in result.file["entry/data/I"].attrs["normalisation"]
        assert "monitor" not in result.file["entry"]


def test_raw_counts_stay_and_normalised_patterns_are_kept_beside_them(tmp_path):
    profile = profile_with(**I0_I1, i0_reference=2e6)
    scalars = [{"i0": 1e6 + 1000 * k + 100, "i1": 0.5 + 0.1 * k} for k in range(POINTS)]
    del scalars[4]["i0"]
    columns = BeamColumns(bins=BINS, i0_reference=2e6, i0_text="(i0 - 100)")
    path, _ = file_of(BeamScan(profile, scalars, columns), tmp_path)
    with h5py.File(path) as file:
        raw = file["entry/ledger/scalars/i0"]
        assert raw.attrs["units"] == "counts"
        assert raw[0] == 1_000_100
        assert file["entry/ledger/scalars/diode"].attrs["units"] == "A"
        assert "100 without beam" in raw.attrs["description"]
        assert file["entry/monitor/data"] == raw
        normalised = file["entry/reduction/columns/intensity_normalised"]
        assert normalised.attrs["formula"] == "intensity * 2e+06 / (i0 - 100)"
        assert normalised.attrs["units"]
        k = np.arange(POINTS)[:, None]
        expected = file["entry/data/I"][...] * 2e6 / (1e6 + 1000 * k)
        expected[4] = np.nan
        assert normalised[...] == pytest.approx(expected, rel=1e-6, nan_ok=True)
    with open_result(path) as result:
        flags = result.ledger["flags"].values
        assert list(np.flatnonzero(flags & PointFlag.NOT_NORMALISED)) == [4]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("empty", [{"empty_ratio": 1.6e-6}, {"empty_point": 6}], ids=["declared", "measured"])
def test_transmission_is_the_ratio_of_the_chambers_over_that_of_the_empty_beam(tmp_path, empty, seed):
    true = np.linspace(0.26, 1.0, POINTS)
    true[6] = 1.0
    flux_at = 1e6 * (1 - 0.002 * np.arange(POINTS))
    scalars = [
        {"i0": 100 + i0, "i1": 0.5 + 1.6e-6 * i0 * t} for i0, t in zip(flux_at.tolist(), true.tolist(), strict=True)
    ]
    del scalars[9]["i1"]
    scan = BeamScan(profile_with(**I0_I1, **empty), scalars)
    path, _ = file_of(scan, tmp_path, messages=scan.messages(seed or None))
    with open_result(path) as result:
        found = result.ledger["transmission"].values
        column = result.file["entry/ledger/scalars/transmission"]
        assert column.attrs["formula"].startswith("((diode - 0.5) / (i0 - 100)) / (")
    true[9] = np.nan
    assert found == pytest.approx(true, rel=1e-9, nan_ok=True)


def test_an_empty_point_without_light_is_named_and_gives_no_transmission(tmp_path):
    scalars = [{"i0": 1e6, "i1": 0.8} for _ in range(POINTS)]
    scalars[0] = {"i0": 1e6}
    path, _ = file_of(BeamScan(profile_with(**I0_I1, empty_point=0), scalars), tmp_path)
    with open_result(path) as result:
        assert np.isnan(result.ledger["transmission"].values).all()
        assert "point 0" in str(result.defects["detail"].values[0])


def test_the_empty_beam_is_subtracted_with_its_variance_where_flux_and_transmission_are_known(tmp_path):
    profile = profile_with(i0_field="i0", transmission_field="t")
    corrections = profile.corrections.model_copy(update={"empty_frame": _empty_frame("empty.cbf", 2e6)})
    profile = profile.model_copy(update={"corrections": corrections})
    scalars = [{"i0": 1e6, "t": 0.5} for _ in range(POINTS)]
    del scalars[3]["i0"]
    del scalars[4]["t"]
    empty = EmptyBeam(intensity=np.linspace(20, 40, BINS), sigma=np.linspace(1, 2, BINS))
    path, _ = file_of(BeamScan(profile, scalars, BeamColumns(bins=BINS, i0_reference=1.0, empty=empty)), tmp_path)
    unknown = [3, 4]
    with open_result(path) as result:
        assert list(np.flatnonzero(result.ledger["flags"].values & PointFlag.EMPTY_NOT_SUBTRACTED)) == unknown
        intensity, sigma = result.patterns.values, result.sigma.values
        without, error = result.column("intensity_subtracted").values, result.column("sigma_subtracted").values
    assert np.isnan(without[unknown]).all()
    assert np.isnan(error[unknown]).all()
    known = [index for index in range(POINTS) if index not in unknown]
    scale = 1e6 / 2e6 * 0.5
    assert without[known] == pytest.approx(intensity[known] - scale * empty.intensity, rel=1e-6)
    assert error[known] ** 2 == pytest.approx(sigma[known] ** 2 + scale**2 * empty.sigma**2, rel=1e-5)


def test_what_is_left_of_simulated_counts_scatters_about_the_sample_as_its_sigma_says(tmp_path):
    """Frames of sample and air, and of air alone, with Poisson noise: the sample comes back within its sigma."""
    rng = np.random.default_rng(5)
    shape = (195, 487)
    air = 4.0 + 30.0 * np.exp(-np.arange(shape[1]) / 150.0) * np.ones(shape)
    sample, flux_ratio, transmission = 12.0, 0.7, 0.4
    fabio.edfimage.EdfImage(data=rng.poisson(air).astype(np.int32)).write(tmp_path / "empty.edf")
    profile = _with_empty_frame(tmp_path / "empty.edf", 1e6)
    integrator = Integrator.from_profile(profile, device="cpu", measure_spots=False)
    columns = beam_columns(profile, integrator)
    frame = rng.poisson(flux_ratio * (transmission * air + sample)).astype(np.int32)
    clean = np.rint(1000 * flux_ratio * sample * np.ones(shape)).astype(np.int32)
    patterns, truth = integrator.integrate(frame), integrator.integrate(clean).intensity[0] / 1000
    point = type(reduced(0))(columns={"intensity": patterns.intensity[0], "sigma": patterns.sigma[0]})

    class Beam:
        def i0(self, index):
            return 0.7e6

        def empty_scale(self, index):
            return flux_ratio * transmission

    found = columns.compute([(0, point)], Beam())
    rest = (found["intensity_subtracted"][0] - truth) / found["sigma_subtracted"][0]
    rest = rest[np.isfinite(rest)]
    assert rest.size > 500
    assert abs(rest.mean()) < 4 / np.sqrt(rest.size)
    assert 0.85 < rest.std() < 1.1, "pixels shared by neighbouring bins make the scatter a little smaller than sigma"


def test_a_frame_of_the_empty_beam_that_cannot_be_read_is_refused_with_its_name(tmp_path):
    profile = _with_empty_frame(tmp_path / "empty.cbf", 1e6)
    integrator = Integrator.from_profile(profile, device="cpu", measure_spots=False)
    with pytest.raises(ProfileError, match=r"empty\.cbf.*No such file"):
        beam_columns(profile, integrator)


def _with_empty_frame(path, i0):
    profile = profile_with(i0_field="i0", transmission_field="t")
    corrections = profile.corrections.model_copy(update={"empty_frame": _empty_frame(str(path), i0)})
    return profile.model_copy(update={"corrections": corrections})


def _empty_frame(file, i0):
    return EmptyFrame(file=file, i0=i0)


@pytest.mark.slow
def test_a_dead_beam_at_the_start_a_killed_daemon_and_an_empty_frame_end_in_one_whole_file(tmp_path):
    """Real sockets, a profile of one's own, and a daemon killed while the first points still count as done."""
    image = np.random.default_rng(3).poisson(5.0, (195, 487)).astype(np.int32)
    fabio.edfimage.EdfImage(data=image).write(tmp_path / "empty.edf")
    text = list_profiles()["bl16xu"].read_text(encoding="utf-8")
    text = text.replace('transmission_field = "transmission"\n', "")
    text = text.replace("[axis]", 'empty_frame = { file = "empty.edf", i0 = 1e6, i1 = 8e5 }\n\n[axis]')
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    with beamline(tmp_path, shape="6x10", rate=10.0, arguments=("--fault", "dump=0-9")) as setup:
        daemon = setup.start_daemon(profile=str(tmp_path / "own.toml"))
        setup.begin()
        wait_until(lambda: done_in(setup.status) >= 5, "5 points", process=daemon)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        next_one = setup.start_daemon("--once", "--close-after-idle-s", "5", profile=str(tmp_path / "own.toml"))
        assert next_one.wait(90) == 0, (tmp_path / "daemon.log").read_text()
    (path,) = setup.results
    assert validation(path)[1] == 0
    with open_result(path) as result:
        state, scalars = result.ledger["state"].values, result.ledger
        measured = np.isfinite(scalars["i0"].values)
        dark = measured & (np.arange(60) < 10)
        assert dark.sum() >= 5
        assert np.array_equal(np.flatnonzero(state == PointState.REJECTED), np.flatnonzero(dark))
        assert sum(result.ledger_sums.values()) == 60
        found = result.file[layout.CONFIDENCES][...]
        assert np.isnan(found[~result.done]).all()
        assert np.isfinite(found[result.done]).all()
        i0, i1 = scalars["i0"].values[measured], scalars["i1"].values[measured]
        assert scalars["transmission"].values[measured] == pytest.approx(i1 / i0 / 0.8)
        assert np.isfinite(result.column("intensity_subtracted").values[result.done]).any(axis=1).all()
        assert result.flag_sums["empty_not_subtracted"] == 0
