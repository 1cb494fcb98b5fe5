"""Patterns to what a network says of them, in blocks of one size, on one or two threads, always with the same bits."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from phasecast_models.xrd.axis import PatternAxis
from phasecast_models.xrd.features import Measurement, features, pattern_rows, prepare
from phasecast_models.xrd.network import PatternNetwork

Floats = NDArray[np.float32]

BLOCK = 64
"""Patterns per block of the perceptron: every block is padded to it, so results do not depend on batch size.

A stream brings one or a few patterns at a time and pays for whole blocks; a map pays per pattern. Microseconds a
pattern with the sizes of `network.LARGE`: perceptron 7.4 in blocks of 32, 6.2 of 64, 5.8 of 128; convolutions 70 in
blocks of 8, 52 of 16, 45 of 24 and 32, 59 of 64.
"""

CONVOLUTION_BLOCK = 16
"""Patterns per block of the convolutional half, which gains less from large ones."""

FEWEST_COUNTS = 100.0
"""Counts of a whole pattern, given without sigma, below which it is taken for an empty one.

With 6 to 60 counts in all, one pattern in 400 of pure noise was called an oxide or iron with 0.5 and more.
"""

FEWEST_EFFECTIVE_COUNTS = 30.0
"""The same for (I / sigma)^2, where sigma was given.

Where each pixel has a variance of one at least, as pyFAI and this integrator give it, a pattern of N counts in 90,000
pixels has N^2 / 90,000 effective ones: 100 are 3,000 counts, in which much can be seen. Of 24,000 patterns of noise,
10 to 3,000 counts each, none was called anything from 0.5 effective counts on. Where sigma is the root of counts, one
in 50 of 30 to 60 counts is called something with 0.5, one in 240 with 0.8.
"""

MANY_ROWS = 4096
"""Patterns in one call from which on they are shared among two threads."""

_ROWS_AT_ONCE = 1024  # fewer turns of the lock that Python threads share; 256 cost a tenth more on two threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was computed of n patterns, and of which it means something.

    ``usable`` is false where a pattern has no count at all or an infinite intensity; ``lit`` is false where it has
    fewer than `FEWEST_COUNTS` or `FEWEST_EFFECTIVE_COUNTS`, which was computed as if it had none. Both have shape (n,),
    ``values`` (n, ...).
    """

    values: Floats
    usable: NDArray[np.bool_]
    lit: NDArray[np.bool_]


class _SingleThreaded:
    """How many are computing, and the number of threads that torch had before the first of them."""

    lock = threading.Lock()
    depth = 0
    before = 1


class _Spare(threading.local):
    """Blocks that are padded in place, one of each shape per thread: new ones cost one pattern 0.2 ms."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, int], Floats] = {}

    def block_of(self, rows: int, columns: int) -> Floats:
        if (rows, columns) not in self._blocks:
            self._blocks[rows, columns] = np.zeros((rows, columns), np.float32)
        return self._blocks[rows, columns]


_spare = _Spare()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let torch use one thread for each caller, until the last of those who compute at the same time is done.

    Matrix products with another number of threads round differently; the number is that of the whole process.
    """
    with _SingleThreaded.lock:
        if not _SingleThreaded.depth:
            _SingleThreaded.before = torch.get_num_threads()
        _SingleThreaded.depth += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _SingleThreaded.lock:
            _SingleThreaded.depth -= 1
            if not _SingleThreaded.depth:
                torch.set_num_threads(_SingleThreaded.before)


def network_logits(network: PatternNetwork, inputs: Floats, block: int = BLOCK) -> Floats:
    """Return logits of features, (n, classes), computed in blocks padded to one size, on one thread."""
    return in_blocks(network, inputs, block)


def in_blocks(function: Callable[[Tensor], Tensor], inputs: Floats, block: int) -> Floats:
    """Return what a function makes of rows, computed in blocks padded to one size, on one thread.

    Matrix products of another height round differently: unpadded, up to 60 % of the rows change in the last bits.
    """
    parts = []
    with single_threaded(), torch.inference_mode():
        for start in range(0, max(1, len(inputs)), block):
            rows = inputs[start : start + block]
            if len(rows) < block:
                # What an earlier call left in the other rows is as good as zeros, for no row depends on the others.
                padded = _spare.block_of(block, inputs.shape[1])
                padded[: len(rows)] = rows
                rows = padded
            parts.append(function(torch.from_numpy(rows)).numpy())
    return np.asarray(np.concatenate(parts)[: len(inputs)], dtype=np.float32)


def ask(
    function: Callable[[Floats], Floats],
    intensity: ArrayLike,
    sigma: ArrayLike | None,
    axis: PatternAxis,
    *,
    threads: int | None = None,
) -> Answers:
    """Return what a function of features makes of patterns.

    Parameters
    ----------
    function
        Features (rows, features) to (rows, ...), such as `in_blocks` computes it: no row may depend on the others.
    intensity, sigma
        As `phasecast_models.xrd.features.prepare` takes them.
    axis
        Of the patterns.
    threads
        How many chunks of rows are computed at once; two from `MANY_ROWS` on if None.

    Raises
    ------
    PatternError
        If the arrays do not fit each other or the axis.
    """
    values, errors = pattern_rows(intensity, sigma, axis)

    def chunk(start: int) -> Answers:
        rows = slice(start, start + _ROWS_AT_ONCE)
        measured = prepare(values[rows], None if errors is None else errors[rows], axis)
        total = measured.counts.sum(axis=1, dtype=np.float64)
        lit = total >= (FEWEST_COUNTS if errors is None else FEWEST_EFFECTIVE_COUNTS)
        if not lit.all():
            measured = Measurement(
                intensity=measured.intensity * lit[:, None].astype(np.float32),
                counts=measured.counts * lit[:, None].astype(np.float32),
            )
        usable = (total > 0) & ~np.isinf(values[rows]).any(axis=1)
        return Answers(values=function(features(measured, axis)), usable=usable, lit=lit)

    starts = range(0, max(1, len(values)), _ROWS_AT_ONCE)
    threads = threads or (2 if len(values) >= MANY_ROWS else 1)
    if threads > 1 and len(starts) > 1:
        # Outside of the pool as well: the number of threads must not come back between two chunks.
        with single_threaded(), ThreadPoolExecutor(threads, thread_name_prefix="classify") as pool:
            chunks = list(pool.map(chunk, starts))
    else:
        chunks = [chunk(start) for start in starts]
    return Answers(
        values=np.concatenate([part.values for part in chunks]),
        usable=np.concatenate([part.usable for part in chunks]),
        lit=np.concatenate([part.lit for part in chunks]),
    )
