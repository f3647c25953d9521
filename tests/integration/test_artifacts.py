"""A store keeps what it was given or says that it could not; nothing damaged is ever believed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.artifacts import ArtifactDamaged, LocalStore
from orchestrator.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(3_000_000))
    return file


def files_in(store: LocalStore) -> list[Path]:
    return [path for path in store.directory.rglob("*") if path.is_file()]


def test_what_was_put_is_fetched_to_the_byte(store: LocalStore, file: Path, tmp_path: Path) -> None:
    artifact = store.put(file)
    store.fetch(artifact, tmp_path / "sub" / "copy")
    assert (tmp_path / "sub" / "copy").read_bytes() == file.read_bytes()


def test_what_is_kept_may_be_read_by_whom_the_umask_lets(store: LocalStore, file: Path) -> None:
    before = os.umask(0o027)
    try:
        store.put(file)
    finally:
        os.umask(before)
    assert files_in(store)[0].stat().st_mode & 0o777 == 0o640


def test_a_store_that_is_no_directory_holds_nothing(tmp_path: Path, store: LocalStore, file: Path) -> None:
    artifact = store.put(file)
    assert store.has(artifact)
    assert not LocalStore(tmp_path / "nowhere").has(artifact)
    assert not LocalStore(file).has(artifact)


def test_the_same_bytes_are_kept_once(store: LocalStore, file: Path) -> None:
    assert store.put(file) == store.put(file)
    assert len(files_in(store)) == 1


def test_a_truncated_artifact_is_refused_and_nothing_appears(store: LocalStore, file: Path, tmp_path: Path) -> None:
    artifact = store.put(file)
    with files_in(store)[0].open("r+b") as stream:
        stream.truncate(1000)
    with pytest.raises(ArtifactDamaged, match="1000 bytes"):
        store.fetch(artifact, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_one_flipped_bit_is_refused(store: LocalStore, file: Path, tmp_path: Path) -> None:
    artifact = store.put(file)
    with files_in(store)[0].open("r+b") as stream:
        stream.seek(12345)
        byte = stream.read(1)[0]
        stream.seek(12345)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(ArtifactDamaged, match="is damaged"):
        store.fetch(artifact, tmp_path / "copy")


def test_a_missing_artifact_is_told(store: LocalStore, file: Path, tmp_path: Path) -> None:
    artifact = store.put(file)
    store.delete(artifact)
    store.delete(artifact)
    with pytest.raises(ArtifactDamaged, match="is missing"):
        store.fetch(artifact, tmp_path / "copy")


def test_a_disk_without_room_gives_a_sentence_and_leaves_nothing(store: LocalStore, file: Path) -> None:
    """The kernel refuses the write (a limit of a megabyte a file stands in for a full disk)."""
    script = f"""
import resource
from pathlib import Path
from orchestrator.artifacts import LocalStore
from orchestrator.errors import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    LocalStore(Path({str(store.directory)!r})).put(Path({str(file)!r}))
except StoreError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "could not be kept" in told and "free some space" in told
    assert files_in(store) == []


def test_a_directory_that_cannot_be_written_gives_a_sentence(tmp_path: Path, file: Path) -> None:
    blocked = tmp_path / "store"
    blocked.write_text("a file where the directory should be")
    with pytest.raises(StoreError, match="could not be kept"):
        LocalStore(blocked).put(file)
