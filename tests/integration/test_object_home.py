"""A home in an object store as a person uses it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobtable.backends.sightings import SEEN_FILE
from orchestrator.object_stores.table_file import KEY
from tests.conftest import SMALL
from tests.support.object_store import ObjectServer
from tests.support.object_store.server import BUCKET
from tests.support.object_store.signed_in import MOSTLY_GCS, MOSTLY_S3, url_in
from tests.support.postgres_server import fresh_database
from tests.support.processes import orch, refused

JOB = "alexnet-tiny/seed0/train/r00.s0"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(SMALL.replace("[leases]\nseconds = 5\n", "[leases]\n"))
    return tmp_path


@MOSTLY_GCS
def test_a_planned_home_is_found_again_by_every_command(place: Path, object_server: ObjectServer) -> None:
    url = url_in(object_server)
    told = orch("plan", "--home", f"{url}/", cwd=place)
    assert f"Planned small in {url}: 8 jobs over 2 shards (8 added, 0 kept)" in told.stdout, told.stderr
    status = json.loads(orch("status", "--json", cwd=place).stdout)
    assert (status["home"], status["jobs"]["ready"]) == (url, 1)
    assert "Cancelled 8 jobs." in orch("cancel", JOB, cwd=place).stdout
    kept = dict(object_server.objects())
    assert "8 asked for again" in orch("plan", cwd=place).stdout
    again = object_server.objects()
    assert kept.keys() == again.keys(), "no file is put twice"
    written = [path.read_text() for path in place.rglob(".orch*")]
    assert written and not any(os.environ["AWS_SECRET_ACCESS_KEY"] in text for text in written)


def test_leases_last_as_long_as_on_drive_unless_the_study_says_how_long(
    place: Path, object_server: ObjectServer
) -> None:
    orch("plan", "--home", url_in(object_server), cwd=place)
    study = Home.open(url_in(object_server)).jobs.study()
    assert study is not None and study.document["leases"]["seconds"] == 900.0
    (place / "study.toml").write_text(SMALL)
    assert "for 900 s, or give 300 or more" in orch("plan", cwd=place).stderr


def test_a_home_that_is_not_there_and_a_bucket_that_is_not_are_told(place: Path, object_server: ObjectServer) -> None:
    url = url_in(object_server)
    assert f"There is no home at {url}" in refused(orch("status", "--home", url, cwd=place), ExitCode.UNREACHABLE)
    for command in ("plan", "status"):
        told = refused(orch(command, "--home", "s3://no-such-bucket/one", cwd=place), ExitCode.UNREACHABLE)
        assert "there is no such bucket" in told
    assert "keeps its own files" in refused(orch("plan", "--home", url, "--artifacts", "a", cwd=place), ExitCode.USAGE)
    object_server.may_list = False
    told = refused(orch("status", "--home", url, cwd=place), ExitCode.UNREACHABLE)
    assert "let the keys list the bucket" in told


def test_keys_that_are_missing_or_wrong_have_their_own_exit_code(place: Path, object_server: ObjectServer) -> None:
    url = url_in(object_server)
    for keys in ({"AWS_SECRET_ACCESS_KEY": ""}, {"AWS_ACCESS_KEY_ID": "AKIAWRONG"}):
        told = refused(orch("status", "--home", url, cwd=place, **keys), ExitCode.SIGN_IN)
        assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in told


@pytest.mark.parametrize("emptied", [False, True], ids=["an older one", "none at all"])
def test_a_table_that_somebody_has_put_back_is_told_and_not_believed(
    place: Path, object_server: ObjectServer, emptied: bool
) -> None:
    url, key = url_in(object_server), f"studies/one/{KEY}"
    orch("plan", "--home", url, cwd=place)
    before = object_server.objects()[key].content
    orch("cancel", JOB, cwd=place)
    assert orch("status", cwd=place).returncode == 0  # which notes what the command before it has changed
    object_server.change(key, lambda _: b"" if emptied else before)
    for command in ("status", "plan"):
        assert "--accept-rollback" in refused(orch(command, cwd=place), ExitCode.UNREACHABLE)
    assert orch("plan", "--accept-rollback", cwd=place).returncode == 0
    (place / SEEN_FILE).unlink()
    assert orch("status", cwd=place).returncode == 0


def test_garbage_is_what_is_old_unnamed_and_a_stores_own(place: Path, object_server: ObjectServer) -> None:
    url = url_in(object_server)
    orch("plan", "--home", url, cwd=place)
    named = object_server.objects().keys()
    lost, theirs = f"studies/one/artifacts/{'ab' * 32}/{'0' * 32}", "studies/one/artifacts/notes"
    with object_server.state.lock:
        for key in (lost, theirs):
            object_server.state.put(BUCKET, key, b"left", {}, None)
    assert "Deleted 0 files" in orch("gc", cwd=place).stdout
    object_server.clock_ahead_seconds = 2 * 86_400.0
    assert "Deleted 1 file" in orch("gc", cwd=place).stdout
    assert object_server.objects().keys() == named | {theirs}


@MOSTLY_S3
def test_the_doctor_checks_the_service_before_the_first_plan_and_after_it_and_leaves_nothing(
    place: Path, object_server: ObjectServer
) -> None:
    url = url_in(object_server)
    before = orch("doctor", "--home", url, cwd=place)
    assert before.returncode == 0 and "!!" not in before.stdout, before.stdout
    assert object_server.objects() == {}
    orch("plan", "--home", url, cwd=place)
    kept = object_server.objects().keys()
    told = orch("doctor", cwd=place).stdout
    for found in (
        "All shards and the test set are there",
        "by which leases are judged",
        "sent twice makes one object",
        "A swap of a stale version is refused",
        "Of 4 swaps of one version at once, one won",
        "What is read after a swap is what was swapped",
        "A swap takes",
        "A new object is listed",
        "arrives with its checksum",
    ):
        assert found in told
    assert "!!" not in told and object_server.objects().keys() == kept


def test_the_doctor_finds_a_service_that_does_not_compare(place: Path, object_server: ObjectServer) -> None:
    object_server.state.compares = False
    done = orch("doctor", "--home", url_in(object_server), cwd=place)
    assert done.returncode == ExitCode.FAILED
    for found in ("create of what is there already was NOT refused", "stale version was NOT refused", "believe that"):
        assert found in done.stdout


def test_the_doctor_finds_a_gateway_that_answers_with_older_bytes_and_a_wrong_clock(
    place: Path, object_server: ObjectServer
) -> None:
    object_server.redirects, object_server.clock_ahead_seconds = True, 3600.0
    done = orch("doctor", "--home", url_in(object_server), cwd=place)
    assert done.returncode == ExitCode.FAILED
    assert re.search(r"(3599|3600|3601) s behind the service's: set it", done.stdout)
    assert "after a swap was NOT what was swapped" in done.stdout


def test_a_database_may_have_its_files_in_a_bucket(place: Path, object_server: ObjectServer, postgres: str) -> None:
    url = url_in(object_server)
    with fresh_database(postgres) as database:
        told = orch("plan", "--home", database, "--artifacts", url, cwd=place)
        assert "8 added" in told.stdout, told.stderr
        assert all(key.startswith("studies/one/orch-artifacts/") for key in object_server.objects())
        assert len(object_server.objects()) == 3
        home = Home.open(database, url)
        home.check_artifacts()
        assert all(map(home.artifacts.is_whole, home.jobs.data().values()))
        other = orch("status", "--home", database, "--artifacts", "s3://KEY:sesame@bucket/one", cwd=place)
        assert "cannot be understood" in refused(other, ExitCode.USAGE) and "sesame" not in other.stderr
        home.jobs.close()
