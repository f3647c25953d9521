"""Whichever request of a worker's whole way over an object store meets a fault: no job is lost, none is counted twice,
and no artifact is believed without its checksum."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from orchestrator.errors import OrchError
from orchestrator.home import Home
from orchestrator.jobs import WorkerInfo
from orchestrator.object_stores.artifact_store import ObjectArtifacts
from orchestrator.object_stores.table_file import KEY, ObjectFile
from tests.support.jobtable_backends import plan_of
from tests.support.object_store import Dialect, Fault, ObjectServer
from tests.support.object_store.server import BUCKET
from tests.support.object_store.signed_in import client_of, url_in
from tests.support.played_worker import LEASE_SECONDS, PlayedWorker, assert_all_is_done_once, chain_of_two

PASSING = [fault for fault in Fault if fault not in (Fault.FORBIDDEN, Fault.WRONG_KEYS)]
"""Whichever request meets one of them once, a person need not hear of it."""

# Each fault begins at another request, so that together they meet all of them.
SOME_OF_THEM = pytest.mark.parametrize(
    ("dialect", "every"),
    [
        (Dialect.S3, 11),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in [(Dialect.S3, 1), (Dialect.GCS, 3)]),
    ],
)


def first_of(fault: Fault, every: int) -> int:
    """The first request that meets the fault."""
    return 1 + list(Fault).index(fault) % every


@SOME_OF_THEM
@pytest.mark.parametrize("fault", Fault)
def test_every_job_is_done_once_whichever_request_meets_a_fault(
    fault: Fault, every: int, object_server: ObjectServer, tmp_path: Path
) -> None:
    client = client_of(object_server)
    file, artifacts = ObjectFile(client, "the study"), ObjectArtifacts(client, "the study's bucket")
    client.create(KEY, b"")
    table = PlayedWorker(file, artifacts, tmp_path).table
    table.create()
    table.publish(plan_of(chain_of_two(), seconds=LEASE_SECONDS))
    planned = object_server.objects()
    for number in itertools.count(first_of(fault, every), every):
        object_server.state.buckets[BUCKET] = dict(planned)
        object_server.faults.clear()
        object_server.faults.at(number, fault)
        worker = PlayedWorker(file, artifacts, tmp_path)
        worker.work_everything_off()
        happened = object_server.faults.met
        object_server.faults.clear()
        assert_all_is_done_once(worker)
        if not happened:
            assert number > 15, "a worker's way has more requests than that"
            return


def plans(url: str, place: Path) -> None:
    """The requests of `orch plan`, with a file for the data."""
    home = Home.create(url, name="study")
    (place / "shard").write_bytes(b"images")
    home.jobs.publish(plan_of(chain_of_two()), {"shard": home.artifacts.put(place / "shard")})


def looks(url: str, place: Path) -> None:
    """The requests of `orch status` and of a worker that begins."""
    home = Home.open(url)
    home.check_artifacts()
    assert home.jobs.overview().counts.total() == 2
    home.artifacts.fetch(home.jobs.data()["shard"], place / "fetched")
    assert home.jobs.claim(WorkerInfo("w1")) is not None


@SOME_OF_THEM
@pytest.mark.parametrize("fault", PASSING)
def test_no_command_and_no_workers_start_is_ended_by_a_request_that_meets_a_fault(
    fault: Fault, every: int, object_server: ObjectServer, tmp_path: Path
) -> None:
    url = url_in(object_server)
    for number in itertools.count(first_of(fault, every), every):
        object_server.state.buckets[BUCKET] = {}
        (tmp_path / ".orch.seen.json").unlink(missing_ok=True)
        object_server.faults.clear()
        object_server.faults.at(number, fault)
        plans(url, tmp_path)
        looks(url, tmp_path)
        if not object_server.faults.met:
            assert number > 15, "a plan and a worker's start take more requests than that"
            return


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.WRONG_KEYS])
def test_a_home_that_is_closed_for_good_is_told_whichever_request_is_refused(
    fault: Fault, object_server: ObjectServer, tmp_path: Path
) -> None:
    for allowed in itertools.count():
        object_server.state.buckets[BUCKET] = {}
        object_server.faults.clear()
        asked = itertools.count(1)
        object_server.faults.every(lambda *_, asked=asked, allowed=allowed: next(asked) > allowed, fault)
        try:
            plans(url_in(object_server), tmp_path)
        except OrchError as refused:
            assert "may not do that" in str(refused) or "keys are not taken" in str(refused)
            continue
        break
    assert allowed > 5
