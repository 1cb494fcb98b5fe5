"""What a process takes of the machine, as Linux tells it; None where the system does not say."""

import os
from pathlib import Path

_BYTES_A_MB = 1 << 20


def memory_mb(pid: int) -> float | None:
    """Resident memory in MB (2^20 bytes) now."""
    return _status_mb(pid, "VmRSS:")


def peak_memory_mb(pid: int) -> float | None:
    """Largest resident memory so far in MB (2^20 bytes)."""
    return _status_mb(pid, "VmHWM:")


def seconds_of_cpu(pid: int) -> float | None:
    """Processor time so far in s, user and system, of all threads and no children."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    # the name in brackets may hold blanks; fields are counted behind it
    fields = content.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_mb(pid: int, key: str) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kilobytes = next((int(line.split()[1]) for line in lines if line.startswith(key)), None)
    return None if kilobytes is None else kilobytes * 1024 / _BYTES_A_MB
