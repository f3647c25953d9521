"""The job table's object, the artifacts and their client, over both dialects of object stores."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from orchestrator.artifacts import ArtifactDamaged
from orchestrator.errors import HomeClosed, HomeError, SignInNeeded, StoreError
from orchestrator.jobs import Artifact
from orchestrator.jobtable.backends.conditional_file import Conflict
from orchestrator.object_stores.artifact_store import SHARED_DIRECTORY, ObjectArtifacts
from orchestrator.object_stores.client import PART_BYTES, ObjectClient
from orchestrator.object_stores.places import parsed
from orchestrator.object_stores.table_file import KEY, ObjectFile
from tests.support.object_store import Dialect, Fault, ObjectServer
from tests.support.object_store.server import BUCKET
from tests.support.object_store.signed_in import DIALECTS, client_of, url_in

TABLE = f"studies/one/{KEY}"


@pytest.fixture
def client(object_server: ObjectServer) -> ObjectClient:
    return client_of(object_server)


@pytest.fixture
def table(client: ObjectClient) -> ObjectFile:
    client.create(KEY, b"first")
    return ObjectFile(client, "the study")


@pytest.fixture
def artifacts(client: ObjectClient) -> ObjectArtifacts:
    return ObjectArtifacts(client, "the study's bucket")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"some bytes")
    return tmp_path / "file"


# --- compare and set ---


@DIALECTS
def test_a_version_that_was_replaced_is_replaced_by_nobody_else(table: ObjectFile) -> None:
    first = table.version()
    second = table.replace(b"second", first)
    assert table.version() == second
    with pytest.raises(Conflict):
        table.replace(b"third", first)
    assert table.read() == (b"second", second)


@DIALECTS
@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.CUT_AFTER])
def test_a_swap_whose_answer_is_lost_is_a_conflict_and_found_by_whoever_reads(
    fault: Fault, table: ObjectFile, object_server: ObjectServer
) -> None:
    version = table.version()
    object_server.faults.at(1, fault)
    with pytest.raises(Conflict):
        table.replace(b"second", version)
    assert table.read()[0] == b"second"


@DIALECTS
@pytest.mark.parametrize("fault", [Fault.CONFLICT, Fault.TOO_MANY, Fault.ERROR_BEFORE, Fault.CUT_BEFORE, Fault.PORTAL])
def test_a_swap_that_did_not_happen_is_a_conflict_and_sent_once(
    fault: Fault, table: ObjectFile, object_server: ObjectServer
) -> None:
    version = table.version()
    object_server.faults.at(1, fault)
    asked = len(object_server.requests)
    with pytest.raises(Conflict):
        table.replace(b"second", version)
    assert len(object_server.requests) == asked + 1
    assert table.read() == (b"first", version)


@pytest.mark.parametrize("dialect", [Dialect.GCS])
def test_a_table_that_is_damaged_on_its_way_is_put_again(table: ObjectFile, object_server: ObjectServer) -> None:
    """S3 refuses what is not what was signed."""
    object_server.faults.at(2, Fault.DAMAGED)
    version = table.replace(b"second", table.version())
    assert table.read() == (b"second", version)


@DIALECTS
def test_more_than_one_write_a_second_is_a_conflict(table: ObjectFile, object_server: ObjectServer) -> None:
    object_server.state.seconds_between_writes = 60.0
    with pytest.raises(Conflict):
        table.replace(b"second", table.version())


@DIALECTS
def test_what_does_not_arrive_as_it_was_sent_is_read_again(table: ObjectFile, object_server: ObjectServer) -> None:
    object_server.faults.at(1, Fault.CORRUPT)
    assert table.read()[0] == b"first"
    object_server.faults.every(lambda method, _: method == "GET", Fault.CORRUPT)
    with pytest.raises(HomeError, match="does not arrive whole"):
        table.read()


def test_a_redirected_read_never_joins_older_bytes_to_the_newest_version(
    table: ObjectFile, object_server: ObjectServer
) -> None:
    """As a gateway does it that lets a CDN answer: whoever swaps on top of that loses what was swapped before."""
    table.replace(b"second", table.version())
    object_server.redirects = True
    with pytest.raises(HomeError, match="does not arrive whole"):
        table.read()


def test_hugging_faces_gateway_redirects_nothing_of_ours(object_server: ObjectServer) -> None:
    object_server.redirects = True
    object_server.state.buckets["ann"] = {}  # the owner comes first in its paths
    client = ObjectClient(parsed("hf://ann/bucket/one"))
    client.create(KEY, b"first")
    table = ObjectFile(client, "the study")
    table.replace(b"second", table.version())
    assert table.read()[0] == b"second"
    assert [request.status for request in object_server.requests].count(302) == 0


def test_a_service_that_keeps_no_notes_is_believed_if_it_tells_one_version(
    table: ObjectFile, object_server: ObjectServer
) -> None:
    object_server.change(TABLE, lambda _: b"put without notes")
    content, version = table.read()
    assert (content, version) == (b"put without notes", table.version())
    assert table.replace(b"second", version).digest != version.digest


# --- what is told ---


@DIALECTS
def test_a_table_that_was_deleted_is_told_and_not_begun_anew(table: ObjectFile, object_server: ObjectServer) -> None:
    version = table.version()
    del object_server.state.buckets[BUCKET][TABLE]
    with pytest.raises(HomeClosed, match="somebody has deleted it"):
        table.read()
    with pytest.raises((Conflict, HomeClosed)):
        table.replace(b"second", version)
    assert object_server.objects() == {}


@DIALECTS
@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        (Fault.FORBIDDEN, HomeClosed, "let the keys list the bucket"),
        (Fault.WRONG_KEYS, SignInNeeded, "the keys are not taken: InvalidAccessKeyId"),
        (Fault.CUT_BEFORE, HomeError, "cannot be reached"),
        (Fault.TOO_MANY, HomeError, "too many requests"),
    ],
)
def test_what_is_refused_is_told_with_what_to_do_and_without_a_key(
    fault: Fault, error: type[HomeError], told: str, table: ObjectFile, object_server: ObjectServer
) -> None:
    object_server.faults.every(lambda *_: True, fault)
    for ask in (table.version, table.read, table.now):
        if ask == table.now and fault is not Fault.CUT_BEFORE:
            continue  # refusals tell the time, too
        with pytest.raises(error, match=told) as refused:
            ask()
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(refused.value)


def test_a_bucket_that_is_not_there_is_told_from_a_home_that_is_not(object_server: ObjectServer) -> None:
    client = ObjectClient(parsed("s3://no-such-bucket/one"))
    with pytest.raises(HomeClosed, match="there is no such bucket"):
        ObjectFile(client, "the study").version()
    assert object_server.requests[-1].status == 404


@pytest.mark.parametrize(
    ("url", "changes", "told"),
    [
        ("s3://bucket/one", {"AWS_SECRET_ACCESS_KEY": ""}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("hf://ann/bucket", {"ORCH_HF_ACCESS_KEY_ID": ""}, "set ORCH_HF_ACCESS_KEY_ID and ORCH_HF_SECRET_ACCESS_KEY"),
        (
            "gs://bucket/one",
            {"STORAGE_EMULATOR_HOST": "", "NO_GCE_CHECK": "true"},
            "nobody is signed in to Google here",
        ),
    ],
)
def test_keys_that_are_missing_are_asked_for_before_anything_is_sent(
    url: str,
    changes: dict[str, str],
    told: str,
    object_server: ObjectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**changes, "CLOUDSDK_CONFIG": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(SignInNeeded, match=told):
        ObjectClient(parsed(url))
    assert object_server.requests == []


def test_without_the_library_it_is_told_what_to_install() -> None:
    with mock.patch.dict(sys.modules, {"obstore": None}), pytest.raises(HomeError, match=r"orch-train\[objects\]"):
        ObjectClient(parsed("s3://bucket/one"))


@DIALECTS
def test_the_time_is_the_services(table: ObjectFile, object_server: ObjectServer) -> None:
    object_server.clock_ahead_seconds = 3600.0
    assert 3598 < table.now() - time.time() < 3602
    asked = len(object_server.requests)
    table.now()
    assert len(object_server.requests) == asked, "it is asked for now and then"


# --- artifacts ---


def large(directory: Path) -> Path:
    """A file of two parts."""
    (directory / "large").write_bytes(os.urandom(PART_BYTES + 100))
    return directory / "large"


@DIALECTS
@pytest.mark.parametrize("fault", [Fault.CUT_AFTER, Fault.ERROR_BEFORE])
def test_of_a_large_file_only_the_part_that_was_cut_is_sent_again(
    fault: Fault, artifacts: ObjectArtifacts, object_server: ObjectServer, tmp_path: Path
) -> None:
    file = large(tmp_path)
    object_server.faults.at(2, fault)  # the first begins the upload
    artifact = artifacts.put(file)
    assert [request.method for request in object_server.requests].count("PUT") == 3
    artifacts.fetch(artifact, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    assert object_server.state.uploads == {}


def test_of_an_upload_that_did_not_end_nothing_is_to_be_seen(
    artifacts: ObjectArtifacts, object_server: ObjectServer, tmp_path: Path
) -> None:
    object_server.faults.every(lambda method, path: method == "POST" and "large" not in path, Fault.FORBIDDEN)
    with pytest.raises(StoreError, match="may not do that"):
        artifacts.put(large(tmp_path))
    assert object_server.objects() == {} and list(artifacts.stored()) == []


@pytest.mark.parametrize("dialect", [Dialect.GCS])
def test_a_file_that_is_damaged_on_its_way_is_not_kept(
    artifacts: ObjectArtifacts, object_server: ObjectServer, file: Path
) -> None:
    """S3 checks by itself that what arrives is what was signed."""
    object_server.faults.every(lambda method, _: method == "PUT", Fault.DAMAGED)
    with pytest.raises(StoreError, match="did not arrive whole"):
        artifacts.put(file)
    assert object_server.objects() == {}


@DIALECTS
def test_all_pages_of_a_list_are_read(artifacts: ObjectArtifacts, object_server: ObjectServer, tmp_path: Path) -> None:
    object_server.page_size = 2
    put = set()
    for number in range(5):
        (tmp_path / "file").write_text(str(number))
        put.add(artifacts.put(tmp_path / "file"))
    assert {stored.artifact for stored in artifacts.stored()} == put


@DIALECTS
def test_a_list_that_is_late_shows_what_is_deleted_already_and_it_is_deleted_again_without_harm(
    artifacts: ObjectArtifacts, object_server: ObjectServer, file: Path
) -> None:
    artifact = artifacts.put(file)
    object_server.state.lag_seconds = 60.0
    assert list(artifacts.stored()) == []
    with object_server.state.lock:
        found = object_server.state.buckets[BUCKET]
        (key,) = found
        found[key] = mock.Mock(wraps=found[key], modified=time.time() - 120, content=found[key].content, etag="e")
    artifacts.delete(artifact)
    (late,) = artifacts.stored()
    assert late.artifact == artifact
    assert artifacts.discard(late, lambda _: True)


def test_what_two_put_of_the_same_bytes_are_two_and_neither_deletes_the_others(
    client: ObjectClient, file: Path, tmp_path: Path
) -> None:
    one, other = ObjectArtifacts(client, "one"), ObjectArtifacts(client, "other")
    first, second = one.put(file), other.put(file)
    assert first != second
    one.delete(first)
    other.fetch(second, tmp_path / "copy")
    assert not other.has(first)


def test_a_persons_own_objects_are_neither_listed_nor_deleted(
    artifacts: ObjectArtifacts, client: ObjectClient, object_server: ObjectServer, file: Path
) -> None:
    known = artifacts.put(file)
    sha256 = known.sha256
    theirs = ("notes", "artifacts/notes", f"artifacts/{sha256}", f"artifacts/{sha256}/notes", f"artifacts/x/{'a' * 32}")
    for key in theirs:
        client.put(key, b"mine")
    assert [stored.artifact for stored in artifacts.stored()] == [known]
    for location in ("notes", "../notes", sha256, f"{sha256}/notes", f"{'0' * 64}/{'a' * 32}", ""):
        named = Artifact(sha256, 4, location)
        artifacts.delete(named)
        assert not artifacts.has(named) and not artifacts.is_whole(named)
        with pytest.raises(ArtifactDamaged, match="somebody has altered the row"):
            artifacts.fetch(named, file.with_name("copy"))
    assert {f"studies/one/{key}" for key in theirs} < object_server.objects().keys()


def test_the_files_of_a_database_lie_apart_from_those_of_a_home_in_the_same_place(
    client: ObjectClient, artifacts: ObjectArtifacts, file: Path
) -> None:
    """Each would take the other's for garbage."""
    shared = ObjectArtifacts(client, "the bucket", SHARED_DIRECTORY)
    shared.put(file)
    assert list(artifacts.stored()) == [] and len(list(shared.stored())) == 1


def test_a_place_is_the_whole_bucket_if_it_has_no_prefix(object_server: ObjectServer, file: Path) -> None:
    artifacts = ObjectArtifacts(ObjectClient(parsed(f"s3://{BUCKET}")), "the bucket")
    artifact = artifacts.put(file)
    assert [stored.artifact for stored in artifacts.stored()] == [artifact]
    assert list(object_server.objects()) == [f"artifacts/{artifact.location}"]


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"!", lambda _: b""])
def test_an_object_that_somebody_has_changed_is_told_without_being_read_where_the_service_tells(
    change: Callable[[bytes], bytes], artifacts: ObjectArtifacts, object_server: ObjectServer, file: Path
) -> None:
    artifact = artifacts.put(file)
    assert artifacts.is_whole(artifact)
    assert object_server.requests[-1].method == "HEAD"
    (key,) = object_server.objects()
    object_server.change(key, change)
    assert not artifacts.is_whole(artifact)


def test_urls_say_where_a_place_is(object_server: ObjectServer) -> None:
    assert client_of(object_server).place.url == url_in(object_server)
