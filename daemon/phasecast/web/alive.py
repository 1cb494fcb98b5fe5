"""Tells a browser that hears nothing whether its session still exists: a busy server is not a dead one."""

from collections.abc import Callable
from typing import Any

from tornado.web import RequestHandler


class AliveHandler(RequestHandler):
    """Answers ``{"alive": true}`` for a session that exists; needs no password, since ids cannot be guessed."""

    def initialize(self, session_ids: Callable[[], set[str]]) -> None:
        """Take what knows the ids of all open sessions."""
        self._session_ids = session_ids

    def get(self) -> None:
        """Answer for the id in the query ``session``."""
        self.set_header("Cache-Control", "no-store")
        self.write({"alive": self.get_query_argument("session", "") in self._session_ids()})

    def data_received(self, chunk: bytes) -> Any:
        """Take no body."""
