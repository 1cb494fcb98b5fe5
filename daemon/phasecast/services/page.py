"""The live page: a reader of result files in a process of its own, and the clerk of the mailbox."""

import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.core.frame import FrameReference
from phasecast.core.result import ResultHeader
from phasecast.profiles import Profile
from phasecast.records.alarm_watch import AlarmWatch
from phasecast.records.clerk import Clerk
from phasecast.records.clerk_thread import ClerkThread
from phasecast.records.status import StatusFile
from phasecast.records.webhook import Webhook
from phasecast.services import page_exports, page_maps
from phasecast.services.page_models import model_tools, score_blind
from phasecast.services.placing import source_options
from phasecast.services.priority import be_nice
from phasecast.services.raw_frames import require_folders
from phasecast.sources.frame_store import CaptureFrameStore
from phasecast.web.hub import Hub, PageTools
from phasecast.web.server import PageAddress, PageServer

logger = logging.getLogger(__name__)

SERVICE = "page"
_NICE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """What `phasecast page` can be told; names as on the command line."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8016
    password_file: Path | None = None
    webhook: str = ""
    raw_roots: tuple[Path, ...] = ()


def run_page(options: PageOptions, *, say: Callable[[str], None]) -> int:
    """Serve the page until a signal; return the exit status.

    Raises
    ------
    PhasecastError
        If it cannot be served as asked.
    """
    address = PageAddress(host=options.host, port=options.port, password=_password(options.password_file))
    require_folders(options.raw_roots)
    directory = DataDirectory(options.data_dir).create()
    be_nice(_NICE)
    with ExitStack() as stack:
        clerk = Clerk(directory, score_blind=score_blind)
        thread = stack.enter_context(ClerkThread(clerk))
        webhook = stack.enter_context(Webhook(options.webhook)) if options.webhook else None
        watch = AlarmWatch(directory, webhook=webhook)
        stack.callback(watch.close)
        hub = Hub(directory, page_tools(directory, options.raw_roots), watch.book)
        stack.callback(hub.exports.close)
        status = StatusFile(directory.status / f"{SERVICE}.json")

        def every_second() -> None:
            watch.step(leads=clerk.is_working)
            status.write(describe)

        server = PageServer(hub, address, every_second)
        url = f"http://{address.host}:{server.port}/"

        def describe() -> dict[str, object]:
            return {
                "service": SERVICE,
                "state": "running",
                "url": url,
                "sessions": server.sessions,
                "clerk": {"works": clerk.is_working, "failures": thread.failures, "error": thread.error},
                "alarms": [alarm.kind for alarm in watch.book.alarms],
                "webhook": webhook.status() if webhook is not None else None,
            }

        for number in (signal.SIGINT, signal.SIGTERM):
            previous = signal.signal(number, lambda *_: server.stop())
            stack.callback(signal.signal, number, previous)
        say(f"page: {url}")
        server.run()
    return 0


def page_tools(directory: DataDirectory, raw_roots: Sequence[Path] = ()) -> PageTools:
    """Return what the page needs from sources, diffraction and report.

    Parameters
    ----------
    directory
        The data directory.
    raw_roots
        Folders below which the raw frames may lie now.
    """
    roots = (directory.root, *raw_roots)
    return PageTools(
        read_frame=lambda header, reference: _read_frame(directory, roots, header, reference),
        tth_of_pixels=_tth_of_pixels,
        draw_png=partial(page_exports.in_own_process, page_exports.draw_png),
        write_csv=partial(page_exports.in_own_process, page_exports.write_csv),
        snapshot=partial(page_exports.in_own_process, page_exports.snapshot),
        make_report=page_exports.make_report,
        write_repair=partial(page_exports.in_own_process, page_maps.write_repair),
        describe_map=partial(page_exports.in_own_process, page_maps.describe_map),
        models=model_tools(),
    )


def _read_frame(
    directory: DataDirectory, roots: Sequence[Path], header: ResultHeader, reference: FrameReference
) -> NDArray[np.integer]:
    try:
        options = source_options(Profile.model_validate(header.profile))
    except ValidationError as error:
        # A profile of other days, or none: most wires can be decoded without one, and the rest says why it cannot.
        logger.info("frames of %s are read without its profile: %s", header.result_uid, error)
        options = None
    store = CaptureFrameStore(directory.captures, roots, options=options)
    return store.read(reference)


def _tth_of_pixels(header: ResultHeader) -> NDArray[np.floating] | None:
    geometry = header.processing.get("geometry")
    if not geometry:
        return None
    return _tth_of_geometry(tuple(sorted((key, _frozen(value)) for key, value in geometry.items())))


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


@lru_cache(maxsize=4)
def _tth_of_geometry(values: tuple[tuple[str, object], ...]) -> NDArray[np.floating] | None:
    from phasecast.xrd.geometry import DetectorGeometry

    try:
        geometry = DetectorGeometry(**dict(values))  # type: ignore[arg-type]
        tth_rad: NDArray[np.floating] = geometry.pyfai().center_array(geometry.shape, unit="2th_rad")
        tth_deg: NDArray[np.floating] = np.degrees(tth_rad)
        return tth_deg
    except (TypeError, ValueError, KeyError) as error:
        logger.warning("no 2theta of pixels: %s", error)
        return None


def _password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        password = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise PhasecastError(f"cannot be read: {error.strerror}", where=str(file)) from error
    if not password:
        raise PhasecastError("holds no password", where=str(file), remedy="write one into its first line")
    return password
