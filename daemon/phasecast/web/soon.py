"""Work that a change of a widget asks for, done at the next turn of the loop and with the document's lock held."""

from collections.abc import Callable
from typing import Any

import panel as pn


def soon(work: Callable[..., object]) -> Callable[..., None]:
    """Return a callback that has the work done soon; of several calls before that the last one counts.

    Panel hands on quick changes of a widget without the lock of the document; who then changes a Bokeh model, such
    as the data of a source, gets "_pending_writes should be non-None" and the browser never hears of the change.

    Parameters
    ----------
    work
        Called with the arguments of the last call.
    """
    waiting: list[tuple[Any, ...]] = []

    def ask(*arguments: Any) -> None:
        document = pn.state.curdoc
        if document is None:
            # no browser: a page that is built by hand
            work(*arguments)
            return
        waiting.append(arguments)
        if len(waiting) == 1:
            document.add_next_tick_callback(do)

    def do() -> None:
        last = waiting[-1]
        waiting.clear()
        work(*last)

    return ask
