"""The command line, run as people run it."""

import subprocess
import sys


def run(*words, timeout_s=240):
    """Run ``phasecast`` with these words and return what it printed and how it ended."""
    command = [sys.executable, "-m", "phasecast.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
