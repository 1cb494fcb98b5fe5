"""Writes frames into an HDF5 file from a process of its own, one at each line of standard input.

Arguments: path, dataset, name of the compression, frames in a chunk. A line ``close`` closes the file; a killed process
leaves it as a killed writer does.
"""

import sys

import h5py
import hdf5plugin
import numpy as np

COMPRESSIONS = {
    "plain": {},
    "deflate": {"compression": "gzip", "shuffle": True},
    "lz4": dict(hdf5plugin.LZ4()),
    "bslz4": dict(hdf5plugin.Bitshuffle()),
    "bszstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
}
SHAPE = (20, 30)


def say(answer: object) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def frame(index: int) -> np.ndarray:
    return np.random.default_rng(index).poisson(50.0, SHAPE).astype("<i4")


def main(path: str, dataset: str, compression: str, depth: str) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset(
            dataset,
            shape=(0, *SHAPE),
            maxshape=(None, *SHAPE),
            chunks=(int(depth), *SHAPE),
            dtype="<i4",
            **COMPRESSIONS[compression],
        )
        say("made")
        sys.stdin.readline()
        file.swmr_mode = True
        say("swmr")
        for line in sys.stdin:
            if line.strip() == "close":
                break
            for _ in range(int(line)):
                index = data.shape[0]
                data.resize(index + 1, axis=0)
                data[index] = frame(index)
            data.flush()
            say(data.shape[0])
    say("closed")


if __name__ == "__main__":
    main(*sys.argv[1:])
