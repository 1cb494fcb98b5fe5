"""What CUDA runs gives what the CPU gives; the same code runs on a CPU where there is no CUDA."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phasecast.profiles import PatternAxis, load_profile
from phasecast.xrd.corrections import PixelCorrections
from phasecast.xrd.device import choose_device
from phasecast.xrd.engine import CpuEngine, Engine
from phasecast.xrd.geometry import geometry_from_profile
from phasecast.xrd.integrator import Integrator
from phasecast.xrd.matrix import build_matrix
from phasecast.xrd.torch_engine import BLOCK, TorchEngine

SHAPE = (195, 487)
LIMIT = 2**20 - 1
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def _engines(device: str, pixels: PixelCorrections) -> tuple[Engine, Engine]:
    """Return torch's engine on a device, and the one of the CPU."""
    if device == "cuda":
        chosen = choose_device("cuda")
        if chosen.device.type != "cuda":
            pytest.skip(chosen.note)
    profile = load_profile("bl16xu")
    matrix = build_matrix(
        geometry_id="test",
        pyfai=geometry_from_profile(profile).pyfai(),
        corrections=profile.corrections,
        polarisation_factor=profile.image_polarisation_factor,
        pixels=pixels,
        axes=(PatternAxis(), PatternAxis(bins=300)),
    )
    return (
        TorchEngine(matrix, count_limit=LIMIT, measure_spots=True, device=torch.device(device)),
        CpuEngine(matrix, count_limit=LIMIT, measure_spots=True),
    )


def _frames(n: int, dtype: str) -> NDArray[np.integer]:
    """Counts over four decades with gaps, saturated pixels and bins that lose all their pixels."""
    rng = np.random.default_rng(6)
    frames = rng.poisson(10 ** rng.uniform(-1, 3, (n, 1, 1)) * np.ones(SHAPE)).astype(dtype)
    gap = -1 if dtype.startswith("i") else np.iinfo(dtype).max
    frames[rng.random(frames.shape) < 0.01] = gap
    frames[:, :, 200:230] = gap
    if np.iinfo(dtype).max > LIMIT:
        frames[:, 5, 5:9] = LIMIT
    frames[-1] = gap
    return frames.reshape(n, -1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["int32", "uint32", "uint16"])
@pytest.mark.parametrize("with_dark", [False, True])
def test_blocks_multiplied_by_torch_agree_with_single_frames(device: str, dtype: str, with_dark: bool) -> None:
    rng = np.random.default_rng(7)
    pixels = PixelCorrections(
        mask=rng.random(SHAPE) < 0.03,
        dark=rng.uniform(0, 3, SHAPE) if with_dark else None,
    )
    on_torch, on_cpu = _engines(device, pixels)
    frames = _frames(BLOCK + 3 if device == "cuda" else 4, dtype)
    ours, expected = on_torch.integrate(frames), on_cpu.integrate(frames)
    # Where raw and dark cancel, intensity is compared on the scale of its uncertainty.
    floor = 1e-5 * float(expected.sigma.max()) if with_dark else 0.0
    for here, there in zip(ours.axes, expected.axes, strict=True):
        np.testing.assert_allclose(here.intensity, there.intensity, rtol=1e-5, atol=floor)
        np.testing.assert_allclose(here.sigma, there.sigma, rtol=1e-5)
        np.testing.assert_allclose(here.norm, there.norm, rtol=1e-5)
    for name in ("total_counts", "saturated_pixels", "masked_pixels"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(expected, name))
    for name in ("spottiness", "spot_excess"):
        np.testing.assert_allclose(getattr(ours, name), getattr(expected, name), rtol=1e-4)
    assert np.isnan(ours.spottiness[-1])


@pytest.mark.gpu
def test_cuda_is_chosen_where_it_works() -> None:
    chosen = choose_device("auto")
    if chosen.device.type != "cuda":
        pytest.skip(chosen.note)
    integrator = Integrator.from_profile(load_profile("bl16xu"), device="auto")
    assert integrator.device == "cuda"
    assert torch.cuda.get_device_name() in integrator.device_note
