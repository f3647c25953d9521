"""A job table on Drive that somebody has put back, or emptied, is told and not believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import ExitCode
from orchestrator.jobtable.backends.sightings import SEEN_FILE
from tests.conftest import SMALL
from tests.support.drive import Account, DriveServer
from tests.support.drive.state import File
from tests.support.processes import orch, refused

JOB = "alexnet-tiny/seed0/benchmark/float16"


@pytest.fixture
def place(tmp_path: Path, ann: Account, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where a study was planned on Drive."""
    monkeypatch.setenv("ORCH_DRIVE_TOKEN_FILE", str(ann.token_file(tmp_path / "token")))
    (tmp_path / "study.toml").write_text(SMALL)
    assert orch("plan", "--home", "gdrive:", cwd=tmp_path).returncode == 0
    return tmp_path


@pytest.fixture
def table(place: Path, drive: DriveServer) -> File:  # noqa: ARG001
    (file,) = drive.files("jobs")
    return file


def put_back(drive: DriveServer, table: File, content: bytes) -> None:
    with drive.state.lock:
        table.content, table.version = content, table.version + 1


@pytest.mark.parametrize("emptied", [False, True], ids=["an older one", "none at all"])
def test_what_a_command_here_has_seen_is_remembered(
    place: Path, drive: DriveServer, table: File, emptied: bool
) -> None:
    before = b"" if emptied else table.content
    assert orch("cancel", JOB, cwd=place).returncode == 0
    assert orch("status", cwd=place).returncode == 0  # which notes what the command before it has changed
    put_back(drive, table, before)
    for command in ("status", "plan"):
        assert "--accept-rollback" in refused(orch(command, cwd=place), ExitCode.UNREACHABLE)
    assert orch("plan", "--accept-rollback", cwd=place).returncode == 0
    (place / SEEN_FILE).unlink()
    assert orch("status", cwd=place).returncode == 0, "the table is newer than all that was seen of it"


def test_who_begins_with_nothing_learns_it_from_what_was_uploaded(place: Path, drive: DriveServer, table: File) -> None:
    before = table.content
    assert orch("cancel", JOB, cwd=place).returncode == 0
    lost = next(file for file in drive.files() if file.properties.get("orch_generation"))
    drive.state.delete(drive.state.accounts["ann@example.org"], lost)
    assert orch("plan", cwd=place).returncode == 0, "a shard is put again, and with it what its uploader knew"
    put_back(drive, table, before)
    (place / SEEN_FILE).unlink()
    assert "somebody has restored an older version" in refused(orch("status", cwd=place), ExitCode.UNREACHABLE)


def test_a_note_that_is_no_number_is_none(place: Path, drive: DriveServer) -> None:
    for noted in ("", "many", "-1", "9" * 40):
        for file in drive.files():
            if "orch_generation" in file.properties:
                file.properties["orch_generation"] = noted
        (place / SEEN_FILE).write_text("[]")
        assert orch("status", cwd=place).returncode == 0, noted
