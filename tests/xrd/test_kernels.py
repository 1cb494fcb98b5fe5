"""Compiled code is there before the first frame, also where nothing can be kept on disk."""

import os
import subprocess
import sys
from pathlib import Path

import phasecast.xrd.kernels

USE = """
import numpy as np, kernels_alone as k
starts, pixels = np.array([0, 2], np.uint32), np.arange(2, dtype=np.uint32)
out = np.empty(1, np.float32)
k.largest_counts(starts, pixels, np.array([3, 5], np.float32), out)
print(out[0], k.largest_counts.stats.cache_path)
"""


def test_kernels_compile_where_no_cache_can_be_written(tmp_path: Path) -> None:
    """Root may write into any folder, so files stand where folders would be made."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    package = tmp_path / "package"
    package.mkdir()
    (package / "kernels_alone.py").write_text(Path(phasecast.xrd.kernels.__file__).read_text())
    (package / "__pycache__").write_text("")
    environment = os.environ | {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=package, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["5.0", "None"]
