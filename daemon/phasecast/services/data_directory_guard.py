"""Whether a live data directory may lie where it lies: result files that grow need a disk of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from phasecast.core.errors import PhasecastError

NETWORK_TYPES = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda",
        "gpfs", "mmfs", "lustre", "beegfs", "fhgfs", "ceph", "glusterfs", "orangefs", "pvfs2", "panfs", "ocfs2", "gfs2",
        "weka", "wekafs", "quobyte", "davfs",
        "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.rclone", "fuse.s3fs", "fuse.davfs2",
        "fuse.gvfsd-fuse", "fuse.curlftpfs", "fuse.juicefs", "fuse.quobyte", "fuse.onedriver", "fuse.smbnetfs",
    }
)  # fmt: skip
"""Types of file systems, as ``/proc/mounts`` names them, whose bytes lie on another machine."""

_MOUNTS = Path("/proc/self/mounts")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """The file system that a path lies on.

    Parameters
    ----------
    type
        As ``/proc/mounts`` names it, such as ``ext4`` or ``nfs4``; empty if it cannot be told.
    mount_point
        Where it is mounted.
    device
        What is mounted there.
    """

    type: str
    mount_point: str = ""
    device: str = ""

    @property
    def is_network(self) -> bool:
        """Whether its bytes lie on another machine."""
        return self.type in NETWORK_TYPES


def file_system_of(path: Path, mounts: str | None = None) -> FileSystem:
    """Return the file system that a path lies on, or would lie on once it is made.

    Parameters
    ----------
    path
        Links in it are followed.
    mounts
        Text in the format of ``/proc/mounts``; this machine's own if None.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return FileSystem(type="")
    place = path.expanduser().resolve()
    found = FileSystem(type="")
    for line in mounts.splitlines():
        words = [_OCTAL.sub(lambda match: chr(int(match[1], 8)), word) for word in line.split(" ")]
        if len(words) < 3 or not place.is_relative_to(words[1]):
            continue
        # of mounts over one another the later one is seen
        if len(words[1]) >= len(found.mount_point):
            found = FileSystem(type=words[2], mount_point=words[1], device=words[0])
    return found


def require_local_disk(path: Path, mounts: str | None = None) -> FileSystem:
    """Return the file system of a live data directory.

    Readers follow a growing HDF5 file (SWMR) only where a write is seen at once and in order by every reader, which
    POSIX promises for a local disk and network file systems do not ("Introduction to Single-Writer/Multiple-Reader",
    The HDF Group: NFS and SMB are not supported).

    Raises
    ------
    PhasecastError
        If it lies on a network file system.
    """
    found = file_system_of(path, mounts)
    if found.is_network:
        raise PhasecastError(
            f"lies on a network file system ({found.type}, {found.device} at {found.mount_point}); "
            "files that grow while others read them (HDF5 SWMR) need a local disk",
            where=str(path),
            remedy="choose a folder on a disk of this machine with --data-dir and copy closed scans to the server "
            "with `phasecast archive`",
        )
    return found
