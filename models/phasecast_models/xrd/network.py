"""The network: a perceptron and a small convolutional net whose logits are averaged."""

from typing import TypedDict

import torch
from torch import Tensor, nn

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.features import CHANNELS, LEVELS, feature_count

MEMBERS = ("perceptron", "convolutional")
"""The halves of the network, in the order of their logits."""


class NetworkSizes(TypedDict, total=False):
    """Keyword arguments of `PatternNetwork` as a card holds them; what is absent has its default."""

    hidden: tuple[int, int]
    filters: tuple[int, int, int]
    strides: tuple[int, int, int]
    pools: tuple[int, int, int]
    joined: int
    dropout: float
    convolutional_share: float


# Microseconds a pattern, one thread of an EPYC with AVX-512, torch 2.13, blocks of 32, fastest of 80 runs:
#   hidden (256, 128) 9.5, (192, 96) 7.4, (128, 64) 5.3; (192, 96) in blocks of 1, 8, 64, 128: 60, 14, 6.2, 5.8.
#   (16, 32, 32) with every pool 42, of which a block of 64 takes 120: its arrays are too large for the cache.
#   (12, 24, 24) with strides (2, 1, 1) and pools (1, 2, 2) 33; (16, 32, 32) with strides (2, 2, 2) and no pools 26.
# Two thirds of it are the convolutions and a fifth is `head`; ReLU for GELU saves 3.5, GELU by tanh costs 17 more,
# SiLU more still, mean pools cost twice what max pools do. Pooling before GELU, channels last, and products of
# unfolded windows change less than 2.
SMALL: NetworkSizes = {"hidden": (192, 96), "filters": (12, 24, 24), "strides": (2, 1, 1), "pools": (1, 2, 2)}
"""Sizes that classify 114,198 patterns within the limits of `phasecast bench classify`."""


LARGE: NetworkSizes = {
    "hidden": (192, 96),
    "filters": (24, 48, 48),
    "strides": (2, 2, 2),
    "pools": (1, 1, 1),
    "convolutional_share": 0.85,
}
"""Sizes of the shipped model. Alone, the convolutional half reaches 0.89 macro-F1 on another domain and the perceptron
0.86; an equal mean of both is worse than the first alone."""


class PatternNetwork(nn.Module):
    """Features to one logit per class.

    The perceptron weighs absolute positions, the convolutional half peak shapes; their mean beats either.

    Parameters
    ----------
    axis
        Axis of the patterns.
    classes
        Number of classes.
    hidden
        Widths of the two hidden layers of the perceptron.
    filters
        Number of filters of the three convolutions.
    strides
        Steps of the three convolutions, in bins of what they get.
    pools
        Bins of which the largest is kept after each convolution; 1 keeps all.
    joined
        Width of the layer between convolutions and classes.
    dropout
        Share of hidden units silenced in training.
    convolutional_share
        Weight of the convolutional half in the mean of both logits.

    Raises
    ------
    ValueError
        If a size is not positive, or if strides and pools leave no bin.
    """

    def __init__(
        self,
        axis: PatternAxis,
        classes: int,
        *,
        hidden: tuple[int, int] = (256, 128),
        filters: tuple[int, int, int] = (16, 32, 32),
        strides: tuple[int, int, int] = (1, 1, 1),
        pools: tuple[int, int, int] = (2, 2, 2),
        joined: int = 96,
        dropout: float = 0.1,
        convolutional_share: float = 0.5,
    ) -> None:
        super().__init__()
        if min(*hidden, *filters, *strides, *pools, joined) < 1:
            raise ValueError("sizes of a network must be positive")
        self.bins = axis.bins
        self.sizes: NetworkSizes = {
            "hidden": hidden,
            "filters": filters,
            "strides": strides,
            "pools": pools,
            "joined": joined,
            "dropout": dropout,
            "convolutional_share": convolutional_share,
        }
        self.convolutional_share = convolutional_share
        first, second = hidden
        self.perceptron = nn.Sequential(
            nn.Linear(feature_count(axis), first),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(first, second),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(second, classes),
        )
        layers: list[nn.Module] = []
        channels, bins = CHANNELS, axis.bins
        for count, width, stride, pool in zip(filters, (7, 5, 5), strides, pools, strict=True):
            layers += [
                nn.Conv1d(channels, count, width, stride=stride, padding=width // 2),
                nn.GELU(),
                nn.MaxPool1d(pool) if pool > 1 else nn.Identity(),
            ]
            channels, bins = count, (bins + stride - 1) // stride // pool
        if bins < 1:
            raise ValueError(f"strides {strides} and pools {pools} leave nothing of {axis.bins} bins")
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(
            nn.Linear(channels * bins + LEVELS, joined), nn.GELU(), nn.Dropout(dropout), nn.Linear(joined, classes)
        )

    def hidden_layer(self, features: Tensor) -> Tensor:
        """Return the activations of the perceptron's last hidden layer, (n, hidden[1])."""
        activations: Tensor = self.perceptron[:-1](features)
        return activations

    def convolutional(self, features: Tensor) -> Tensor:
        """Return the logits of the convolutional half, (n, classes)."""
        channels = features[:, : CHANNELS * self.bins].reshape(-1, CHANNELS, self.bins)
        levels = features[:, CHANNELS * self.bins :]
        logits: Tensor = self.head(torch.cat([self.convolutions(channels), levels], dim=1))
        return logits

    def members(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of both halves, each (n, classes), in the order of `MEMBERS`."""
        return self.perceptron(features), self.convolutional(features)

    def forward(self, features: Tensor) -> Tensor:
        """Return the weighted mean of both logits, (n, classes)."""
        perceptron, folded = self.members(features)
        return (1 - self.convolutional_share) * perceptron + self.convolutional_share * folded
