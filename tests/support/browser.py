"""A real Chromium in front of a real page process."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phasecast.core.errors import PhasecastError
from phasecast.services.chromium import BrowserJournal, find_chromium, probe_script
from phasecast.services.page_process import PageProcess, free_port, start_page

WINDOW = {"width": 1440, "height": 1000}
TIMEOUT_MS = 60_000


def chromium_or_skip() -> str:
    """Path of the system's Chromium; skips with the reason, or fails where a browser is required."""
    try:
        return find_chromium()
    except PhasecastError as error:
        if os.environ.get("PHASECAST_BROWSER") == "required":
            pytest.fail(f"a browser is required here: {error}")
        pytest.skip(str(error))


class PageServer:
    """`phasecast page` over one data directory; can be killed and started again at the same address."""

    def __init__(self, data_dir: Path, log: Path, *arguments: str) -> None:
        self._data_dir, self._log, self._arguments = data_dir, log, arguments
        self._port = free_port()
        self._stack = contextlib.ExitStack()
        self._logs: list[str] = []
        self.start()

    def start(self) -> None:
        self.process: PageProcess = start_page(
            self._stack, self._data_dir, self._log, *self._arguments, port=self._port
        )

    def kill(self) -> None:
        """End it without a warning."""
        self.process.child.process.kill()
        self.process.child.process.wait()
        self._keep_log()

    def end(self) -> None:
        self._stack.close()
        self._keep_log()

    def url(self, **query: str) -> str:
        return self.process.url(**query)

    @property
    def log(self) -> str:
        """Everything that any of its processes said on standard error."""
        return "\n".join([*self._logs, self._log.read_text(encoding="utf-8", errors="replace")])

    def _keep_log(self) -> None:
        self._logs.append(self._log.read_text(encoding="utf-8", errors="replace"))


class Tab:
    """One tab of one browser context, with the probe inside."""

    def __init__(self, context: Any) -> None:
        self.context, self.journal = context, BrowserJournal()
        self.journal.watch(context)
        self.page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.add_init_script(probe_script())

    def open(self, url: str) -> "Tab":
        self.page.goto(url)
        self.wait("phasecastProbe.clock() !== null && phasecastProbe.pixels('map') !== null")
        return self

    def wait(self, condition: str, *, timeout_ms: int = TIMEOUT_MS) -> None:
        """Wait until a JavaScript expression holds."""
        self.page.wait_for_function(f"() => {condition}", timeout=timeout_ms)

    @property
    def clock(self) -> dict[str, float]:
        return self.page.evaluate("phasecastProbe.clock()")

    def pixels(self, figure: str = "map") -> int:
        return self.page.evaluate(f"phasecastProbe.pixels('{figure}')")

    def settle(self, figure: str = "map") -> int:
        """Wait until a figure stands still; return what it shows."""
        return self.page.evaluate(f"phasecastProbe.still('{figure}')")

    def wait_repaint(self, before: int, figure: str = "map") -> int:
        """Wait until a figure shows something else; return what, once it stands still."""
        self.wait(f"phasecastProbe.pixels('{figure}') !== {before}")
        return self.settle(figure)

    def click_map(self, x_um: float, y_um: float) -> None:
        """Click a place of the map."""
        place = self.page.evaluate(f"phasecastProbe.place('map', {x_um}, {y_um})")
        self.page.mouse.click(place["x"], place["y"])

    def data(self, name: str) -> dict[str, list[Any]]:
        """Columns of a named data source, numbers as JSON can say them."""
        return self.page.evaluate(
            """name => Object.fromEntries(Object.entries(phasecastProbe.model(name).data).map(
                ([key, column]) => [key, Array.from(column)]))""",
            name,
        )

    def text(self, css: str = "body") -> str:
        """All text that people see below the first match, also inside of shadow trees."""
        return self.page.evaluate(TEXT, css)


TEXT = """css => {
  const find = root => {
    const hit = root.querySelector(css);
    if (hit !== null) return hit;
    for (const node of root.querySelectorAll('*')) {
      if (node.shadowRoot !== null) { const inner = find(node.shadowRoot); if (inner !== null) return inner; }
    }
    return null;
  };
  const words = [];
  const walk = node => {
    if (node.nodeType === Node.TEXT_NODE) { words.push(node.textContent); return; }
    if (node.nodeType === Node.ELEMENT_NODE) {
      if (['STYLE', 'SCRIPT', 'TEMPLATE'].includes(node.tagName)) return;
      const style = getComputedStyle(node);
      if (style.display === 'none' || style.visibility === 'hidden') return;
      if (node.placeholder) words.push(node.placeholder);
    }
    if (node.shadowRoot) walk(node.shadowRoot);
    for (const child of node.childNodes) walk(child);
  };
  const start = css === 'body' ? document.body : find(document);
  if (start === null) return '';
  walk(start);
  return words.map(word => word.trim()).filter(word => word !== '').join('\\n');
}"""


@contextlib.contextmanager
def page_server(data_dir: Path, folder: Path, *arguments: str) -> Iterator[PageServer]:
    """A page process that must not have told of an exception when it ends."""
    server = PageServer(data_dir, folder / "page.log", *arguments)
    try:
        yield server
    finally:
        server.end()
    assert "Traceback" not in server.log, server.log
