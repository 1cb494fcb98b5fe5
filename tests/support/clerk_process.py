"""A clerk in a process of its own that stops dead at a chosen place, so that it can be killed there.

Arguments: data directory, and ``answer`` (everything written, the answer not) or ``work`` (works on; says each count).
"""

import sys
import time
from pathlib import Path

from phasecast.core.data_directory import DataDirectory
from phasecast.core.requests import Answer
from phasecast.records.clerk import Clerk
from phasecast.records.mailbox import Mailbox, RequestId


class _NeverAnswers(Mailbox):
    def settle(self, request_id: RequestId, answer: Answer) -> None:
        _say(f"would answer {answer.ok}")
        time.sleep(3600)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _main(root: Path, place: str) -> None:
    directory = DataDirectory(root)
    clerk = Clerk(directory, mailbox=_NeverAnswers(directory.requests) if place == "answer" else None)
    clerk.step()
    _say(f"working {clerk.is_working}")
    while True:
        if served := clerk.step():
            _say(str(served))
        time.sleep(0.005)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
