"""Artifacts and the job table's file on Drive: nothing is believed without its checksum, whatever a request meets."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from orchestrator.artifacts import ArtifactDamaged, StoreFull
from orchestrator.artifacts.drive import DriveStore
from orchestrator.drive import client as drive_client
from orchestrator.drive import folder
from orchestrator.drive.client import DriveClient
from orchestrator.drive.refusals import DriveRefused, SignInNeeded
from orchestrator.errors import HomeError, StoreError
from orchestrator.jobs import Artifact
from orchestrator.jobtable.conditional import Conflict
from orchestrator.jobtable.drive_file import DriveFile
from tests.drive import Account, DriveServer, Fault
from tests.drive.signed_in import (
    client_of,
    fixture_ann,  # noqa: F401
    fixture_client,  # noqa: F401
    fixture_drive,  # noqa: F401
)

PASSING = [
    fault
    for fault in Fault
    if fault not in (Fault.FULL, Fault.CORRUPT, Fault.CUT_IN_BODY, Fault.STALE_ETAG, Fault.SLOW, Fault.PORTAL)
]
"""Those that the client itself gets over."""


@pytest.fixture
def place(client: DriveClient) -> folder.StudyFolder:
    return folder.made(client, "study")


@pytest.fixture
def store(client: DriveClient, place: folder.StudyFolder) -> DriveStore:
    return DriveStore(client, place.artifacts, "the study's folder")


@pytest.fixture
def table(client: DriveClient, place: folder.StudyFolder) -> DriveFile:
    return DriveFile(client, place.jobs, "the study")


CONTENTS = {
    "empty": b"",
    "small": os.urandom(999) + b".",
    "small and ends like a line": os.urandom(998) + b"\r\n",
    "small and ends like half of a separator": os.urandom(999) + b"\r",
    "in chunks": os.urandom(700_000),
}


@pytest.fixture(params=CONTENTS)
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(drive_client, "_CHUNK_BYTES", 256 << 10)
    file = tmp_path / "file"
    file.write_bytes(CONTENTS[request.param])
    return file


@pytest.mark.parametrize("fault", PASSING)
def test_whichever_request_meets_a_fault_a_file_is_kept_once_and_fetched_whole(
    fault: Fault, file: Path, client: DriveClient, place: folder.StudyFolder, tmp_path: Path, drive: DriveServer
) -> None:
    for number in itertools.count(1):
        drive.faults.clear()
        drive.faults.at(number, fault)
        store = DriveStore(client, place.artifacts, "the study's folder")
        artifact = store.put(file)
        store.fetch(artifact, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == file.read_bytes()
        assert [kept.id for kept in drive.files(artifact.sha256)].count(artifact.location) == 1
        if drive.faults.met == 0:
            return


def test_a_flipped_bit_and_a_cut_download_are_refused_and_nothing_appears(
    store: DriveStore, tmp_path: Path, drive: DriveServer
) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(5000))
    artifact = store.put(file)
    drive.faults.every(lambda method, _: method == "GET", Fault.CORRUPT)
    with pytest.raises(ArtifactDamaged, match="is damaged"):
        store.fetch(artifact, tmp_path / "copy")
    drive.faults.clear()
    drive.faults.every(lambda method, _: method == "GET", Fault.CUT_IN_BODY)
    with pytest.raises(StoreError):
        store.fetch(artifact, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_full_storage_is_told_with_what_to_do_and_keeps_nothing(
    drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = client_of(drive.account("poor@example.org", quota_bytes=1000), tmp_path, monkeypatch)
    store = DriveStore(poor, folder.made(poor, "study").artifacts, "the study's folder")
    file = tmp_path / "file"
    file.write_bytes(bytes(2000))
    with pytest.raises(StoreFull, match=r"drive\.google\.com"):
        store.put(file)
    assert [kept for kept in drive.files() if kept.content] == []


def test_a_full_disk_is_not_taken_for_a_network_in_trouble(
    client: DriveClient, store: DriveStore, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    artifact = store.put(file)
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        client.download(artifact.location, full)


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.ERROR_BEFORE, Fault.PORTAL])
def test_whatever_keeps_a_file_from_coming_or_going_is_the_stores_trouble(
    fault: Fault, store: DriveStore, drive: DriveServer, tmp_path: Path
) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_bytes(b"content")
    other.write_bytes(b"another content")
    artifact = store.put(file)
    drive.faults.every(lambda *_: True, fault)
    with pytest.raises(StoreError):
        store.put(other)
    with pytest.raises(StoreError):
        store.fetch(artifact, tmp_path / "copy")


def test_a_file_that_did_not_arrive_whole_is_told_and_not_left(
    client: DriveClient, place: folder.StudyFolder, drive: DriveServer, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"what arrived")
    with pytest.raises(DriveRefused, match="did not arrive whole"):
        client.upload(file, client.new_id(), "file", place.artifacts, drive_client.md5(b"what was sent"))
    assert drive.files("file") == []


def test_a_wheel_that_is_damaged_on_drive_is_published_again(
    client: DriveClient, place: folder.StudyFolder, drive: DriveServer, tmp_path: Path
) -> None:
    wheel = tmp_path / "orch.whl"
    wheel.write_bytes(b"Orch")
    first = folder.publish_wheel(client, place.id, wheel)
    assert folder.publish_wheel(client, place.id, wheel) == first
    drive.files("orch.whl")[0].content = b"Orcx"
    second = folder.publish_wheel(client, place.id, wheel)
    assert second == folder.published_wheel(client, place.id) != first
    assert client.read(second.id) == b"Orch"


def test_another_accounts_file_is_read_and_left_to_its_owner(
    store: DriveStore,
    place: folder.StudyFolder,
    client: DriveClient,
    drive: DriveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ben = drive.account("ben@example.org")
    client.share(place.id, ben.email)
    his = DriveStore(client_of(ben, tmp_path, monkeypatch), place.artifacts, "the study's folder")
    file = tmp_path / "file"
    file.write_bytes(b"hers")
    artifact = store.put(file)
    his.fetch(artifact, tmp_path / "copy")
    his.delete(artifact)
    assert store.has(artifact), "only the owner deletes"
    assert [stored.artifact for stored in store.stored()] == [artifact]
    assert list(his.stored()) == []


def test_a_swap_of_the_version_that_was_read_wins_and_a_second_of_it_does_not(table: DriveFile) -> None:
    content, version = table.read()
    assert content == b""
    newer = table.replace(b"second", version)
    assert table.version() == newer
    with pytest.raises(Conflict):
        table.replace(b"third", version)
    assert table.read() == (b"second", newer)


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.CUT_AFTER])
def test_a_swap_whose_answer_was_lost_is_a_conflict_although_it_happened(
    fault: Fault, table: DriveFile, drive: DriveServer
) -> None:
    _, version = table.read()
    drive.faults.at(1, fault)
    with pytest.raises(Conflict):
        table.replace(b"second", version)
    assert table.read()[0] == b"second"


def test_a_swap_that_was_done_is_a_conflict_although_the_tries_after_it_were_too_many(
    table: DriveFile, drive: DriveServer
) -> None:
    _, version = table.read()
    drive.faults.at(1, Fault.ERROR_AFTER)
    for number in (2, 3, 4):
        drive.faults.at(number, Fault.RATE_LIMIT)
    with pytest.raises(Conflict):
        table.replace(b"second", version)
    assert table.read()[0] == b"second"


def test_a_table_that_never_arrives_whole_is_not_believed(table: DriveFile, drive: DriveServer) -> None:
    table.replace(b"content", table.version())
    drive.faults.every(lambda _, path: "/v3/" in path, Fault.CORRUPT)
    with pytest.raises(HomeError, match="does not arrive whole"):
        table.read()


def test_the_clock_is_the_services(table: DriveFile, drive: DriveServer) -> None:
    drive.clock_ahead_seconds = 7200.0
    before = table.now()
    table.version()
    assert 7190 < table.now() - before < 7210


def test_a_sign_in_that_was_revoked_is_told_with_what_to_do(table: DriveFile, store: DriveStore, ann: Account) -> None:
    ann.may_sign_in = False
    with pytest.raises(SignInNeeded, match="orch login"):
        table.version()
    with pytest.raises(SignInNeeded, match="orch login"):
        store.has(Artifact("0" * 64, 1, "anything"))


def test_a_token_that_was_replaced_in_its_file_is_read_again(table: DriveFile, ann: Account) -> None:
    table.version()
    ann.renew_token()
    table.version()


def test_a_slow_service_is_waited_for_and_one_that_does_not_answer_is_given_up(
    place: folder.StudyFolder, client: DriveClient, drive: DriveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.faults.at(1, Fault.SLOW)
    DriveFile(client, place.jobs, "the study").version()
    monkeypatch.setattr(drive_client, "_TIMEOUT_SECONDS", 0.05)
    impatient = DriveFile(DriveClient(client._credentials, drive.url), place.jobs, "the study")
    drive.faults.every(lambda *_: True, Fault.SLOW)
    with pytest.raises(HomeError, match="check the network"):
        impatient.version()


def test_a_service_that_is_down_is_told(table: DriveFile, drive: DriveServer) -> None:
    drive.faults.every(lambda *_: True, Fault.ERROR_BEFORE)
    with pytest.raises(HomeError, match="check the network"):
        table.version()
