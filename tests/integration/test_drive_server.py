"""The Drive server of the tests does what the service does, as the real client libraries see it."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseUpload

from orchestrator.google_drive.client import FOLDER, DriveClient
from tests.support.drive import Account, DriveServer, Fault
from tests.support.drive.signed_in import (
    client_of,
)

Client = Callable[[Account], DriveClient]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    return lambda account: client_of(account, tmp_path, monkeypatch)


@pytest.fixture
def ben(drive: DriveServer) -> Account:
    return drive.account("ben@example.org")


def v2(client: DriveClient) -> Any:
    return client._connection.v2.files()


def v3(client: DriveClient) -> Any:
    return client._connection.v3.files()


def media(content: bytes) -> MediaIoBaseUpload:
    return MediaIoBaseUpload(io.BytesIO(content), "application/octet-stream", resumable=False)


def made(client: DriveClient, content: bytes = b"first", parent: str | None = None) -> str:
    body = {"name": "a file", **({"parents": [parent]} if parent else {})}
    return str(v3(client).create(body=body, media_body=media(content)).execute()["id"])


def folder(client: DriveClient) -> str:
    return str(v3(client).create(body={"name": "a folder", "mimeType": FOLDER}).execute()["id"])


def with_match(request: Any, etag: str) -> Any:
    request.headers["If-Match"] = etag
    return request


def refused(request: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as told:
        request.execute()
    return told.value.resp.status, told.value.error_details[0]["reason"]


def test_version_2_refuses_a_stale_etag_and_version_3_does_not_look(client: Client, ann: Account) -> None:
    mine = client(ann)
    file = made(mine)
    stale = v2(mine).get(fileId=file).execute()["etag"]
    with_match(v2(mine).update(fileId=file, media_body=media(b"second")), stale).execute()
    assert refused(with_match(v2(mine).update(fileId=file, media_body=media(b"third")), stale)) == (
        412,
        "conditionNotMet",
    )
    with_match(v3(mine).update(fileId=file, media_body=media(b"fourth")), stale).execute()
    assert mine.read(file) == b"fourth"
    assert "etag" not in v3(mine).get(fileId=file, fields="*").execute()


def test_of_racing_swaps_one_wins(client: Client, ann: Account) -> None:
    mine = client(ann)
    file = made(mine)
    etag, _ = mine.etag(file)

    def swap(number: int) -> bool:
        try:
            with_match(v2(mine).update(fileId=file, media_body=media(b"%d" % number)), etag).execute()
        except HttpError as error:
            assert error.resp.status == 412
            return False
        return True

    with ThreadPoolExecutor(8) as racers:
        won = list(racers.map(swap, range(8)))
    assert won.count(True) == 1
    assert mine.read(file) == b"%d" % won.index(True)


def test_a_version_without_cause_makes_an_etag_stale(client: Client, ann: Account, drive: DriveServer) -> None:
    mine = client(ann)
    file = made(mine)
    etag, digest = mine.etag(file)
    drive.faults.at(1, Fault.STALE_ETAG)
    assert refused(with_match(v2(mine).update(fileId=file, media_body=media(b"second")), etag))[0] == 412
    assert mine.etag(file)[1] == digest


def test_a_create_with_an_id_that_is_there_is_409_and_one_without_makes_another_of_the_same_name(
    client: Client, ann: Account, drive: DriveServer
) -> None:
    mine = client(ann)
    body = {"id": mine.new_id(), "name": "twice"}
    v3(mine).create(body=body).execute()
    assert refused(v3(mine).create(body=body))[0] == 409
    v3(mine).create(body={"name": "twice"}).execute()
    assert len(drive.files("twice")) == 2


def test_an_id_is_the_accounts_for_whom_it_was_made(client: Client, ann: Account, ben: Account) -> None:
    body = {"id": client(ann).new_id(), "name": "a file"}
    assert refused(v3(client(ben)).create(body=body))[0] == 400


def test_a_shared_folder_is_written_by_others_who_own_and_alone_delete_what_they_put_there(
    client: Client, ann: Account, ben: Account
) -> None:
    his, hers = client(ben), client(ann)
    shared = folder(hers)
    assert refused(v3(his).get(fileId=shared)) == (404, "notFound")
    hers.share(shared, ben.email)
    file = made(his, b"x" * 1000, shared)
    assert v3(hers).get(fileId=file, fields="owners(emailAddress),ownedByMe").execute() == {
        "owners": [{"emailAddress": ben.email}],
        "ownedByMe": False,
    }
    assert (his.account().used_bytes, hers.account().used_bytes) == (1000, 0)
    v3(hers).update(fileId=file, media_body=media(b"y" * 500)).execute()
    assert his.account().used_bytes == 500, "what others write counts against the owner"
    assert refused(v3(hers).delete(fileId=file)) == (403, "insufficientFilePermissions")
    v3(his).delete(fileId=file).execute()
    assert refused(v3(hers).get(fileId=file)) == (404, "notFound")


def test_a_full_storage_refuses_and_keeps_nothing_of_the_file(client: Client, drive: DriveServer) -> None:
    poor = client(drive.account("poor@example.org", quota_bytes=100))
    kept = made(poor, b"x" * 60)
    request = v3(poor).create(body={"name": "large"}, media_body=media(b"x" * 60))
    assert refused(request) == (403, "storageQuotaExceeded")
    assert drive.files("large") == []
    v3(poor).update(fileId=kept, media_body=media(b"y" * 100)).execute()


def test_an_account_without_storage_updates_others_files_and_makes_none(
    client: Client, ann: Account, drive: DriveServer
) -> None:
    robot = drive.account("robot@example.iam", quota_bytes=0)
    hers, its = client(ann), client(robot)
    shared = folder(hers)
    hers.share(shared, robot.email)
    file = made(hers, b"first", shared)
    v3(its).update(fileId=file, media_body=media(b"second")).execute()
    request = v3(its).create(body={"name": "own", "parents": [shared]}, media_body=media(b"x"))
    assert refused(request) == (403, "storageQuotaExceeded")


def test_a_list_lags_and_a_look_by_id_does_not(client: Client, ann: Account, drive: DriveServer) -> None:
    mine = client(ann)
    drive.state.lag_seconds = 3600
    file = made(mine)
    listing = v3(mine).list(q="name = 'a file' and trashed = false")
    assert listing.execute()["files"] == []
    assert v3(mine).get(fileId=file).execute()["name"] == "a file"
    drive.state.lag_seconds = 0
    assert [found["id"] for found in listing.execute()["files"]] == [file]


def test_a_long_list_comes_in_pages(client: Client, ann: Account) -> None:
    mine = client(ann)
    there = {made(mine) for _ in range(5)}
    request, found = v3(mine).list(pageSize=2, fields="nextPageToken,files(id)"), []
    while request is not None:
        answer = request.execute()
        found += [file["id"] for file in answer["files"]]
        request = v3(mine).list_next(request, answer)
    assert set(found) == there and len(found) == 5


def test_a_large_upload_goes_in_chunks_and_is_one_file(client: Client, ann: Account, drive: DriveServer) -> None:
    mine = client(ann)
    content = bytes(range(256)) * 4096
    body = MediaIoBaseUpload(io.BytesIO(content), "application/octet-stream", 256 << 10, resumable=True)
    told = v3(mine).create(body={"name": "large"}, media_body=body, fields="size").execute()
    assert told == {"size": str(len(content))}
    (file,) = drive.files("large")
    assert file.content == content
    assert [request.status for request in drive.requests[-4:]] == [308, 308, 308, 200]


def test_an_upload_whose_session_is_gone_is_404(client: Client, ann: Account, drive: DriveServer) -> None:
    mine = client(ann)
    body = MediaIoBaseUpload(io.BytesIO(bytes(1 << 20)), "application/octet-stream", 256 << 10, resumable=True)
    request = v3(mine).create(body={"name": "large"}, media_body=body)
    request.next_chunk()
    drive.sessions.clear()
    with pytest.raises(HttpError) as told:
        request.next_chunk()
    assert told.value.resp.status == 404


def test_a_request_whose_answer_is_cut_off_is_silently_sent_again(
    client: Client, ann: Account, drive: DriveServer
) -> None:
    """By httplib2: which is why every create has an id, and a swap that was refused may have happened."""
    mine = client(ann)
    file = made(mine)
    etag, _ = mine.etag(file)
    drive.faults.at(1, Fault.CUT_AFTER)
    assert refused(with_match(v2(mine).update(fileId=file, media_body=media(b"second")), etag))[0] == 412
    assert mine.read(file) == b"second"
    drive.faults.at(1, Fault.CUT_AFTER)
    v3(mine).create(body={"name": "twice"}).execute()
    assert len(drive.files("twice")) == 2


def test_a_token_that_was_replaced_is_401(client: Client, ann: Account) -> None:
    mine = client(ann)
    made(mine)
    before = ann.token
    ann.files.clear()
    ann.renew_token()
    assert ann.token != before
    with pytest.raises(HttpError) as told:
        v3(mine).list().execute()
    assert told.value.resp.status == 401
