"""Homes of every kind with a study that is done, or half done, without anybody having computed anything."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import datasets
from models.predictions import NAME, Predictions
from orchestrator.google_drive import signin
from orchestrator.home import Home
from orchestrator.jobs import Artifact, Lease, Stage, WorkerInfo
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support import done_jobs
from tests.support.drive.server import DriveServer
from tests.support.jobtable_backends import complete
from tests.support.postgres_server import fresh_database
from tests.support.repetitions import repetitions

KINDS = ("directory", "gdrive", "postgresql")
TEST = datasets.subset(datasets.load("synthetic").test, 30, 0)

MakeHome = Callable[[Study], Home]


IN_A_DIRECTORY = pytest.mark.parametrize("any_home", ["directory"], indirect=True)
"""For what is made of a home, whatever its kind, beside a test that reads homes of all kinds."""


@dataclass(frozen=True)
class Made:
    """How a home of a kind is made, and with which options a command finds it."""

    plan: MakeHome
    options: Callable[[Home], tuple[str, ...]]


@pytest.fixture(params=repetitions(KINDS, often=["directory"]), name="any_home")
def fixture_any_home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """A way to plan a study into a fresh home, of each kind in turn."""
    with ExitStack() as open_until_then:
        if request.param == "directory":
            yield Made(lambda study: _planned(study, str(tmp_path / "home")), lambda home: ("--home", home.url))
        elif request.param == "gdrive":
            drive: DriveServer = request.getfixturevalue("drive")
            token = drive.account("bob@example.org").token_file(tmp_path / "token")
            monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(token))
            monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
            monkeypatch.setenv("NO_GCE_CHECK", "true")
            yield Made(lambda study: _planned(study, "gdrive:"), lambda home: ("--home", home.url))
        else:
            url = open_until_then.enter_context(fresh_database(request.getfixturevalue("postgres")))
            files = str(tmp_path / "files")
            yield Made(lambda study: _planned(study, url, files), lambda _: ("--home", url, "--artifacts", files))


def _planned(study: Study, url: str, artifacts: str | None = None) -> Home:
    told = publish(study, url, None, artifacts=artifacts)
    return Home.open(url if told.home.startswith("postgresql") else told.home, artifacts)


def finish(home: Home, scratch: Path, jobs: int = 1000) -> None:
    """Do up to so many jobs as a worker would leave them: with networks, .keras files and predictions.

    float16 alone is wrong, on three images of thirty.
    """
    for _ in range(jobs):
        lease = home.jobs.claim(WorkerInfo("ann", "ann's laptop", "Xeon"))
        if lease is None:
            return
        complete(home.jobs, lease, _outputs(home, lease, scratch), _metrics(lease))


def _metrics(lease: Lease) -> dict[str, Any]:
    visit = lease.spec.get("visit", {})
    steps = {"step": visit["first_step"] + visit["steps"]} if lease.stage is Stage.TRAIN else {}
    return {**done_jobs.metrics(lease), **steps}


def _outputs(home: Home, lease: Lease, scratch: Path) -> dict[str, Artifact]:
    outputs = {name: done_jobs.kept(home, f"{name} of {lease.name}") for name in done_jobs.OUTPUTS[lease.stage]}
    method = lease.spec.get("method")
    if lease.stage is Stage.COMPRESS and method == "float32":
        with zipfile.ZipFile(scratch / "model.keras", "w") as saved:
            saved.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        outputs["keras"] = home.artifacts.put(scratch / "model.keras")
    if lease.stage is Stage.BENCHMARK:
        wrong = 3 if method == "float16" else 0
        Predictions.of(TEST, np.arange(30) < wrong).save(scratch / "said")
        outputs[NAME] = home.artifacts.put(scratch / "said")
    return outputs
