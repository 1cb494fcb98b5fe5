"""bslz4, as detectors compress: chunks of the HDF5 bitshuffle filter."""

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

_REWRITES = 500  # chunk rewrites before the in-memory file is made anew, so that it cannot grow


class BitshuffleEncoder:
    """bslz4 blobs with the 12-byte header: a chunk written through the HDF5 filter and read back raw."""

    def __init__(self) -> None:
        self._file: h5py.File | None = None
        self._shape: tuple[int, ...] = ()
        self._written = 0

    def encode(self, counts: NDArray[np.uint32]) -> bytes:
        """Compress one image, shape (rows, cols)."""
        if self._file is None or counts.shape != self._shape or self._written >= _REWRITES:
            self.close()
            # Without a chunk cache every write runs the filter at once.
            self._file = h5py.File("encoder.h5", "w", driver="core", backing_store=False, rdcc_nbytes=0)
            self._file.create_dataset(
                "frame", shape=counts.shape, chunks=counts.shape, dtype="<u4", **hdf5plugin.Bitshuffle(cname="lz4")
            )
            self._shape, self._written = counts.shape, 0
        dataset = self._file["frame"]
        dataset[...] = counts
        self._written += 1
        return bytes(dataset.id.read_direct_chunk((0, 0))[1])

    def close(self) -> None:
        """Free the in-memory file."""
        if self._file is not None:
            self._file.close()
            self._file = None
