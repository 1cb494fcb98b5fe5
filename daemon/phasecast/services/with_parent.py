"""A child process that multiprocessing started ends when its parent is gone, however that ended.

A worker of a pool holds both ends of the queue it waits at, so it hears of no end there and would wait forever.
"""

import os
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait

_PATIENCE_S = 60.0

in_hand = threading.Lock()
"""Held by a child while it does what should become whole although its parent is gone."""


def end_with_parent(patience_s: float = _PATIENCE_S) -> None:
    """Let this process end when its parent is gone: at once, or when what it has in hand is done.

    Nothing is done in a process that multiprocessing has not started.

    Parameters
    ----------
    patience_s
        How long work in hand may take then, in seconds; it is cut off after that.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel, patience_s), name="parent", daemon=True).start()


def _watch(parent: int, patience_s: float) -> None:
    wait([parent])
    in_hand.acquire(timeout=patience_s)
    # no other thread can be asked to end: the main one waits within a queue, or for a server
    os._exit(1)
