"""Artifacts and the job table's file on Drive: nothing is believed without its checksum, whatever a request meets."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials

from orchestrator.artifacts import ArtifactDamaged, StoreFull
from orchestrator.errors import HomeClosed, HomeError, SignInNeeded, StoreError
from orchestrator.google_drive import client as drive_client
from orchestrator.google_drive import connection, folder
from orchestrator.google_drive.artifact_store import DriveStore
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.refusals import DriveRefused
from orchestrator.google_drive.table_file import DriveFile
from orchestrator.jobs import Artifact
from orchestrator.jobtable.backends.conditional_file import Conflict
from tests.support.drive import Account, DriveServer, Fault
from tests.support.drive.signed_in import (
    client_of,
)

PASSING = [fault for fault in Fault if fault not in (Fault.FULL, Fault.SLOW)]
"""The faults that the client itself gets over."""


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


def test_a_full_storage_is_told_with_whose_it_is_and_how_much_did_not_fit(
    client: DriveClient, place: folder.StudyFolder, drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.share(place.id, drive.account("ben@example.org", quota_bytes=1000).email)
    his = DriveStore(client_of(drive.state.accounts["ben@example.org"], tmp_path, monkeypatch), place.artifacts, "it")
    file = tmp_path / "file"
    file.write_bytes(bytes(2000))
    with pytest.raises(StoreFull, match=r"storage of ben@example\.org") as told:
        his.put(file)
    assert (told.value.size, told.value.for_good) == (2000, False)


def test_a_service_account_is_told_that_it_owns_no_storage_and_never_will(
    client: DriveClient, place: folder.StudyFolder, drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = drive.account("robot@project.iam.gserviceaccount.com", quota_bytes=0)
    client.share(place.id, robot.email)
    its = DriveStore(client_of(robot, tmp_path, monkeypatch), place.artifacts, "the study's folder")
    file = tmp_path / "file"
    file.write_bytes(b"content")
    assert "owns no storage; sign in as a person" in (its.shortage() or "")
    with pytest.raises(StoreFull, match="owns no storage; sign in as a person") as told:
        its.put(file)
    assert told.value.for_good


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


@pytest.fixture
def bens(
    client: DriveClient,
    place: folder.StudyFolder,
    drive: DriveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DriveClient:
    """Drive as another account sees it, with which the study is shared."""
    ben = drive.account("ben@example.org")
    client.share(place.id, ben.email)
    return client_of(ben, tmp_path, monkeypatch)


def test_another_accounts_file_is_read_and_left_to_its_owner(
    store: DriveStore, place: folder.StudyFolder, bens: DriveClient, tmp_path: Path
) -> None:
    his = DriveStore(bens, place.artifacts, "the study's folder")
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


class SignedIn(Credentials):
    """A person's credentials, with a refresh token that Google honours or not."""

    def __init__(self, account: Account, refresh_token: str, *, honoured: bool) -> None:
        super().__init__(None, refresh_token=refresh_token)  # type: ignore[no-untyped-call]
        self._person, self._honoured = account, honoured

    def refresh(self, _request: object) -> None:
        if not self._honoured:
            raise RefreshError("invalid_grant: Token has been expired or revoked.", retryable=False)  # type: ignore[no-untyped-call]
        self.token = self._person.token


def test_whoever_signs_in_again_mends_a_worker_that_goes_on(
    place: folder.StudyFolder, drive: DriveServer, ann: Account
) -> None:
    stored = [SignedIn(ann, "1//revoked", honoured=False)]
    table = DriveFile(DriveClient(stored[0], drive.url, renewed=lambda: stored[-1]), place.jobs, "the study")
    with pytest.raises(SignInNeeded, match="expired or revoked"):
        table.version()
    stored.append(SignedIn(ann, "1//new", honoured=True))
    table.version()


def refusal_of(table: DriveFile) -> str:
    with pytest.raises(HomeClosed) as refused:
        table.read()
    return str(refused.value)


def test_a_table_in_the_bin_is_told_with_where_it_is_restored(table: DriveFile, drive: DriveServer) -> None:
    """Its owner could go on writing it, until the bin is emptied with all results."""
    (study,) = drive.files("study (Orch)")
    drive.state.trash(study)
    assert "in the bin" in refusal_of(table) and "drive.google.com/drive/trash" in refusal_of(table)
    drive.state.trash(study, restored=True)
    table.read()


@pytest.mark.parametrize("what", ["trashed", "unshared", "deleted"])
def test_a_table_that_another_account_does_not_see_any_more_is_told_with_all_that_may_be(
    what: str, client: DriveClient, place: folder.StudyFolder, drive: DriveServer, bens: DriveClient
) -> None:
    his = DriveFile(bens, place.jobs, "the study")
    his.read()
    (study,) = drive.files("study (Orch)")
    if what == "trashed":
        drive.state.trash(study)
    elif what == "unshared":
        study.shared_with.clear()
    else:
        client.delete(place.jobs)
    told = refusal_of(his)
    assert "deleted" in told and "drive.google.com/drive/trash" in told and "orch share ACCOUNT" in told


def test_a_study_in_the_bin_is_not_taken_for_none(client: DriveClient, drive: DriveServer) -> None:
    made = folder.made(client, "another")
    (study,) = drive.files("another (Orch)")
    drive.state.trash(study)
    with pytest.raises(DriveRefused, match=r"in the bin .* drive\.google\.com/drive/trash"):
        folder.found(client, made.id)


def test_a_swap_for_which_the_owner_has_no_room_is_told_as_the_owners(
    client: DriveClient, place: folder.StudyFolder, ann: Account, bens: DriveClient
) -> None:
    """Not to free space, to a worker of another account, which has enough."""
    ann.quota_bytes = 10
    for table, whose in (
        (DriveFile(client, place.jobs, "the study"), "of this account"),
        (DriveFile(bens, place.jobs, "the study"), "of ann@example.org"),
    ):
        with pytest.raises(HomeClosed, match=f"cannot grow: the Google storage {whose} is full"):
            table.replace(bytes(100), table.version())


def test_a_folder_that_cannot_be_made_whole_is_not_left(
    drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = client_of(drive.account("poor@example.org"), tmp_path, monkeypatch)
    drive.faults.every(lambda method, path: method == "POST" and path.startswith("/upload"), Fault.FULL)
    with pytest.raises(DriveRefused, match="storage is full"):
        folder.made(poor, "study")
    assert drive.files("study (Orch)") == [] and drive.files("artifacts") == []


def test_a_token_that_was_replaced_in_its_file_is_read_again(table: DriveFile, ann: Account) -> None:
    table.version()
    ann.renew_token()
    table.version()


def test_a_slow_service_is_waited_for_and_one_that_does_not_answer_is_given_up(
    place: folder.StudyFolder, client: DriveClient, drive: DriveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.faults.at(1, Fault.SLOW)
    DriveFile(client, place.jobs, "the study").version()
    monkeypatch.setattr(connection, "_TIMEOUT_SECONDS", 0.05)
    impatient = DriveFile(DriveClient(client._connection._credentials, drive.url), place.jobs, "the study")
    drive.faults.every(lambda *_: True, Fault.SLOW)
    with pytest.raises(HomeError, match="check the network"):
        impatient.version()


def test_a_service_that_is_down_is_told(table: DriveFile, drive: DriveServer) -> None:
    drive.faults.every(lambda *_: True, Fault.ERROR_BEFORE)
    with pytest.raises(HomeError, match="check the network"):
        table.version()
