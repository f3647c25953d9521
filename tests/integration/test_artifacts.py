"""A store keeps what it was given or says that it could not; nothing damaged is ever believed.

The first part is the contract, over every kind of store.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from models import files
from models.files import TEMPORARY
from orchestrator.artifacts import ArtifactDamaged, ArtifactStore, LocalStore, Stored, local
from orchestrator.errors import DiskError, StoreError
from orchestrator.google_drive import folder, signin
from orchestrator.google_drive.artifact_store import DriveStore
from orchestrator.google_drive.client import DriveClient
from orchestrator.jobs import Artifact
from orchestrator.object_stores.artifact_store import ObjectArtifacts
from tests.support.drive import DriveServer
from tests.support.object_store import Dialect, ObjectServer
from tests.support.object_store.signed_in import client_of, environment_of

BYTES = 3_000_000


class Kept(Protocol):
    """A store, and what a test does to it behind its back."""

    @property
    def store(self) -> ArtifactStore: ...

    def contents(self) -> list[bytes]: ...

    def change(self, change: Callable[[bytes], bytes]) -> None:
        """What the one file holds that is kept."""
        ...


class KeptInDirectory:
    def __init__(self, directory: Path) -> None:
        self.store = LocalStore(directory)

    def contents(self) -> list[bytes]:
        return [path.read_bytes() for path in files_in(self.store)]

    def change(self, change: Callable[[bytes], bytes]) -> None:
        (file,) = files_in(self.store)
        file.write_bytes(change(file.read_bytes()))


class KeptOnDrive:
    def __init__(self, drive: DriveServer, token: Path) -> None:
        self._drive = drive
        client = DriveClient(signin.of_token_file(drive.account("ann@example.org").token_file(token)), drive.url)
        self._folder = folder.made(client, "study").artifacts
        self.store = DriveStore(client, self._folder, "the study's folder")

    def contents(self) -> list[bytes]:
        return [file.content for file in self._drive.files() if self._folder in file.parents]

    def change(self, change: Callable[[bytes], bytes]) -> None:
        (file,) = [file for file in self._drive.files() if self._folder in file.parents]
        file.content = change(file.content)


class KeptInObjectStore:
    def __init__(self, server: ObjectServer) -> None:
        self._server = server
        self.store = ObjectArtifacts(client_of(server), "the study's bucket")

    def contents(self) -> list[bytes]:
        return [found.content for found in self._server.objects().values()]

    def change(self, change: Callable[[bytes], bytes]) -> None:
        (key,) = self._server.objects()
        self._server.change(key, change)


@contextmanager
def _in_directory(place: Path) -> Iterator[Kept]:
    yield KeptInDirectory(place / "store")


@contextmanager
def _on_drive(place: Path) -> Iterator[Kept]:
    with DriveServer() as drive:
        yield KeptOnDrive(drive, place / "token")


@contextmanager
def _in_object_store(dialect: Dialect, _: Path, *, opaque_etags: bool = False) -> Iterator[Kept]:
    with ObjectServer(dialect) as server, pytest.MonkeyPatch.context() as environment:
        server.state.opaque_etags = opaque_etags
        for name, value in environment_of(server).items():
            environment.setenv(name, value)
        yield KeptInObjectStore(server)


STORES: Mapping[str, Callable[[Path], AbstractContextManager[Kept]]] = {
    "directory": _in_directory,
    "drive": _on_drive,
    "s3": partial(_in_object_store, Dialect.S3),
    "s3, encrypted with a customer's key": partial(_in_object_store, Dialect.S3, opaque_etags=True),
    "gcs": partial(_in_object_store, Dialect.GCS),
}
"""Every kind of store: a new one joins the contract by one entry here."""


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    with STORES[request.param](tmp_path) as kept:
        yield kept


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(BYTES))
    return file


def test_what_was_put_is_fetched_to_the_byte(kept: Kept, file: Path, tmp_path: Path) -> None:
    artifact = kept.store.put(file)
    assert artifact.size == BYTES
    assert kept.store.has(artifact)
    kept.store.fetch(artifact, tmp_path / "sub" / "copy")
    assert (tmp_path / "sub" / "copy").read_bytes() == file.read_bytes()


def test_the_same_bytes_are_kept_once(kept: Kept, file: Path) -> None:
    assert kept.store.put(file) == kept.store.put(file)
    assert kept.contents() == [file.read_bytes()]


def test_a_truncated_artifact_is_refused_and_nothing_appears(kept: Kept, file: Path, tmp_path: Path) -> None:
    artifact = kept.store.put(file)
    kept.change(lambda content: content[:1000])
    assert not kept.store.has(artifact)
    with pytest.raises(ArtifactDamaged, match="1000 bytes"):
        kept.store.fetch(artifact, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_one_flipped_bit_is_refused(kept: Kept, file: Path, tmp_path: Path) -> None:
    artifact = kept.store.put(file)
    kept.change(lambda content: content[:12345] + bytes([content[12345] ^ 1]) + content[12346:])
    with pytest.raises(ArtifactDamaged, match="is damaged"):
        kept.store.fetch(artifact, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_deleted_artifact_is_told_as_missing_and_can_be_put_again(kept: Kept, file: Path, tmp_path: Path) -> None:
    artifact = kept.store.put(file)
    kept.store.delete(artifact)
    kept.store.delete(artifact)
    assert not kept.store.has(artifact)
    with pytest.raises(ArtifactDamaged, match="is missing"):
        kept.store.fetch(artifact, tmp_path / "copy")
    assert kept.store.has(kept.store.put(file))


def test_what_is_stored_is_listed_with_its_age(kept: Kept, file: Path) -> None:
    assert list(kept.store.stored()) == []
    artifact = kept.store.put(file)
    (stored,) = kept.store.stored()
    assert stored.artifact == artifact
    assert -2 < stored.age_seconds < 60


def test_a_file_is_whole_until_it_is_changed_or_deleted(kept: Kept, file: Path) -> None:
    artifact = kept.store.put(file)
    assert kept.store.is_whole(artifact)
    kept.change(lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    assert kept.store.has(artifact) and not kept.store.is_whole(artifact)
    kept.store.delete(artifact)
    assert not kept.store.is_whole(artifact)


def test_what_is_garbage_to_the_last_is_discarded(kept: Kept, file: Path) -> None:
    kept.store.put(file)
    (stored,) = kept.store.stored()
    assert kept.store.discard(stored, lambda again: again.artifact == stored.artifact)
    assert list(kept.store.stored()) == [] and kept.contents() == []


def test_what_has_been_named_since_it_was_listed_stays_where_it_was(kept: Kept, file: Path, tmp_path: Path) -> None:
    artifact = kept.store.put(file)
    (stored,) = kept.store.stored()
    assert not kept.store.discard(stored, lambda _: False)
    kept.store.fetch(artifact, tmp_path / "copy")
    assert kept.contents() == [file.read_bytes()]


def test_a_file_that_is_longer_than_it_was_is_refused_before_its_end(kept: Kept, file: Path, tmp_path: Path) -> None:
    artifact = kept.store.put(file)
    kept.change(lambda content: content * 20)
    with pytest.raises(ArtifactDamaged):
        kept.store.fetch(artifact, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_file_that_is_not_there_is_told_in_a_sentence(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="No such file"):
        kept.store.put(tmp_path / "nothing")


def test_a_place_that_cannot_be_written_is_told(kept: Kept, file: Path) -> None:
    artifact = kept.store.put(file)
    with pytest.raises(DiskError, match="could not be written"):
        kept.store.fetch(artifact, file / "below a file")


# --- a directory ---


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def files_in(store: LocalStore) -> list[Path]:
    return [path for path in store.directory.rglob("*") if path.is_file()]


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


@pytest.mark.parametrize("how", ["empty", "absent"])
def test_a_store_that_is_gone_as_a_whole_is_out_of_reach_and_not_damaged(
    store: LocalStore, file: Path, tmp_path: Path, how: str
) -> None:
    artifact = store.put(file)
    store.directory.rename(tmp_path / "unmounted")
    if how == "empty":
        store.directory.mkdir()
    with pytest.raises(StoreError, match="is its disk mounted") as told:
        store.fetch(artifact, tmp_path / "copy")
    assert not isinstance(told.value, ArtifactDamaged)
    (tmp_path / "unmounted").replace(store.directory)
    store.fetch(artifact, tmp_path / "copy")


UNREADABLE = Path("/proc/self/mem")
"""Can be opened, and not be read at its beginning, as on a disk that is broken or a mount that went away."""


def test_a_store_that_cannot_be_read_and_a_file_of_this_machine_are_told_apart(
    store: LocalStore, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = store.put(file)
    monkeypatch.setattr(local, "_opened", lambda _: UNREADABLE.open("rb"))
    with pytest.raises(StoreError, match="cannot be read"):
        store.fetch(artifact, tmp_path / "copy")
    with pytest.raises(DiskError, match="cannot be read"):
        store.put(UNREADABLE)


def test_into_a_store_that_is_gone_nothing_is_put(store: LocalStore, file: Path, tmp_path: Path) -> None:
    store.put(file)
    store.directory.rename(tmp_path / "unmounted")
    store.directory.mkdir()
    (store.directory / f"{TEMPORARY}left").touch()
    with pytest.raises(StoreError, match="is its disk mounted"):
        store.put(file)


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


# --- a directory that others may write to, and have files of their own in ---


def test_a_persons_own_files_are_neither_listed_nor_deleted(store: LocalStore, file: Path) -> None:
    artifact = store.put(file)
    sha256 = artifact.sha256
    theirs = ["thesis.txt", sha256, f"ff/{sha256}", f"{sha256[:2]}/notes", f"{sha256[:2]}/{sha256}.bak", "ab/cd/ef"]
    for name in theirs:
        path = store.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    assert [stored.artifact for stored in store.stored()] == [artifact]
    for name in theirs:
        store.delete(Artifact(sha256, 4, name))
    assert all((store.directory / name).read_text() == "mine" for name in theirs)


@pytest.mark.parametrize("location", ["../x", "/etc/hostname", "", "ab", "../store/ab/x"])
def test_a_location_that_no_store_gave_is_refused(store: LocalStore, file: Path, tmp_path: Path, location: str) -> None:
    outside = tmp_path / "x"
    outside.write_text("outside")
    known = store.put(file)
    named = Artifact(known.sha256, known.size, location)
    with pytest.raises(ArtifactDamaged, match="somebody has altered the row"):
        store.fetch(named, tmp_path / "copy")
    store.delete(named)
    assert outside.read_text() == "outside" and store.has(known)


@pytest.mark.parametrize("what", ["link", "pipe", "directory"])
def test_what_lies_under_an_artifacts_name_and_is_no_file_is_not_followed(
    store: LocalStore, file: Path, tmp_path: Path, what: str
) -> None:
    artifact = store.put(file)
    path = store.directory / artifact.location
    path.unlink()
    if what == "link":
        path.symlink_to(file)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(ArtifactDamaged):
        store.fetch(artifact, tmp_path / "copy")
    assert not store.has(artifact) and not store.is_whole(artifact)
    assert list(store.stored()) == []


def test_a_directory_of_the_store_that_is_a_link_leads_nobody_out(
    store: LocalStore, file: Path, tmp_path: Path
) -> None:
    artifact = store.put(file)
    ours, theirs = (store.directory / artifact.location).parent, tmp_path / "theirs"
    ours.rename(theirs)
    ours.symlink_to(theirs)
    with pytest.raises(ArtifactDamaged, match="leads out of the store"):
        store.fetch(artifact, tmp_path / "copy")
    store.delete(artifact)
    assert [path.name for path in theirs.iterdir()] == [artifact.sha256]


def test_bytes_that_are_put_again_while_they_are_discarded_stay(store: LocalStore, file: Path, tmp_path: Path) -> None:
    artifact = store.put(file)
    (stored,) = store.stored()

    def put_again(_: Stored) -> bool:
        store.put(file)
        return True

    assert store.discard(stored, put_again)
    store.fetch(artifact, tmp_path / "copy")


def test_bytes_that_were_put_again_before_they_are_discarded_are_young(store: LocalStore, file: Path) -> None:
    artifact = store.put(file)
    os.utime(store.directory / artifact.location, (0, 0))
    (stored,) = store.stored()
    assert stored.age_seconds > 1e9
    store.put(file)
    assert not store.discard(stored, lambda now: now.age_seconds > 1e9)
    assert store.is_whole(artifact)


def test_what_a_killed_sweep_has_left_aside_comes_back(
    store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = store.put(file)
    (stored,) = store.stored()

    class Killed(BaseException):
        pass

    def die(_: Stored) -> bool:
        raise Killed

    with pytest.raises(Killed):
        store.discard(stored, die)
    assert not store.has(artifact)
    assert list(store.stored()) == [], "whoever is at it may live"
    monkeypatch.setattr(local, "_ASIDE_SECONDS", 0.0)
    assert [stored.artifact for stored in store.stored()] == [artifact]
    assert store.is_whole(artifact)


def test_files_of_an_older_orch_beside_a_persons_own_are_read_and_never_deleted(
    store: LocalStore, file: Path, tmp_path: Path
) -> None:
    artifact = store.put(file)
    newer = LocalStore(store.directory / "orch-artifacts", before=store.directory)
    assert newer.has(artifact) and newer.is_whole(artifact)
    newer.fetch(artifact, tmp_path / "copy")
    newer.delete(artifact)
    assert list(newer.stored()) == [] and store.has(artifact)


def test_a_new_directory_of_the_store_reaches_the_disk_with_its_first_file(
    store: LocalStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_directory", synced.append)
    artifact = store.put(file)
    parent = (store.directory / artifact.location).parent
    assert synced == [parent, store.directory]
