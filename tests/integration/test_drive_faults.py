"""Whichever request of a worker's whole way over Drive meets a fault: no job is lost, none is counted twice, and no
artifact is believed without its checksum."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest

from models import datasets
from orchestrator import google_drive
from orchestrator.address import drive_folder
from orchestrator.errors import OrchError
from orchestrator.google_drive import folder, signin
from orchestrator.google_drive.artifact_store import DriveStore
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.table_file import DriveFile
from orchestrator.home import Home
from orchestrator.jobs import (
    PlannedJob,
    WorkerInfo,
)
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.drive import Account, DriveServer, Fault
from tests.support.drive.faults import Predicate
from tests.support.jobtable_backends import plan_of
from tests.support.played_worker import LEASE_SECONDS, PlayedWorker, assert_all_is_done_once, chain_of_two


@pytest.fixture
def chain() -> list[PlannedJob]:
    return chain_of_two()


def played(client: DriveClient, home: folder.StudyFolder, place: Path) -> PlayedWorker:
    file, store = DriveFile(client, home.jobs, "the study"), DriveStore(client, home.artifacts, "the study's folder")
    return PlayedWorker(file, store, place)


# Each fault begins at another request, so that together they meet all of them.
SOME_OF_THEM = pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.slow)])


def first_of(fault: Fault, every: int) -> int:
    """The first request that meets the fault."""
    return 1 + list(Fault).index(fault) % every


@SOME_OF_THEM
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SLOW])
def test_every_job_is_done_once_whichever_request_meets_a_fault(
    fault: Fault, every: int, client: DriveClient, drive: DriveServer, chain: list[PlannedJob], tmp_path: Path
) -> None:
    home = folder.made(client, "study")
    worker = played(client, home, tmp_path)
    worker.table.create()
    worker.table.publish(plan_of(chain, seconds=LEASE_SECONDS))
    client.new_id()
    files = copy.deepcopy(drive.state._files)
    for number in itertools.count(first_of(fault, every), every):
        drive.state._files = copy.deepcopy(files)
        drive.faults.clear()
        drive.faults.at(number, fault)
        worker = played(client, home, tmp_path)
        worker.work_everything_off()
        happened = drive.faults.met
        drive.faults.clear()

        assert_all_is_done_once(worker)
        if not happened:
            assert number > 15, "a worker's way has more requests than that"
            return


PASSING = [fault for fault in Fault if fault not in (Fault.FULL, Fault.SLOW)]
"""Whichever request meets one of them once, a person need not hear of it."""


def plans(client: DriveClient, chain: list[PlannedJob], place: Path) -> str:
    """The requests of `orch plan`, with a file for the data and for the wheel; the home's URL."""
    home = Home.create("gdrive:", name="study")
    (place / "shard").write_bytes(b"images")
    home.jobs.publish(plan_of(chain), {"shard": home.artifacts.put(place / "shard")})
    (place / "orch.whl").write_bytes(b"the Orch that travels")
    folder.publish_wheel(client, drive_folder(home.url), place / "orch.whl")
    return home.url


def looks(url: str, place: Path) -> None:
    """The requests of `orch status`, of `orch snippet`, and of a worker that begins."""
    home = Home.open(url)
    home.check_artifacts()
    assert home.jobs.overview().counts.total() == 2
    assert home.artifacts.shortage() is None
    assert folder.published_wheel(google_drive.connect(), drive_folder(url)) is not None
    home.artifacts.fetch(home.jobs.data()["shard"], place / "fetched")
    assert home.jobs.claim(WorkerInfo("w1")) is not None


@SOME_OF_THEM
@pytest.mark.parametrize("fault", PASSING)
def test_no_command_and_no_workers_start_is_ended_by_a_request_that_meets_a_fault(
    fault: Fault,
    every: int,
    client: DriveClient,
    drive: DriveServer,
    chain: list[PlannedJob],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ann: Account,
) -> None:
    monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(ann.token_file(tmp_path / "token")))
    url = plans(client, chain, tmp_path)
    files = copy.deepcopy(drive.state._files)
    for number in itertools.count(first_of(fault, every), every):
        drive.faults.at(number, fault)
        looks(url, tmp_path)
        if not drive.faults.met:
            break
        drive.faults.clear()
        drive.state._files = copy.deepcopy(files)
    assert number > 10, "a worker begins with more requests than that"
    for number in itertools.count(first_of(fault, every), every):
        drive.faults.clear()
        drive.faults.at(number, fault)
        plans(client, chain, tmp_path)
        if not drive.faults.met:
            assert number > 10, "a plan takes more requests than that"
            return


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_plan_for_which_there_is_no_room_leaves_no_folder_behind(
    drive: DriveServer, ann: Account, every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of its requests is refused; a folder that was there before stays."""
    monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(ann.token_file(tmp_path / "token")))
    study, dataset = Study.parse(SMALL), datasets.load("synthetic", None)
    writes = lambda method, _: method in ("POST", "PUT", "PATCH")  # noqa: E731
    for allowed in itertools.count(step=every):
        drive.faults.clear()
        drive.faults.every(after(allowed, writes), Fault.FULL)
        try:
            planned = publish(study, "gdrive:", None, dataset)
        except OrchError as error:
            assert "full" in str(error)
            assert [file for file in drive.files() if file.name != "My Drive"] == []
            continue
        break
    assert allowed > 5
    drive.faults.every(lambda *_: True, Fault.FULL)
    with pytest.raises(OrchError):
        publish(study, planned.home, None, dataset)
    assert drive.files("small (Orch)") != []


def after(count: int, predicate: Predicate) -> Predicate:
    """True of what the predicate is true of, but for the first so many."""
    seen = itertools.count(1)
    return lambda method, path: predicate(method, path) and next(seen) > count
