"""Clients of the object server for tests: with its keys, over the real library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from orchestrator.object_stores.client import ObjectClient
from orchestrator.object_stores.places import parsed
from tests.support.object_store.server import ACCESS_KEY, BUCKET, SECRET_KEY, ObjectServer
from tests.support.object_store.state import Dialect
from tests.support.repetitions import repetitions

SCHEMES = {Dialect.S3: "s3", Dialect.GCS: "gs"}
DIALECTS, MOSTLY_S3, MOSTLY_GCS = (
    pytest.mark.parametrize("dialect", repetitions(Dialect, often=often), ids=lambda dialect: dialect.name.lower())
    for often in (tuple(Dialect), (Dialect.S3,), (Dialect.GCS,))
)


def environment_of(store: ObjectServer) -> Mapping[str, str]:
    """All that a command needs to find the server, and to be let in."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_ENDPOINT_URL": store.url,
        "ORCH_HF_ACCESS_KEY_ID": ACCESS_KEY,
        "ORCH_HF_SECRET_ACCESS_KEY": SECRET_KEY,
        "ORCH_HF_ENDPOINT": store.url,
        "STORAGE_EMULATOR_HOST": store.url,
    }


def url_in(store: ObjectServer, prefix: str = "studies/one") -> str:
    return f"{SCHEMES[store.state.dialect]}://{BUCKET}/{prefix}"


def client_of(store: ObjectServer, prefix: str = "studies/one") -> ObjectClient:
    """As the environment says it: `environment_of` must be set."""
    return ObjectClient(parsed(url_in(store, prefix)))


@pytest.fixture(name="dialect")
def fixture_dialect() -> Dialect:
    """Of which the server is; tests of both are parametrized."""
    return Dialect.S3


@pytest.fixture(name="object_server")
def fixture_object_server(dialect: Dialect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A server of its own, to which all of Orch in this process and its children speaks; nothing pauses long.

    What homes note of themselves lies in the test's directory, because every server has the same homes.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("random.random", lambda: 0.0)
    with ObjectServer(dialect) as store:
        for name, value in environment_of(store).items():
            monkeypatch.setenv(name, value)
        yield store
