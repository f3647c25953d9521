"""A job table is not put where SQLite's locks do not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import HomeError
from orchestrator.jobtable.backends import mounts
from orchestrator.jobtable.backends.mounts import unsafe_file_system
from orchestrator.jobtable.backends.sqlite import SqliteBackend

TABLE = """\
overlay / overlay rw 0 0
/dev/sda1 /data ext4 rw 0 0
drive /content/drive fuse.drive rw 0 0
server:/home /home nfs4 rw 0 0
tmpfs /home/local tmpfs rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/study.orch/jobs.db", None),
        ("/anywhere/jobs.db", None),
        ("/content/drive/MyDrive/study.orch/jobs.db", "fuse.drive"),
        ("/content/driver/jobs.db", None),
        ("/home/ada/jobs.db", "nfs4"),
        ("/home/local/jobs.db", None),
        ("/mnt/my share/jobs.db", "cifs"),
    ],
)
def test_the_file_system_nearest_to_the_path_decides(path: str, kind: str | None) -> None:
    assert unsafe_file_system(Path(path), TABLE) == kind


@pytest.mark.parametrize("kind", ["beegfs", "gpfs", "lustre", "ceph", "glusterfs", "virtiofs", "fuseblk", "9p"])
def test_what_several_machines_share_is_refused(kind: str) -> None:
    assert unsafe_file_system(Path("/shared/jobs.db"), f"{TABLE}there /shared {kind} rw 0 0\n") == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "apfs"])
def test_a_disk_of_this_machine_is_taken(kind: str) -> None:
    assert unsafe_file_system(Path("/own/jobs.db"), f"{TABLE}/dev/sdb1 /own {kind} rw 0 0\n") is None


def test_a_later_mount_hides_an_earlier_one_of_the_same_place() -> None:
    assert unsafe_file_system(Path("/data/jobs.db"), TABLE + "drive /data fuse.rclone rw 0 0\n") == "fuse.rclone"


def test_a_job_table_on_a_mounted_drive_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mounts"
    table.write_text(TABLE + f"drive {tmp_path} fuse.drive rw 0 0\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    with pytest.raises(HomeError, match=r"is on fuse\.drive, .* locks .* local disk"):
        SqliteBackend(tmp_path / "jobs.db")
    assert not (tmp_path / "jobs.db").exists()
