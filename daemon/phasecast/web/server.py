"""The server of the page: one process, one loop, many sessions."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any

import panel as pn
from tornado.ioloop import PeriodicCallback
from tornado.websocket import WebSocketClosedError

from phasecast.core.errors import PageError
from phasecast.web.alive import AliveHandler
from phasecast.web.hub import Hub
from phasecast.web.login import LOGIN_NAME, login_template
from phasecast.web.page import TICK_MS, Page
from phasecast.web.session import Session, arguments_of_request
from phasecast.web.soon import in_one_message

logger = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAddress:
    """Where the page is offered, and to whom.

    Parameters
    ----------
    host
        Address to bind to.
    port
        Port; 0 for any.
    password
        What everybody must know where the page is offered beyond this machine; empty for none.
    """

    host: str = "127.0.0.1"
    port: int = 8016
    password: str = ""

    def __post_init__(self) -> None:
        if self.host not in _LOOPBACK and not self.password:
            raise PageError(
                "a page that others can reach needs a password",
                where=f"--host {self.host}",
                remedy="name a file that holds one with --password-file, or leave --host at 127.0.0.1 and use ssh -L",
            )


class PageServer:
    """Serves the page of a hub.

    Parameters
    ----------
    hub
        What all sessions share.
    address
        Where.
    every_second
        Called once a second, sessions or none.
    """

    def __init__(self, hub: Hub, address: PageAddress, every_second: Callable[[], None]) -> None:
        self._hub = hub
        pn.extension()
        pn.config.respect_explicit_sizing = True
        options: dict[str, Any] = {}
        if address.host not in _LOOPBACK:
            options["websocket_origin"] = "*"
        try:
            self._server = self._serve(address, options)
        except OSError as error:
            raise PageError(
                f"cannot listen: {error.strerror}", where=f"{address.host}:{address.port}",
                remedy="is another page running there? choose another --port",
            ) from error  # fmt: skip
        self._every_second = PeriodicCallback(every_second, 1000)

    def _serve(self, address: PageAddress, options: dict[str, Any]) -> Any:
        directory = self._hub.directory
        with ExitStack() as stack:
            if address.password:
                # read once, while the server is made
                door = stack.enter_context(NamedTemporaryFile("w", suffix=".html", encoding="utf-8"))
                door.write(login_template())
                door.flush()
                options = options | {
                    # a bare text would be taken for the name of a file if there is one
                    "basic_auth": {LOGIN_NAME: address.password},
                    "cookie_secret": secrets.token_hex(32),
                    "login_template": door.name,
                }
            return pn.serve(
                {"/": self._open_session},
                port=address.port,
                address=address.host,
                show=False,
                start=False,
                title={"/": "phasecast"},
                verbose=False,
                static_dirs={"results": str(directory.results), "reports": str(directory.reports)},
                # a tab that was closed is forgotten soon: sessions must not pile up over a beamtime
                unused_session_lifetime_milliseconds=10_000,
                check_unused_sessions_milliseconds=2000,
                extra_patterns=[(r"/alive", AliveHandler, {"session_ids": self._session_ids})],
                **options,
            )

    def _session_ids(self) -> set[str]:
        return {str(session.id) for session in self._server.get_sessions("/")}

    @property
    def port(self) -> int:
        """The port that was taken."""
        return int(self._server.port)

    @property
    def sessions(self) -> int:
        """Sessions that are open right now."""
        return len(self._server.get_sessions("/"))

    def run(self) -> None:
        """Serve until `stop`."""
        # A browser that goes away while something is sent to it is no fault.
        logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
        asyncio.get_event_loop().set_exception_handler(_pass_over_closed_browsers)
        self._server.start()
        self._every_second.start()
        self._server.io_loop.start()

    def stop(self) -> None:
        """End the loop; may be called from a signal handler."""
        self._server.io_loop.add_callback_from_signal(self._end)

    def _end(self) -> None:
        self._every_second.stop()
        self._server.stop()
        self._server.io_loop.stop()

    def _open_session(self) -> Any:
        session = Session(arguments_of_request())
        pn.config.theme = "dark" if session.theme.name == "dark" else "default"
        pn.config.raw_css = [session.theme.css()]
        page = Page(self._hub, session)
        page.keys.session = str(pn.state.curdoc.session_context.id)
        layout = page.build()
        page.update()
        session.keep_in_address()
        pn.state.add_periodic_callback(in_one_message(page.tick), period=TICK_MS)
        return layout


def _pass_over_closed_browsers(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)
