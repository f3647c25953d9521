"""A worker's directory is its own while it lives, whoever shares the place; and nobody's when it is dead."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import DiskError
from tests.support.processes import PATIENCE_SECONDS
from workers.machine.scratch import Scratch

HOLDS_ONE = """
import sys
from workers.machine.scratch import Scratch
print(Scratch().path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where directories are made; nobody else is there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def without_room(prefix: str) -> str:  # noqa: ARG001
    raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def another_worker(*before: str) -> Iterator[Path]:
    """The directory of a process that lives until the end of the block, and is killed there."""
    command = [*before, sys.executable, "-P", "-c", HOLDS_ONE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip())
        process.kill()
        process.wait(PATIENCE_SECONDS)


def test_a_directory_of_a_living_worker_is_left_alone_and_that_of_a_killed_one_removed() -> None:
    with another_worker() as others:
        (others / "a file").touch()
        Scratch()
        assert (others / "a file").exists()
    Scratch()
    assert not others.exists()


@pytest.mark.skipif(
    subprocess.run(["unshare", "-Urpf", "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine allows no namespace of processes",
)
def test_a_living_worker_of_another_container_keeps_its_directory() -> None:
    """There it may have any process id: one that is nobody's here, or that of another."""
    with another_worker("unshare", "-Urpf", "--kill-child") as others:
        Scratch()
        assert others.is_dir()


def test_a_number_in_its_name_makes_no_directory_a_dead_workers(place: Path) -> None:
    """An older Orch names its process so and holds no lock; in another container that process may live."""
    older = place / f"orch-worker-{2**22 + 1}-abc"
    older.mkdir()
    Scratch()
    assert older.exists()


def test_it_is_its_users_alone_whatever_the_umask() -> None:
    before = os.umask(0)
    try:
        scratch = Scratch()
    finally:
        os.umask(before)
    assert scratch.path.stat().st_mode & 0o777 == 0o700


def test_a_link_that_somebody_put_there_leads_to_no_deletion(place: Path) -> None:
    precious = place / "precious"
    precious.mkdir()
    (precious / "a file").touch()
    (place / "orch-scratch-link").symlink_to(precious)
    Scratch()
    assert (precious / "a file").exists()


def test_one_that_was_deleted_is_replaced_by_another_that_is_owned_as_well() -> None:
    scratch = Scratch()
    lost = scratch.path
    assert scratch.is_there()
    shutil.rmtree(lost)
    assert not scratch.is_there()
    lost.mkdir()
    assert not scratch.is_there(), "another directory of the name is not the worker's"
    scratch.replace()
    assert scratch.is_there() and scratch.path != lost
    Scratch()
    assert scratch.is_there()
    scratch.remove()
    assert not scratch.path.exists()


def test_where_there_are_no_locks_nothing_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without_locks)
    first = Scratch()
    second = Scratch()
    assert first.is_there() and second.is_there()


def test_one_that_is_swept_before_it_is_locked_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    mkdtemp = tempfile.mkdtemp

    def swept_at_first(prefix: str) -> str:
        made.append(mkdtemp(prefix=prefix))
        if len(made) == 1:
            shutil.rmtree(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept_at_first)
    scratch = Scratch()
    assert scratch.is_there() and str(scratch.path) == made[1]


def test_one_that_cannot_be_replaced_now_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch()
    shutil.rmtree(scratch.path)
    with monkeypatch.context() as full:
        full.setattr(tempfile, "mkdtemp", without_room)
        with pytest.raises(DiskError):
            scratch.replace()
    scratch.replace()
    assert scratch.is_there()
    scratch.remove()


def test_a_disk_without_room_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", without_room)
    with pytest.raises(DiskError, match="No space left on device; free some space, or name another place in TMPDIR"):
        Scratch()
