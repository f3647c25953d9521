"""What tests of several kinds start from: small studies, and homes on this machine's disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.home import Home
from orchestrator.planning.planner import Plan, make_plan
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.postgres_server import postgres_server

pytest_plugins = [
    *("tests.support.runners", "tests.support.browser"),
    *("tests.support.drive.signed_in", "tests.support.object_store.signed_in", "tests.support.jobtable_backends"),
    *("tests.support.late_trainings", "tests.support.finished_homes"),
]
"""Where further fixtures are defined, beside what they are made of; before those that import them, for pytest rewrites
the assertions of a module that it is the first to import."""

SMALL = """
name = "small"
dataset = "synthetic"
train_images = 400
test_images = 100
shards = 2

[training]
epochs = 2
epochs_per_visit = 1
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = ["float32", "float16"]

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = 5
tries = 2
"""


@pytest.fixture
def small_study() -> Study:
    """One tiny network on a few synthetic images: four train jobs in a chain, two compress, two benchmark."""
    return Study.parse(SMALL)


@pytest.fixture
def small_plan(small_study: Study) -> Plan:
    return make_plan(small_study)


@pytest.fixture
def planned_home(tmp_path: Path) -> Callable[[Study], Home]:
    """Plans a study into a fresh home and opens it."""

    def plan(study: Study) -> Home:
        return Home.open(publish(study, tmp_path / "home", None).home)

    return plan


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server; every test makes a database of its own in it."""
    with postgres_server() as url:
        yield url
