"""Is this what the model learned from? The distance of a pattern from the simulation, as the network sees both.

Lee, Lee, Lee and Shin, Advances in Neural Information Processing Systems 31 (2018): Mahalanobis distance of a hidden
layer. It is no detector of a phase (class "other" is), but an alarm for an instrument that has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MEAN, _INVERSE, _SCALE = "drift.mean", "drift.inverse_covariance", "drift.scale"
_QUANTILE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Where activations lie on simulated patterns.

    ``mean`` (units,) and ``inverse_covariance`` (units, units) in single precision; ``scale`` is the Mahalanobis
    distance that one simulated pattern in a thousand exceeds.
    """

    mean: Tensor
    inverse_covariance: Tensor
    scale: float

    def distance(self, activations: Tensor) -> Tensor:
        """Return distances over ``scale``, shape (n,), of activations (n, units)."""
        away = activations - self.mean
        squared = ((away @ self.inverse_covariance) * away).sum(dim=1)
        return torch.sqrt(torch.clamp(squared, min=0)) / self.scale

    def tensors(self) -> dict[str, Tensor]:
        """Return what stands for this in a file of weights."""
        return {
            _MEAN: self.mean.contiguous(),
            _INVERSE: self.inverse_covariance.contiguous(),
            _SCALE: torch.tensor([self.scale], dtype=torch.float32),
        }


def take_drift(tensors: dict[str, Tensor]) -> Drift | None:
    """Take a drift out of the tensors of a file, None where there is none.

    Raises
    ------
    ValueError
        If only a part of it is there or the shapes do not fit each other.
    """
    found: Mapping[str, Tensor] = {name: tensors.pop(name) for name in (_MEAN, _INVERSE, _SCALE) if name in tensors}
    if not found:
        return None
    if len(found) < 3:
        raise ValueError(f"the drift has only {', '.join(found)}")
    mean, inverse, scale = found[_MEAN], found[_INVERSE], found[_SCALE]
    if mean.ndim != 1 or inverse.shape != (len(mean), len(mean)) or scale.shape != (1,) or not scale[0] > 0:
        raise ValueError("mean, inverse covariance and scale of the drift do not fit each other")
    return Drift(mean=mean, inverse_covariance=inverse, scale=float(scale[0]))


def fit_drift(activations: NDArray[np.floating], *, quantile: float = _QUANTILE) -> Drift:
    """Fit mean and covariance to two thirds of the activations and the scale to the rest.

    The covariance is shrunk towards a multiple of the unit matrix by the oracle approximating estimator (Chen, Wiesel,
    Eldar and Hero, IEEE Transactions on Signal Processing 58:5016, 2010, eq. 23).

    Parameters
    ----------
    activations
        Of simulated patterns that the network has not learned from, shape (n, units), in random order; a thousand at
        least, or the scale is a guess.
    quantile
        Share of simulated patterns below 1.

    Raises
    ------
    ValueError
        If there are fewer than 30 patterns, or values that are not finite.
    """
    values = np.asarray(activations, dtype=np.float64)
    if values.ndim != 2 or len(values) < 30 or not np.isfinite(values).all():
        raise ValueError(f"activations of shape {values.shape}: 30 patterns at least, all finite, are needed")
    held_out = np.arange(len(values)) % 3 == 2
    fitted = values[~held_out]
    mean = fitted.mean(axis=0)
    inverse = np.linalg.inv(_shrunk(np.atleast_2d(np.cov(fitted, rowvar=False, bias=True)), len(fitted)))
    raw = Drift(
        mean=torch.from_numpy(mean.astype(np.float32)),
        inverse_covariance=torch.from_numpy(inverse.astype(np.float32)),
        scale=1.0,
    )
    distances = raw.distance(torch.from_numpy(values[held_out].astype(np.float32))).numpy()
    scale = max(float(np.quantile(distances, quantile)), 1e-6)
    return Drift(mean=raw.mean, inverse_covariance=raw.inverse_covariance, scale=scale)


def _shrunk(covariance: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    units = len(covariance)
    trace, squares = float(np.trace(covariance)), float(np.sum(covariance**2))
    denominator = (count + 1 - 2 / units) * (squares - trace**2 / units)
    share = 1.0 if denominator <= 0 else min(1.0, ((1 - 2 / units) * squares + trace**2) / denominator)
    level = max(trace / units, 1e-9)
    # A unit that never fires has no variance of its own; a millionth of the mean keeps the inverse within float32.
    share = max(share, 1e-6)
    return np.asarray((1 - share) * covariance + share * level * np.eye(units))
