"""A process of its own that writes a result page by page, told what to do on its standard input.

Commands: ``pages N`` writes N pages and answers with the points committed so far; ``run`` writes to the end,
answering after every page; ``room N`` lets no file grow beyond N bytes; ``torn`` writes scored points and
their ledger rows without the commit; ``reject ROW`` and ``revise ROW`` do that to one point; ``stop``.
"""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import numpy as np

from phasecast.core.errors import ResultFileError
from phasecast.core.ledger import PointFlag, PointState
from phasecast.sinks.nexus import NexusSink
from support.documents import Scan, make_header, raster

PAGE = 3
SHAPE = (20, 15)


def scan(*, scattered: bool = False, origin: tuple[float, float] = (0.0, 0.0), **header: Any) -> Scan:
    """The run that the process writes; scattered points are not announced."""
    x_um, y_um = raster(SHAPE)
    settings: dict[str, Any] = {"shape": None, "expected": None} if scattered else {"shape": SHAPE}
    return Scan(make_header(**({"bins": 30} | settings | header)), x_um + origin[0], y_um + origin[1])


class WriterProcess:
    """Handle on such a process."""

    def __init__(self, path: Path, *, first: int = 0, **settings: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.result_writer", str(path), str(first), json.dumps(settings)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "ready"

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def ask(self, command: str) -> str:
        self.tell(command)
        return self.answer()

    def answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> list[str]:
        """Kill it without warning; return the answers it had still given."""
        self._process.kill()
        left, _ = self._process.communicate()
        return left.splitlines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def _main(path: Path, first: int, settings: dict[str, Any]) -> None:
    run = scan(**settings)
    sink = NexusSink.resume(path) if first else NexusSink(path)
    for document in run.opening():
        sink(*document)
    _say("ready")
    pages = run.pages(PAGE, first=first)
    done = first
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "torn":
            rows = np.arange(done, done + PAGE)
            sink(*run.points(rows))
            _without_commit(sink, run, rows)
            _say(done)
        elif command == "room":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(argument), int(argument)))
        elif command == "reject":
            sink(*run.ledger(np.array([int(argument)]), PointState.REJECTED, reason="wrong shape"))
            _say(done)
        elif command == "revise":
            row = np.array([int(argument)])
            sink(*run.points(row, revision=1))
            sink(*run.ledger(row, flags=int(PointFlag.REVISED)))
            _say(done)
        elif command == "stop":
            sink(*run.stop())
            _say("stopped")
        else:
            count = int(argument) if command == "pages" else len(run.x_um)
            for _ in range(count):
                document = next(pages, None)
                if document is None:
                    break
                try:
                    sink(*document)
                    sink(*next(pages))
                except ResultFileError as error:
                    _say(f"failed: {error}")
                    return
                done = min(done + PAGE, len(run.x_um))
                if command == "run":
                    _say(done)
            _say(done)


def _without_commit(sink: NexusSink, run: Scan, rows: np.ndarray) -> None:
    """Let the ledger page reach the disk, and die before its commit."""
    writer = sink._writer
    assert writer is not None
    writer._commit = lambda *_: writer._file.flush()  # type: ignore[method-assign]
    sink(*run.ledger(rows))


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]))
