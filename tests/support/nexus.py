"""The community's own judgement of a NeXus file."""

import re
import subprocess
import sys
from pathlib import Path

import h5py


def validation(path: Path, definition: str = "NXazint1d") -> tuple[int, int]:
    """Warnings and errors that nxvalidate counts; its exit status is always 0."""
    command = [str(Path(sys.executable).with_name("nxvalidate")), "-a", definition, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    output = done.stdout + done.stderr
    counts = [int(re.search(rf"Total number of {kind}: (\d+)", output)[1]) for kind in ("warnings", "errors")]
    return counts[0], counts[1]


def read_every_dataset(path: Path) -> int:
    """Read all datasets with plain h5py, as programs do that know nothing of growing files; return their number."""
    found = []

    def read(name, item):
        if isinstance(item, h5py.Dataset):
            item[()]
            found.append(name)

    with h5py.File(path, "r") as file:
        file.visititems(read)
    return len(found)
