"""Every transfer that was asked for ends as an event, whatever goes wrong."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from orchestrator.artifacts import ArtifactDamaged, LocalStore
from workers import transfers
from workers.cache import InputCache
from workers.transfers import (
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
    uploaded = inbox.get(timeout=10)
    assert isinstance(uploaded, OutputsUploaded)
    desk.fetch("job", uploaded.artifacts["job"])
    fetched = inbox.get(timeout=10)
    assert isinstance(fetched, Fetched)
    assert fetched.files["model"].read_text() == "some bytes"


def test_an_uploaded_checkpoint_is_told_with_its_step_and_leaves_no_file_behind(
    desk: Transfers, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    desk.upload_checkpoint("job", 7, written(tmp_path / "c"))
    uploaded = inbox.get(timeout=10)
    assert isinstance(uploaded, CheckpointUploaded) and uploaded.step == 7
    assert not (tmp_path / "c").exists()


def test_a_file_that_is_gone_fails_its_upload(
    desk: Transfers, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    desk.upload_checkpoint("job", 1, tmp_path / "none")
    desk.upload_outputs({"job": {"model": tmp_path / "none"}})
    assert [type(inbox.get(timeout=10)) for _ in range(2)] == [CheckpointNotKept, OutputsNotKept]


def test_a_cache_that_cannot_be_written_fails_the_fetch(
    desk: Transfers,
    store: LocalStore,
    inbox: queue.SimpleQueue[Transferred],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfers, "_WAITS", (0.0,))
    artifact = store.put(written(tmp_path / "file"))
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("a file where the directory was")
    desk.fetch("job", {"shard": artifact})
    failed = inbox.get(timeout=10)
    assert isinstance(failed, FetchFailed) and failed.name == "shard"
    assert not isinstance(failed.error, ArtifactDamaged)


def test_a_damaged_artifact_is_told_as_damaged(
    desk: Transfers, store: LocalStore, inbox: queue.SimpleQueue[Transferred], tmp_path: Path
) -> None:
    artifact = store.put(written(tmp_path / "file"))
    store.delete(artifact)
    desk.fetch("job", {"state": artifact})
    failed = inbox.get(timeout=10)
    assert isinstance(failed, FetchFailed) and isinstance(failed.error, ArtifactDamaged)
