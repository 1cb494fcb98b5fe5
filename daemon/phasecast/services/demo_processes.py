"""What every demo starts: a simulated beamline, the daemon, and the page beside it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from phasecast.core.data_directory import DataDirectory
from phasecast.records.status import read_status
from phasecast.services.lifecycle import exit_on_sigterm, stop_on_signals
from phasecast.services.processes import POLL_S, Child, is_free, spawn, wait_for
from phasecast.services.simulated_live import SimulatedLive, start_simulated_live


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `phasecast demo` can be told; names as on the command line."""

    data_dir: Path
    rows: int = 40
    columns: int = 60
    rate_hz: float = 50.0
    seed: int = 0
    files: bool = False
    log_later: bool = False
    device: str = "auto"
    port: int = 8016
    page: bool = True
    once: bool = True
    catalog: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDemo:
    """Processes of a demo whose scan has begun.

    Parameters
    ----------
    live
        Beamline and daemon.
    truth
        File with the true map.
    page
        The page; None if the demo has none.
    """

    live: SimulatedLive
    truth: Path
    page: Child | None

    def keep_page_open(self, console: Console) -> None:
        """Leave the page, if there is one, open until a signal comes."""
        if self.page is None:
            return
        console.print("the page stays open; Ctrl-C ends the demo")
        with stop_on_signals() as stop:
            while not stop.wait(POLL_S):
                self.page.must_live()


def make_demo_directory(options: DemoOptions) -> DataDirectory:
    """Make a data directory for one run of a demo, named by the time."""
    return DataDirectory(options.data_dir / time.strftime("%Y%m%d-%H%M%S")).create()


@contextmanager
def running_demo(
    options: DemoOptions,
    directory: DataDirectory,
    console: Console,
    *,
    simulate: Sequence[str],
    live: Sequence[str] = (),
) -> Iterator[RunningDemo]:
    """Start all processes of a demo and let its scan begin; they end with the context.

    Parameters
    ----------
    options
        What the demo was told.
    directory
        Where it keeps its data.
    console
        Where it says what it does.
    simulate, live
        What is added to ``phasecast simulate xrd`` and ``phasecast live xrd``.

    Raises
    ------
    PhasecastError
        If one of the processes ends early or does not start within two minutes.
    """
    truth = directory.root / "truth.json"
    beamline = ["--shape", f"{options.rows}x{options.columns}", "--rate", str(options.rate_hz)]
    beamline += ["--seed", str(options.seed), "--truth", str(truth), *simulate]
    with ExitStack() as stack:
        stack.enter_context(exit_on_sigterm())
        page = _open_page(stack, console, directory, options) if options.page else None
        daemon = ["--device", options.device, "--catalog", options.catalog]
        scan = start_simulated_live(stack, directory, simulate=beamline, live=[*daemon, *live])
        scan.begin()
        yield RunningDemo(live=scan, truth=truth, page=page)


def _open_page(stack: ExitStack, console: Console, directory: DataDirectory, options: DemoOptions) -> Child:
    """Start the page beside the daemon, on another port where the wanted one is taken."""
    port = options.port if is_free(options.port) else 0
    if port != options.port:
        console.print(f"port {options.port} is taken; the page chooses another")
    page = spawn(
        stack, "page", ["page", "--data-dir", str(directory.root), "--port", str(port)], directory.root / "page.log"
    )
    status_file = directory.status / "page.json"
    wait_for(lambda: read_status(status_file) is not None, page, "the page to open")
    console.print(f"[bold]live page[/]: {(read_status(status_file) or {}).get('url')}", soft_wrap=True)
    return page
