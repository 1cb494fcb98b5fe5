"""A session of a page without a browser: loads it and takes what the server sends, as a browser would.

Bokeh's own client answers for a whole event loop; this one speaks just enough of the protocol (Bokeh, "Protocol
documentation": header, metadata and content as one message each, then two for every buffer) for many sessions in one.
"""

import json
import re
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from phasecast.core.errors import SourceError

_TOKEN = re.compile(r'"token":\s*"([^"]+)"')
_READY = {
    "events": [
        {
            "kind": "MessageSent",
            "msg_type": "bokeh_event",
            "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map"}},
        }
    ]
}


@dataclass(slots=True)
class PageSession:
    """One session.

    Parameters
    ----------
    url
        The page, such as ``http://127.0.0.1:5006/``.
    patches, bytes_received
        Changes of the document that came after loading, and bytes of everything that came.
    last_patch_s
        POSIX time of the newest change; 0 before the first.
    """

    url: str
    patches: int = 0
    bytes_received: int = 0
    last_patch_s: float = 0.0
    _socket: WebSocketClientConnection | None = field(default=None)
    _sent: int = 0

    async def load(self) -> None:
        """Fetch the page, open its session and pull its document.

        Raises
        ------
        SourceError
            If what answers is no page of a Bokeh server, or it ends the session.
        """
        response = await AsyncHTTPClient().fetch(self.url, request_timeout=60.0)
        found = _TOKEN.search(response.body.decode("utf-8", "replace"))
        if found is None:
            raise SourceError("no session in this page", where=self.url, remedy="give the address of phasecast page")
        address, _, query = response.effective_url.partition("?")
        socket = "ws" + address.removeprefix("http").rstrip("/") + "/ws" + (f"?{query}" if query else "")
        self._socket = await websocket_connect(socket, subprotocols=["bokeh", found[1]], max_message_size=1 << 30)
        await self._until("ACK")
        await self._send("PULL-DOC-REQ", {})
        await self._until("PULL-DOC-REPLY")
        await self._send("PATCH-DOC", _READY)

    async def follow(self) -> None:
        """Take changes until the session is closed."""
        while await self._next() is not None:
            pass

    def close(self) -> None:
        """End the session; idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _send(self, kind: str, content: dict[str, Any]) -> None:
        assert self._socket is not None
        self._sent += 1
        for part in ({"msgid": str(self._sent), "msgtype": kind}, {}, content):
            await self._socket.write_message(json.dumps(part))

    async def _until(self, kind: str) -> None:
        while (found := await self._next()) != kind:
            if found is None:
                raise SourceError(f"the server ended the session before its {kind}", where=self.url)

    async def _next(self) -> str | None:
        """Kind of the next whole message; None at the end of the session."""
        first = await self._fragment()
        if first is None:
            return None
        header = json.loads(first)
        for _ in range(2 + 2 * int(header.get("num_buffers", 0))):
            if await self._fragment() is None:
                return None
        kind = str(header["msgtype"])
        if kind == "PATCH-DOC":
            self.patches += 1
            self.last_patch_s = time.time()
        return kind

    async def _fragment(self) -> str | bytes | None:
        if self._socket is None:
            return None
        try:
            fragment: str | bytes | None = await self._socket.read_message()
        except WebSocketClosedError:
            return None
        self.bytes_received += len(fragment) if fragment is not None else 0
        return fragment
