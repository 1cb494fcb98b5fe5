"""Which file systems a growing result may lie on, told from the table of mounts."""

from pathlib import Path

import pytest

from phasecast.core.errors import PhasecastError
from phasecast.services.data_directory_guard import file_system_of, require_local_disk
from phasecast.services.live_xrd import LiveOptions, run_live_xrd

MOUNTS = r"""/dev/sda1 / ext4 rw 0 0
server:/export /net/data nfs4 rw,vers=4.2 0 0
//nas/share /mnt/my\040share cifs rw 0 0
mgr /gpfs gpfs rw 0 0
me@host:/ /home/me/remote fuse.sshfs rw 0 0
/dev/nvme0n1 /net/data/scratch xfs rw 0 0
beegfs_nodev /over beegfs rw 0 0
tmpfs /over tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "type_", "is_network"),
    [
        ("/data/beamtime", "ext4", False),
        ("/net/data/beamtime", "nfs4", True),
        ("/net/database", "ext4", False),
        ("/mnt/my share/x", "cifs", True),
        ("/gpfs/u", "gpfs", True),
        ("/home/me/remote/b", "fuse.sshfs", True),
        ("/net/data/scratch/b", "xfs", False),
        ("/over/b", "tmpfs", False),
    ],
)
def test_the_innermost_and_latest_mount_decides(path, type_, is_network):
    found = file_system_of(Path(path), MOUNTS)
    assert (found.type, found.is_network) == (type_, is_network)


def test_the_refusal_names_type_reason_and_what_to_do(tmp_path):
    link = tmp_path / "link"
    mounts = f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path}/share nfs rw 0 0\n"
    link.symlink_to(tmp_path / "share")
    with pytest.raises(PhasecastError, match=r"network file system \(nfs, server:/x.*SWMR.*phasecast archive"):
        require_local_disk(link / "beamtime", mounts)


def test_this_machine_has_a_local_disk_and_the_daemon_asks_before_it_makes_anything(tmp_path, monkeypatch):
    assert not require_local_disk(tmp_path).is_network
    table = tmp_path / "mounts"
    table.write_text(f"/dev/sda1 / ext4 rw 0 0\nnas:/x {tmp_path}/share nfs4 rw 0 0\n")
    monkeypatch.setattr("phasecast.services.data_directory_guard._MOUNTS", table)
    options = LiveOptions(profile="bl16xu", data_dir=tmp_path / "share" / "beamtime")
    with pytest.raises(PhasecastError, match="network file system"):
        run_live_xrd(options)
    assert not (tmp_path / "share").exists()
