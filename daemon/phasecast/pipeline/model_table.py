"""The models that gave confidences of one result, each with the number that its points name."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasecast.core.documents import MODEL_COLUMNS
from phasecast.core.result import ModelStamp, UsedModel


class ModelTable:
    """Models in the order in which they came; a number once given stays.

    Parameters
    ----------
    models
        Those known so far.
    """

    def __init__(self, models: Sequence[UsedModel] = ()) -> None:
        self._models = list(models)

    def __len__(self) -> int:
        return len(self._models)

    def __iter__(self) -> Iterator[UsedModel]:
        return iter(self._models)

    def __getitem__(self, number: int) -> UsedModel:
        return self._models[number]

    def number_of(self, stamp: ModelStamp) -> int:
        """Return the number of a model; that of the next one if it is new."""
        # the newest first: going back to an earlier model is rare
        for number in range(len(self._models) - 1, -1, -1):
            known = self._models[number].stamp
            if known is stamp or (known.sha256, known.name, known.version) == (stamp.sha256, stamp.name, stamp.version):
                return number
        return len(self._models)

    def add(self, model: UsedModel) -> None:
        """Take a new model."""
        self._models.append(model)

    def columns(self, first: int = 0) -> dict[str, NDArray[Any]]:
        """Return the rows from a number on as columns of the stream ``models``."""
        models = self._models[first:]
        columns: dict[str, NDArray[Any]] = {
            name: np.array([getattr(model.stamp, name) for model in models], dtype)
            for name, dtype in MODEL_COLUMNS.items()
            if name != "time_s"
        }
        return columns | {"time_s": np.array([model.since_s for model in models], np.float64)}
