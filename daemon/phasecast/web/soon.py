"""Work on a document: at the next turn of the loop, with the document's lock held, and sent as one message."""

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
        in_one_message(work)(*last)

    return ask


def in_one_message(work: Callable[..., object]) -> Callable[..., None]:
    """Return a callback that does the work and sends all that it changed as one message.

    Everything that changes a page must go through here. Panel sends changes of its widgets at once and Bokeh those of
    its models at the end of a callback: a message that came later could lead, and speak of models that the browser had
    not heard of ("reference is not known"). And each message costs server and browser more than what it says.
    """

    def do(*arguments: Any) -> None:
        with pn.io.unlocked():
            work(*arguments)

    return do
