"""Makes the pictures of the documentation: ``python -m phasecast.services.screenshots docs/images``.

A developer's tool: it runs a simulated scan, opens page and report in the system's Chromium and takes pictures of
always the same size.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.requests import LabelPoints
from phasecast.core.words import LANGUAGES
from phasecast.records.clerk import Clerk
from phasecast.records.mailbox import Mailbox
from phasecast.results import open_result
from phasecast.results.layout import THRESHOLD
from phasecast.services.bench_scan import watched_scan
from phasecast.services.chromium import BrowserJournal, open_chromium, probe_script
from phasecast.services.page_controls import open_tab, show_scans
from phasecast.services.page_process import PageProcess, start_page
from phasecast.services.processes import spawn

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCANS = ((40, 60), (24, 36), (30, 45))
"""Rows and columns; the first is the one that is looked at."""
WINDOW = (1440, 1090)
SCANS_WINDOW = (1440, 400)
REPORT_WINDOW = (1120, 1500)
COLOURS = 256
LARGEST_BYTES = 400_000
_SETTLE = "phasecastProbe.still('map', {still_ms: 1500})"


def make_screenshots(folder: Path) -> list[Path]:
    """Write map, point, scans, model and report, in each language; return the files.

    Raises
    ------
    PhasecastError
        If there is no Chromium, a process ends early, or the page reports an error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="phasecast-screenshots-")))
        directory = _beamtime(root)
        scan = min(directory.results.glob("*.nxs"), key=lambda path: path.stat().st_mtime)
        _teach(stack, directory, scan, root / "train.log")
        page = start_page(stack, directory.root, root / "page.log")
        browser = stack.enter_context(open_chromium())
        written = []
        for language in LANGUAGES:
            written += _page(browser, page, scan, folder, language)
            report = _report(stack, scan, root / f"report-{language}", language)
            written.append(_report_picture(browser, report, folder, language))
    for path in written:
        _shrink(path)
    return written


def _beamtime(root: Path) -> DataDirectory:
    """Run some scans, the large one first, and lay them into one data directory."""
    whole = DataDirectory(root / "beamtime").create()
    for number, shape in enumerate(SCANS):
        directory = DataDirectory(root / f"scan-{number}").create()
        with watched_scan(directory, shape=shape, rate_hz=0) as scan:
            scan.begin()
            scan.finish()
        for kind in ("results", "captures", "reports"):
            for path in getattr(directory, kind).iterdir():
                path.rename(getattr(whole, kind) / path.name)
    return whole


def _page(browser: "Browser", page: PageProcess, scan: Path, folder: Path, language: str) -> list[Path]:
    point = _telling_point(scan)
    pictures = []
    for name, query in (("map", {}), ("point", {"point": str(point)}), ("scans", {}), ("model", {})):
        journal, tab = BrowserJournal(), _tab(browser)
        journal.watch(tab.context)
        tab.goto(page.url(scan=scan.name, lang=language, **query))
        tab.wait_for_function("() => phasecastProbe.clock()?.points_done > 0 && phasecastProbe.pixels('map') !== null")
        tab.evaluate(_SETTLE)
        if name == "scans":
            show_scans(tab, language=language)
            tab.set_viewport_size({"width": SCANS_WINDOW[0], "height": SCANS_WINDOW[1]})
            tab.wait_for_timeout(500)
        elif name == "model":
            open_tab(tab, "model.tab", language=language)
            tab.locator(".pc-queue-show").first.wait_for()
            tab.locator(".pc-model-card table").wait_for()
            tab.wait_for_timeout(1500)
        pictures.append(folder / f"{name}-{language}.png")
        tab.screenshot(path=pictures[-1])
        if journal.lines:
            raise PhasecastError("; ".join(journal.lines), where=tab.url)
        tab.context.close()
    return pictures


def _teach(stack: ExitStack, directory: DataDirectory, scan: Path, log: Path) -> None:
    """Label points of a scan as the model sees them, two of them differently by a second person, and train on that."""
    with open_result(scan) as result:
        confidence, raw_uid = result.confidences.to_numpy(), result.header.raw_uid
        names = np.array([phase.id for phase in result.header.classes])
    alike: dict[tuple[str, ...], list[int]] = {}
    for row in np.flatnonzero(np.isfinite(confidence).all(axis=1)).tolist():
        alike.setdefault(tuple(names[confidence[row] >= THRESHOLD].tolist()), []).append(row)
    said = [(rows[:: len(rows) // 10 + 1], classes, "A. Sato") for classes, rows in alike.items() if classes]
    said.append((said[0][0][:1], ("other",), "M. Mori"))
    mailbox, clerk = Mailbox(directory.requests), Clerk(directory)
    for rows, classes, who in said:
        mailbox.submit(
            LabelPoints(scan_raw_uid=raw_uid, result=scan.name, points=tuple(rows), classes=classes, who=who)
        )
        clerk.step()
    clerk.close()
    command = ["train", "xrd", "--data-dir", str(directory.root), "-o", str(directory.models / "bl16xu-rust-2")]
    command += ["--version", "2", "--owner", "A. Sato", "--trusted", "A. Sato", "--effort", "quick"]
    child = spawn(stack, "train", command, log)
    child.process.wait()
    child.must_live()


def _telling_point(scan: Path) -> int:
    """A point where two oxides are sure at once: stripes on the map, two phases in the pattern."""
    with open_result(scan) as result:
        confidence = result.confidences.to_numpy()
        rust = [k for k, phase in enumerate(result.header.classes) if phase.role == "rust"]
    return int(np.argmax(np.sort(np.nan_to_num(confidence[:, rust]), axis=1)[:, -2]))


def _report(stack: ExitStack, scan: Path, folder: Path, language: str) -> Path:
    folder.mkdir()
    report = folder / "report.html"
    command = ["report", str(scan), "--language", language, "-o", str(report)]
    child = spawn(stack, "report", command, folder / "report.log")
    child.process.wait()
    child.must_live()
    return report


def _report_picture(browser: "Browser", report: Path, folder: Path, language: str) -> Path:
    tab = _tab(browser, REPORT_WINDOW)
    tab.goto(report.as_uri())
    tab.wait_for_timeout(500)
    path = folder / f"report-{language}.png"
    tab.screenshot(path=path)
    tab.context.close()
    return path


def _tab(browser: "Browser", window: tuple[int, int] = WINDOW) -> "Page":
    context = browser.new_context(viewport={"width": window[0], "height": window[1]})
    tab = context.new_page()
    tab.add_init_script(probe_script())
    return tab


def _shrink(path: Path) -> None:
    """Write a picture again with few colours and as few bytes as PNG allows.

    Raises
    ------
    PhasecastError
        If it is still too large.
    """
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    if path.stat().st_size > LARGEST_BYTES:
        raise PhasecastError(f"{path.stat().st_size} bytes", where=str(path), remedy="show less on one picture")


if __name__ == "__main__":
    for written in make_screenshots(Path(sys.argv[1])):
        sys.stdout.write(f"{written} {written.stat().st_size / 1000:.0f} kB\n")
