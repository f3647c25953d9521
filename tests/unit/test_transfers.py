"""Every transfer that was asked for ends as an event, whatever goes wrong."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from orchestrator.artifacts import ArtifactDamaged, LocalStore, StoreFull
from orchestrator.errors import DiskError, OrchError
from orchestrator.jobs import Artifact
from tests.support.processes import PATIENCE_SECONDS
from workers.machine.scratch import FilesLost
from workers.store.cache import InputCache
from workers.store.transfers import (
    CheckpointNotKept,
    CheckpointUploaded,
    Fetched,
    FetchFailed,
    OutputsNotKept,
    OutputsUploaded,
    Threads,
    Transferred,
    Transfers,
)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def inbox() -> queue.SimpleQueue[Transferred]:
    return queue.SimpleQueue()


@pytest.fixture
def desk(store: LocalStore, tmp_path: Path, inbox: queue.SimpleQueue[Transferred]) -> Transfers:
    return Transfers(store, InputCache(tmp_path / "cache", store), Threads(), inbox.put)


def written(path: Path, text: str = "some bytes") -> Path:
    path.write_text(text)
    return path


def test_a_file_that_was_uploaded_is_fetched_as_it_was(
    desk: Transfers, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    desk.upload_outputs({"job": {"model": written(tmp_path / "model")}})
    uploaded = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(uploaded, OutputsUploaded)
    desk.fetch("job", uploaded.artifacts["job"])
    fetched = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(fetched, Fetched)
    assert fetched.files["model"].read_text() == "some bytes"


def test_an_uploaded_checkpoint_is_told_with_its_step_and_leaves_no_file_behind(
    desk: Transfers, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    desk.upload_checkpoint("job", 7, written(tmp_path / "c"))
    uploaded = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(uploaded, CheckpointUploaded) and uploaded.job_step == 7
    assert not (tmp_path / "c").exists()


def test_a_file_that_is_gone_fails_its_upload(
    desk: Transfers, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    desk.upload_checkpoint("job", 1, tmp_path / "none")
    desk.upload_outputs({"job": {"model": tmp_path / "none"}})
    checkpoint, outputs = (inbox.get(timeout=PATIENCE_SECONDS) for _ in range(2))
    assert isinstance(checkpoint, CheckpointNotKept) and isinstance(checkpoint.error, FilesLost)
    assert isinstance(outputs, OutputsNotKept) and isinstance(outputs.error, FilesLost)


def test_a_worker_whose_directory_is_gone_is_told_so_and_makes_none_that_would_be_nobodys(
    store: LocalStore, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    desk = Transfers(store, InputCache(tmp_path / "gone" / "inputs", store), Threads(), inbox.put)
    desk.fetch("job", {"shard": store.put(written(tmp_path / "file"))})
    failed = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(failed, FetchFailed) and isinstance(failed.error, FilesLost)
    assert not (tmp_path / "gone").exists()


def test_a_cache_that_cannot_be_written_fails_the_fetch(
    desk: Transfers,
    store: LocalStore,
    inbox: queue.SimpleQueue[Transferred],
    tmp_path: Path,
) -> None:
    artifact = store.put(written(tmp_path / "file"))
    (tmp_path / "cache").write_text("a file where the directory was")
    desk.fetch("job", {"shard": artifact})
    failed = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(failed, FetchFailed) and failed.name == "shard"
    assert isinstance(failed.error, DiskError)


def test_a_damaged_artifact_is_told_as_damaged(
    desk: Transfers, store: LocalStore, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    artifact = store.put(written(tmp_path / "file"))
    store.delete(artifact)
    desk.fetch("job", {"state": artifact})
    failed = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(failed, FetchFailed) and isinstance(failed.error, ArtifactDamaged)


class FaultyStore(LocalStore):
    """Raises once, at a file of this name, what it is given."""

    def __init__(self, directory: Path, name: str, error: Exception) -> None:
        super().__init__(directory)
        self._faults = {name: error}

    def put(self, file: Path) -> Artifact:
        if error := self._faults.pop(file.name, None):
            raise error
        return super().put(file)


def test_of_outputs_of_which_one_was_refused_all_can_be_offered_again(
    inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    store = FaultyStore(tmp_path / "store", "log.txt", StoreFull("The storage is full."))
    desk = Transfers(store, InputCache(tmp_path / "cache", store), Threads(), inbox.put)
    files = {"job": {"state": written(tmp_path / "state"), "log": written(tmp_path / "log.txt")}}
    desk.upload_outputs(files)
    refused = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(refused, OutputsNotKept) and refused.shortage == "The storage is full."
    desk.upload_outputs(files)
    uploaded = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(uploaded, OutputsUploaded)
    assert uploaded.artifacts["job"].keys() == {"state", "log"}


def test_a_fault_that_nobody_foresaw_is_told_with_where_it_was(
    inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    store = FaultyStore(tmp_path / "store", "state", TypeError("no such thing"))
    desk = Transfers(store, InputCache(tmp_path / "cache", store), Threads(), inbox.put)
    desk.upload_outputs({"job": {"state": written(tmp_path / "state")}})
    told = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(told, OutputsNotKept)
    assert type(told.error) is OrchError
    assert str(told.error).startswith("TypeError: no such thing\n") and "in put" in str(told.error)


def test_a_store_that_cannot_tell_its_room_hinders_no_transfer(
    inbox: queue.SimpleQueue[Transferred], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FaultyStore(tmp_path / "store", "state", StoreFull("The storage is full."))

    def raising() -> None:
        raise KeyError("storageQuota")

    monkeypatch.setattr(store, "shortage", raising)
    desk = Transfers(store, InputCache(tmp_path / "cache", store), Threads(), inbox.put)
    files = {"job": {"state": written(tmp_path / "state")}}
    desk.upload_outputs(files)
    refused = inbox.get(timeout=PATIENCE_SECONDS)
    assert isinstance(refused, OutputsNotKept) and refused.shortage == "The storage is full."
    desk.upload_outputs(files)
    assert isinstance(inbox.get(timeout=PATIENCE_SECONDS), OutputsUploaded)
