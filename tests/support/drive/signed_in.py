"""Clients of the Drive server for tests: signed in as an account, with the real libraries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.google_drive import signin
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.connection import ROOT_URL_VARIABLE
from tests.support.drive.server import DriveServer
from tests.support.drive.state import Account


@pytest.fixture(name="drive")
def fixture_drive(monkeypatch: pytest.MonkeyPatch) -> Iterator[DriveServer]:
    """A server of its own, to which all of Orch in this process and its children speaks; nothing pauses long."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    with DriveServer() as drive:
        monkeypatch.setenv(ROOT_URL_VARIABLE, drive.url)
        yield drive


@pytest.fixture(name="ann")
def fixture_ann(drive: DriveServer) -> Account:
    return drive.account("ann@example.org")


@pytest.fixture(name="client")
def fixture_client(ann: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DriveClient:
    """Drive as Ann sees it."""
    return client_of(ann, tmp_path, monkeypatch)


def client_of(account: Account, directory: Path, monkeypatch: pytest.MonkeyPatch) -> DriveClient:
    """Drive as this account sees it."""
    token = account.token_file(directory / f"{account.email}.{len(account.files)}.token")
    with monkeypatch.context() as environment:
        environment.setenv(signin.TOKEN_FILE_VARIABLE, str(token))
        return DriveClient(signin.credentials())
