"""Published data that are lost or damaged are put again by the next `orch plan`, and the table says where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.address import Address
from orchestrator.commands import doctor
from orchestrator.errors import HomeError
from orchestrator.home import Home
from orchestrator.jobs import WorkerInfo
from orchestrator.planning.planner import make_plan
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.done_jobs import finish
from tests.support.drive import Account, DriveServer
from tests.support.postgres_server import fresh_database
from tests.support.repetitions import repetitions

Damage = Callable[[bytes], bytes | None]
DAMAGES: dict[str, Damage] = {
    "lost": lambda _: None,
    "cut short": lambda content: content[:100],
    "altered": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}


@pytest.fixture
def study() -> Study:
    return Study.parse(SMALL)


@pytest.fixture(params=repetitions(DAMAGES, often=["lost", "altered"]))
def damage(request: pytest.FixtureRequest) -> Damage:
    return DAMAGES[request.param]


def shard_of(study: Study) -> str:
    return make_plan(study).shard_names[0]


def told_by_the_doctor(home: Home) -> str:
    return "\n".join(finding.told for finding in doctor.findings(Address(home.url)) if not finding.well)


def test_a_shard_of_a_directory_is_put_again(study: Study, damage: Damage, tmp_path: Path) -> None:
    home = Home.open(publish(study, tmp_path / "home", None).home)
    name = shard_of(study)
    shard = home.jobs.data()[name]
    path = tmp_path / "home" / "artifacts" / shard.location
    left = damage(path.read_bytes())
    path.unlink() if left is None else path.write_bytes(left)
    assert f"{name} are missing or damaged; run `orch plan` again" in told_by_the_doctor(home)
    again = publish(study, tmp_path / "home", None)
    assert again.repaired == (name,)
    assert f"missing or damaged: {name}." in again.sentence()
    assert told_by_the_doctor(home) == ""
    assert publish(study, tmp_path / "home", None).repaired == ()


@pytest.mark.usefixtures("ann")
def test_a_shard_on_drive_is_put_again_and_workers_are_given_the_new_one(
    study: Study, damage: Damage, drive: DriveServer, ann: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_DRIVE_TOKEN_FILE", str(ann.token_file(tmp_path / "token")))
    home = Home.open(publish(study, "gdrive:", None).home)
    name = shard_of(study)
    lost = home.jobs.data()[name]
    (file,) = [file for file in drive.files() if file.id == lost.location]
    left = damage(file.content)
    if left is None:
        home.artifacts.delete(lost)
    else:
        file.content = left
    assert publish(study, home.url, None).repaired == (name,)
    lease = home.jobs.claim(WorkerInfo("w1"))
    assert lease is not None and lease.inputs["shard"].sha256 == lost.sha256
    home.artifacts.fetch(lease.inputs["shard"], tmp_path / "shard")
    files = len(drive.files())
    assert publish(study, home.url, None).repaired == ()
    assert len(drive.files()) == files, "nothing is uploaded again by every plan"


def test_all_of_a_studys_data_on_drive_is_put_again(
    study: Study, drive: DriveServer, ann: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_DRIVE_TOKEN_FILE", str(ann.token_file(tmp_path / "token")))
    home = Home.open(publish(study, "gdrive:", None).home)
    published = home.jobs.data()
    for artifact in published.values():
        home.artifacts.delete(artifact)
    kept = {file.id for file in drive.files()}
    home.check_artifacts()  # a worker waits for what a plan puts again, as for one shard
    assert set(publish(study, home.url, None).repaired) == published.keys()
    home.jobs.refresh()
    assert {artifact.location for artifact in home.jobs.data().values()}.isdisjoint(kept)
    assert all(map(home.artifacts.is_whole, home.jobs.data().values()))


def test_all_of_a_studys_data_in_a_given_directory_is_put_again_where_other_files_of_it_lie(
    study: Study, postgres: str, tmp_path: Path
) -> None:
    with fresh_database(postgres) as url:
        publish(study, url, None, artifacts=tmp_path / "files")
        home = Home.open(url, tmp_path / "files")
        assert finish(home, jobs=1) == 1
        published = home.jobs.data()
        for artifact in published.values():
            home.artifacts.delete(artifact)
        assert set(publish(study, url, None, artifacts=tmp_path / "files").repaired) == published.keys()
        assert all(map(home.artifacts.is_whole, home.jobs.data().values()))
        with pytest.raises(HomeError, match="None of the data of"):
            publish(study, url, None, artifacts=tmp_path / "of another home")
        home.jobs.close()
