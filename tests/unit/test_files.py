"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models import files


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "state"

    files.replace_file(target, b"first")
    files.replace_file(target, b"second")

    assert target.read_bytes() == b"second"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "state"
    files.replace_file(target, b"old")

    def full_disk(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        files.replace_file(target, b"new")

    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_who_may_read_and_write_a_file_is_what_the_umask_says(tmp_path: Path, umask: int, mode: int) -> None:
    with masked(umask):
        files.replace_file(tmp_path / "file", b"shared")
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_a_file_may_be_for_its_owner_alone_whatever_the_umask_says(tmp_path: Path) -> None:
    with masked(0):
        files.replace_file(tmp_path / "secret", b"token", mode=0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_file_system_that_cannot_sync_directories_keeps_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def as_over_a_network(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", as_over_a_network)
    with files.incoming_file(tmp_path) as incoming:
        incoming.stream.write(b"shared")
        incoming.appear_as(tmp_path / "named")
    assert (tmp_path / "named").read_bytes() == b"shared"


def test_a_file_that_is_given_no_name_is_gone(tmp_path: Path) -> None:
    with files.incoming_file(tmp_path) as incoming:
        incoming.stream.write(b"half")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def masked(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)
