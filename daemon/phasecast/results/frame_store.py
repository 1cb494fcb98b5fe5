"""Reads raw frames back, whichever kind of place they were recorded in."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from phasecast.core.errors import ResultFileError
from phasecast.core.frame import FrameReference, FrameStore


class FrameStores:
    """A `FrameStore` that hands each reference to the store of its kind.

    Parameters
    ----------
    stores
        Kind of place (``FrameReference.store``) to the store that reads it.
    """

    def __init__(self, stores: Mapping[str, FrameStore]) -> None:
        self._stores = dict(stores)

    def read(self, reference: FrameReference) -> NDArray[np.integer]:
        """Return the frame, shape (rows, cols).

        Raises
        ------
        ResultFileError
            If nothing here reads that kind of place.
        PhasecastError
            If the bytes are gone or no longer the ones that were recorded.
        """
        store = self._stores.get(reference.store)
        if store is None:
            raise ResultFileError(
                f"no reader for frames kept in a {reference.store!r}",
                where=reference.path,
                remedy=f"this program was started with readers for {sorted(self._stores) or 'nothing'}",
            )
        return store.read(reference)
