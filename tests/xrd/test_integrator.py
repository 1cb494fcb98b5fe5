"""Integration equals pyFAI's integrate1d, frame by frame, with everything that corrects a frame."""

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phasecast.core.errors import FrameError
from phasecast.profiles import PatternAxis, Profile, load_profile
from phasecast.xrd.corrections import PixelCorrections
from phasecast.xrd.device import choose_device
from phasecast.xrd.geometry import DetectorGeometry, geometry_from_profile
from phasecast.xrd.integrator import Integrator

SHAPE = (195, 487)
FINE, COARSE, ODD = PatternAxis(), PatternAxis(bins=300), PatternAxis(tth_min_deg=12.3, tth_max_deg=37.7, bins=211)
LIMIT = 2**20 - 1


def _profile(**corrections: Any) -> Profile:
    profile = load_profile("bl16xu")
    return profile.model_copy(update={"corrections": profile.corrections.model_copy(update=corrections)})


def _integrator(
    profile: Profile,
    geometry: DetectorGeometry | None = None,
    pixels: PixelCorrections | None = None,
    axes: tuple[PatternAxis, ...] = (FINE, COARSE, ODD),
) -> Integrator:
    return Integrator(
        profile=profile,
        geometry=geometry or geometry_from_profile(profile),
        axes=axes,
        chosen=choose_device("cpu"),
        pixels=pixels or PixelCorrections(),
    )


@functools.cache
def _plain_integrator() -> Integrator:
    """The profile's own, which no frame changes: making its matrices takes longer than most tests."""
    return _integrator(load_profile("bl16xu"))


def _random_geometry(rng: np.random.Generator) -> DetectorGeometry:
    return replace(
        geometry_from_profile(load_profile("bl16xu")),
        distance_mm=float(rng.uniform(120, 300)),
        poni1_mm=float(rng.uniform(-5, 40)),
        poni2_mm=float(rng.uniform(20, 60)),
        rot1_deg=float(rng.uniform(18, 32)),
        rot2_deg=float(rng.uniform(-8, 8)),
        rot3_deg=float(rng.uniform(-30, 30)),
    )


def _random_frame(rng: np.random.Generator) -> NDArray[np.int32]:
    """Counts over six decades, with gaps, bad and saturated pixels."""
    frame = rng.poisson(10 ** rng.uniform(-2, 4) * rng.gamma(0.5, 2.0, SHAPE)).astype(np.int32)
    frame[rng.random(SHAPE) < 0.01] = rng.integers(-2, 0)
    frame[rng.random(SHAPE) < 0.002] = LIMIT
    frame[rng.random(SHAPE) < 0.001] = LIMIT - 1
    frame[rng.integers(150) :, : rng.integers(20, 400)] = -1
    return frame


def _assert_equal_to_pyfai(
    integrator: Integrator, profile: Profile, geometry: DetectorGeometry, pixels: PixelCorrections, frame: NDArray[Any]
) -> None:
    patterns = integrator.integrate(frame, geometry=geometry)
    mask = (frame < 0) | (frame >= LIMIT)
    if pixels.mask is not None:
        mask |= pixels.mask
    for ours in patterns.axes:
        theirs = geometry.pyfai().integrate1d(
            frame,
            ours.axis.bins,
            unit="2th_deg",
            radial_range=(ours.axis.tth_min_deg, ours.axis.tth_max_deg),
            method=(profile.corrections.pixel_splitting, "csr", "cython"),
            error_model="poisson",
            mask=mask,
            flat=pixels.flat,
            dark=pixels.dark,
            polarization_factor=profile.image_polarisation_factor,
            correctSolidAngle=profile.corrections.solid_angle,
        )
        # Where raw and dark cancel, intensity is compared on the scale of its uncertainty.
        floor = 0.0 if pixels.dark is None else 1e-5 * float(np.max(theirs.sigma))
        np.testing.assert_allclose(ours.intensity[0], theirs.intensity, rtol=1e-5, atol=floor)
        np.testing.assert_allclose(ours.sigma[0], theirs.sigma, rtol=1e-5)
        np.testing.assert_allclose(ours.norm[0], theirs.sum_normalization, rtol=1e-5)
        np.testing.assert_allclose(ours.tth_deg, theirs.radial, atol=1e-5)


@pytest.mark.parametrize("splitting", ["no", "bbox", "full"])
@pytest.mark.parametrize("seed", [1, 2])
def test_equals_integrate1d_on_random_frames_and_geometries(splitting: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    profile = _profile(pixel_splitting=splitting)
    geometry = _random_geometry(rng)
    integrator = _integrator(profile, geometry)
    for _ in range(3):
        _assert_equal_to_pyfai(integrator, profile, geometry, PixelCorrections(), _random_frame(rng))


@pytest.mark.parametrize(
    "with_flat, with_dark, with_mask",
    [(True, False, False), (False, True, False), (False, False, True), (True, True, True)],
)
@pytest.mark.parametrize("solid_angle, polarisation", [(True, True), (True, False), (False, True)])
def test_equals_integrate1d_with_every_correction(
    with_flat: bool, with_dark: bool, with_mask: bool, solid_angle: bool, polarisation: bool
) -> None:
    rng = np.random.default_rng(7)
    pixels = PixelCorrections(
        flat=rng.uniform(0.8, 1.2, SHAPE) if with_flat else None,
        dark=rng.uniform(0.0, 3.0, SHAPE) if with_dark else None,
        mask=rng.random(SHAPE) < 0.03 if with_mask else None,
    )
    profile = _profile(solid_angle=solid_angle, polarisation=polarisation, polarisation_factor=0.9)
    geometry = _random_geometry(rng)
    _assert_equal_to_pyfai(
        _integrator(profile, geometry, pixels, axes=(ODD,)), profile, geometry, pixels, _random_frame(rng)
    )


def test_polarisation_of_a_vertical_arm_equals_integrate1d() -> None:
    profile = load_profile("bl16xu")
    vertical = profile.model_copy(update={"geometry": profile.geometry.model_copy(update={"arm_plane": "vertical"})})
    geometry = geometry_from_profile(vertical)
    frame = _random_frame(np.random.default_rng(3))
    assert vertical.image_polarisation_factor == -0.99
    _assert_equal_to_pyfai(_integrator(vertical), vertical, geometry, PixelCorrections(), frame)


def test_results_do_not_depend_on_the_stack_or_on_earlier_frames() -> None:
    rng = np.random.default_rng(11)
    frames = np.stack([_random_frame(rng) for _ in range(7)])
    integrator = _plain_integrator()
    together = integrator.integrate(frames)
    backwards = [integrator.integrate(frame) for frame in frames[::-1]][::-1]
    for row, alone in enumerate(backwards):
        for ours, theirs in zip(together.axes, alone.axes, strict=True):
            for name in ("intensity", "sigma", "norm"):
                assert getattr(ours, name)[row].tobytes() == getattr(theirs, name)[0].tobytes()
        for name in ("total_counts", "masked_pixels", "saturated_pixels", "spottiness", "spot_excess"):
            assert getattr(together, name)[row] == getattr(alone, name)[0]


def test_uniform_frame_without_corrections_gives_its_counts_and_their_square_root_law() -> None:
    """n counts in each of m unsplit pixels: intensity n, sigma sqrt(n / m)."""
    profile = _profile(pixel_splitting="no", solid_angle=False, polarisation=False)
    patterns = _integrator(profile).integrate(np.full(SHAPE, 49, dtype=np.int32))
    assert patterns.total_counts[0] == 49 * SHAPE[0] * SHAPE[1]
    for ours in patterns.axes:
        np.testing.assert_allclose(ours.intensity[0], 49.0, rtol=1e-6)
        np.testing.assert_allclose(ours.sigma[0], 7.0 / np.sqrt(ours.norm[0]), rtol=1e-6)


def test_sigma_is_the_spread_of_repeated_exposures() -> None:
    rng = np.random.default_rng(5)
    patterns = _plain_integrator().integrate(rng.poisson(30, (300, *SHAPE)).astype(np.int32))
    for ours in patterns.axes:
        ratio = ours.intensity.std(axis=0, ddof=1) / ours.sigma.mean(axis=0)
        assert float(np.median(ratio)) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    "dtype, gaps", [("uint32", (2**32 - 1, 2**32 - 2)), ("uint16", (65535, 65534)), ("int32", (-1, -2))]
)
def test_gaps_are_left_out_and_never_called_saturated(dtype: str, gaps: tuple[int, int]) -> None:
    frame = np.full(SHAPE, 10, dtype=dtype)
    frame[20:30, 100:200], frame[50, 50] = gaps
    patterns = _integrator(_profile(solid_angle=False, polarisation=False)).integrate(frame)
    assert (patterns.masked_pixels[0], patterns.saturated_pixels[0]) == (1001, 0)
    np.testing.assert_allclose(patterns.intensity[0], 10.0, rtol=1e-6)


def test_counts_at_the_limit_are_left_out_and_called_saturated() -> None:
    frame = np.full(SHAPE, 10, dtype=np.uint32)
    frame[5, 5:9] = [LIMIT - 1, LIMIT, LIMIT + 1, 2**32 - 1]
    patterns = _plain_integrator().integrate(frame)
    assert (patterns.masked_pixels[0], patterns.saturated_pixels[0]) == (3, 2)
    assert patterns.total_counts[0] == 10 * (frame.size - 4) + LIMIT - 1


def test_frame_without_any_usable_pixel_gives_empty_bins() -> None:
    patterns = _plain_integrator().integrate(np.full(SHAPE, -1, dtype=np.int32))
    for ours in patterns.axes:
        assert not np.any([ours.intensity, ours.sigma, ours.norm])
    assert patterns.total_counts[0] == 0
    assert math.isnan(patterns.spottiness[0])


def test_big_endian_and_read_only_frames_are_as_good_as_others() -> None:
    integrator = _plain_integrator()
    frame = _random_frame(np.random.default_rng(2))
    swapped = frame.astype(">i4")
    swapped.flags.writeable = False
    assert np.array_equal(integrator.integrate(swapped).intensity, integrator.integrate(frame).intensity)


def test_frames_cut_out_of_a_message_at_any_byte_are_as_good_as_others() -> None:
    integrator = _plain_integrator()
    frame = _random_frame(np.random.default_rng(2))
    cut = np.frombuffer(b"\x00" + frame.tobytes(), dtype=np.int32, offset=1).reshape(SHAPE)
    assert not cut.flags.aligned
    assert np.array_equal(integrator.integrate(cut).intensity, integrator.integrate(frame).intensity)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_the_same_counts_mean_the_same_in_every_dtype(dtype: str) -> None:
    integrator = _plain_integrator()
    frame = np.random.default_rng(3).poisson(10, SHAPE)
    frame[3, 4:9] = np.iinfo(dtype).max
    if dtype.startswith("i"):
        frame[60:70] = -1
    given, as_int32 = frame.astype(dtype), np.where(frame < 100, frame, -1).astype(np.int32)
    ours, expected = integrator.integrate(given), integrator.integrate(as_int32)
    assert ours.intensity.tobytes() == expected.intensity.tobytes()
    assert ours.total_counts == expected.total_counts == as_int32[as_int32 > 0].sum()
    assert ours.masked_pixels == expected.masked_pixels


def test_total_is_exact_and_patterns_hold_where_counts_need_all_32_bits() -> None:
    profile = _profile(pixel_splitting="no", solid_angle=False, polarisation=False)
    profile = profile.model_copy(update={"detector": profile.detector.model_copy(update={"count_limit": 2**33})})
    frame = np.random.default_rng(4).integers(2**31, 2**32 - 2, SHAPE, dtype=np.uint32)
    mask = np.random.default_rng(5).random(SHAPE) < 0.02
    patterns = _integrator(profile, pixels=PixelCorrections(mask=mask)).integrate(frame)
    assert patterns.total_counts[0] == frame[~mask].sum(dtype=np.int64)
    assert patterns.masked_pixels[0] == 0
    assert np.all(patterns.intensity > 2**31)


def test_rounding_stays_small_where_a_bin_holds_half_the_detector() -> None:
    """Equal counts are the worst case: every addition rounds the same way."""
    profile = _profile(pixel_splitting="no", solid_angle=False, polarisation=False)
    wide = PatternAxis(bins=2)
    patterns = _integrator(profile, axes=(wide,)).integrate(np.full(SHAPE, LIMIT - 2, dtype=np.int32))
    assert patterns.norm.min() > 20_000
    np.testing.assert_allclose(patterns.intensity[0], LIMIT - 2, rtol=1e-6)
    np.testing.assert_allclose(patterns.sigma[0], np.sqrt((LIMIT - 2) / patterns.norm[0]), rtol=1e-6)


@pytest.mark.parametrize(
    ("frame", "fragments"),
    [
        (np.zeros((487, 195), dtype=np.int32), ["(487, 195)", "(195, 487)"]),
        (np.zeros((2, 100, 100), dtype=np.uint16), ["(2, 100, 100)", "(195, 487)"]),
        (np.zeros(SHAPE, dtype=np.float32), ["float32", "integer counts"]),
        (np.zeros(SHAPE, dtype=np.int64), ["int64", "32 bit"]),
    ],
)
def test_frames_of_another_shape_or_dtype_are_refused(frame: NDArray[Any], fragments: list[str]) -> None:
    with pytest.raises(FrameError) as refusal:
        _plain_integrator().integrate(frame)
    assert all(fragment in str(refusal.value) for fragment in fragments)


def test_ring_with_one_grain_is_told_from_a_smooth_one_at_any_exposure() -> None:
    rng = np.random.default_rng(4)
    integrator = _plain_integrator()
    for mean in (0.05, 1.0, 300.0):
        smooth = rng.poisson(mean, SHAPE).astype(np.int32)
        spotted = smooth.copy()
        spotted[100:103, 240:243] += int(30 * mean + 40)
        patterns = integrator.integrate(np.stack([smooth, spotted]))
        assert 0.5 < patterns.spot_excess[0] < 2.0
        assert patterns.spot_excess[1] > 3 * patterns.spot_excess[0]


def test_broken_rings_raise_spottiness() -> None:
    rng = np.random.default_rng(4)
    smooth = np.full(SHAPE, 100.0)
    broken = smooth * np.where(rng.random(SHAPE) < 0.03, 25.0, 0.25)
    patterns = _plain_integrator().integrate(np.stack([rng.poisson(smooth), rng.poisson(broken)]).astype(np.int32))
    assert patterns.spottiness[0] < 1.6
    assert patterns.spottiness[1] > 10


def test_geometries_are_told_apart_and_built_once() -> None:
    profile = load_profile("bl16xu")
    integrator = _integrator(profile)
    frame = _random_frame(np.random.default_rng(8))
    moved = replace(integrator.geometry, distance_mm=160.0)
    here, there = integrator.integrate(frame), integrator.integrate(frame, geometry=moved)
    again = integrator.integrate(frame, geometry=replace(moved, origin="another file with the same values"))
    assert here.geometry_id == integrator.geometry_id != there.geometry_id == again.geometry_id
    assert np.array_equal(there.intensity, again.intensity)
    assert not np.allclose(here.intensity, there.intensity)


def test_device_says_what_it_is_and_why() -> None:
    integrator = Integrator.from_profile(load_profile("bl16xu"), device="auto")
    assert integrator.device in ("cpu", "cuda")
    assert integrator.device_note.lower().startswith(integrator.device)


def test_files_of_a_profile_correct_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    flat, mask = rng.uniform(0.8, 1.2, SHAPE), rng.random(SHAPE) < 0.02
    np.save(tmp_path / "flat.npy", flat)
    np.save(tmp_path / "mask.npy", mask)
    profile = load_profile("bl16xu")
    detector = profile.detector.model_copy(
        update={"flat_file": str(tmp_path / "flat.npy"), "mask_file": str(tmp_path / "mask.npy")}
    )
    profile = profile.model_copy(update={"detector": detector})
    integrator = Integrator.from_profile(profile, device="cpu")
    _assert_equal_to_pyfai(
        integrator, profile, integrator.geometry, PixelCorrections(flat=flat, mask=mask), _random_frame(rng)
    )
