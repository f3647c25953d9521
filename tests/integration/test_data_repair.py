"""Published data that are lost or damaged are put again by the next `orch plan`, and the table says where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.address import Address
from orchestrator.commands import doctor
from orchestrator.home import Home
from orchestrator.jobs import WorkerInfo
from orchestrator.planner import make_plan
from orchestrator.planning import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.drive import Account, DriveServer

Damage = Callable[[bytes], bytes | None]
DAMAGES: dict[str, Damage] = {
    "lost": lambda _: None,
    "cut short": lambda content: content[:100],
    "altered": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}


@pytest.fixture
def study() -> Study:
    return Study.parse(SMALL)


@pytest.fixture(params=DAMAGES)
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
