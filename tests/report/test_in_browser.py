"""The report in a real browser, from a file: nothing is asked of anyone, nothing is cut off, Japanese is readable."""

from pathlib import Path
from typing import Any

import pytest

from phasecast.core.words import Language
from phasecast.services.report import write_report
from phasecast.sinks.nexus import NexusSink
from support.documents import raster_scan


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_report_opens_from_a_stick(tmp_path: Path, browser: Any, language: Language) -> None:
    sink = NexusSink(tmp_path / "scan.nxs")
    for document in raster_scan((6, 8), bins=60).documents(10):
        sink(*document)
    html = write_report(sink.path, tmp_path / "stick" / "report.html", language=language).html
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(html.as_uri())
    page.evaluate("document.fonts.ready")
    assert page.locator("h1").inner_text().startswith("錆 A-3")
    assert page.evaluate("[...document.fonts].map(font => font.status)") == ["loaded"]
    for width in (1200, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 500)")
    boxes = page.locator("figure svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert boxes
    assert min(boxes) > 80
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert [url for url in asked if not url.startswith("data:")] == [html.as_uri()]
    assert said == []
    context.close()
