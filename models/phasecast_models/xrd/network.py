"""The network: a perceptron and a small convolutional net whose logits are averaged."""

import torch
from torch import Tensor, nn

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.features import CHANNELS, LEVELS, feature_count


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
    dropout
        Share of hidden units silenced in training.
    """

    def __init__(
        self,
        axis: PatternAxis,
        classes: int,
        *,
        hidden: tuple[int, int] = (256, 128),
        filters: tuple[int, int, int] = (16, 32, 32),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.bins = axis.bins
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
        a, b, c = filters
        self.convolutions = nn.Sequential(
            nn.Conv1d(CHANNELS, a, 7, padding=3),
            nn.GELU(),
            nn.MaxPool1d(2),
            nn.Conv1d(a, b, 5, padding=2),
            nn.GELU(),
            nn.MaxPool1d(2),
            nn.Conv1d(b, c, 5, padding=2),
            nn.GELU(),
            nn.MaxPool1d(2),
            nn.Flatten(),
        )
        self.head = nn.Sequential(
            nn.Linear(c * (axis.bins // 8) + LEVELS, 96), nn.GELU(), nn.Dropout(dropout), nn.Linear(96, classes)
        )

    def members(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of both halves, each (n, classes)."""
        channels = features[:, : CHANNELS * self.bins].reshape(-1, CHANNELS, self.bins)
        levels = features[:, CHANNELS * self.bins :]
        folded = torch.cat([self.convolutions(channels), levels], dim=1)
        return self.perceptron(features), self.head(folded)

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean logits, (n, classes)."""
        perceptron, folded = self.members(features)
        return (perceptron + folded) / 2
