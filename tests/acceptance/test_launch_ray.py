"""`orch launch ray` on a real Ray, with a study on a real PostgreSQL: killed, scaled, stopped, the same bits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.engines.pool import pool_name
from orchestrator.home import Home
from orchestrator.jobs import Ending, JobState
from tests.support.launching import (
    QUICKLY,
    SLOWLY,
    computing,
    is_done,
    launch,
    planned_on_postgres,
    process_with,
    undisturbed_weights,
    weights,
)
from tests.support.processes import wait_until
from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.runners import STAND_IN

pytestmark = pytest.mark.slow  # Ray takes most of a minute to start, and 1.7 GB

_RUNNING = re.compile(r"^(ray-\w+-\d+) +running +\S+ +ray job logs", re.MULTILINE)


@pytest.fixture(scope="module")
def ray() -> Iterator[RayCluster]:
    with ray_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return undisturbed_weights(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def home(postgres: str, tmp_path: Path) -> Iterator[Home]:
    with planned_on_postgres(postgres, tmp_path / "files") as planned:
        yield planned


class Launched:
    """The pool of a study on the cluster."""

    def __init__(self, ray: RayCluster, home: Home, place: Path) -> None:
        self._ray, self._home, self._place = ray, home, place

    def launch(self, *options: str, **its_environment: str) -> str:
        """The workers of a pool that is new have this environment."""
        where = ("--home", self._home.url, "--artifacts", str(self._place / "files"))
        variables = {"env_vars": {**STAND_IN.environment, **its_environment}}
        within = ("--", "--runtime-env-json", json.dumps(variables)) if its_environment else ()
        return launch("ray", *where, *options, *within, cwd=self._place, **self._ray.environment)

    def running(self) -> list[str]:
        return _RUNNING.findall(self.launch("--list"))

    def keeper(self) -> str:
        return self.launch("--list").split()[0]

    def by_hand(self, command: str) -> None:
        """What a person types."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **self._ray.environment, "PATH": path}
        subprocess.run(["sh", "-c", command], env=environment, check=True, stdout=subprocess.DEVNULL)

    def kill(self, name: str) -> None:
        """Kill a worker without warning, as a machine that is out of memory does."""
        os.kill(process_with(f"--home={self._home.url}", name), signal.SIGKILL)

    def is_over(self) -> bool:
        return self.launch("--list") == "No worker of this study is known here.\n"


def test_workers_are_replaced_scaled_and_stopped_and_the_study_ends_in_the_same_bits(
    ray: RayCluster, home: Home, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    pool = Launched(ray, home, tmp_path)
    assert "with 2 workers at a time" in pool.launch("--workers", "2", **SLOWLY)
    assert "is there already, now with 2 workers" in pool.launch("--workers", "2")
    wait_until(lambda: computing(home) == 2, "the first steps of two workers")
    first, second = pool.running()
    pool.kill(second)
    wait_until(lambda: Ending.EXPIRED in [each.outcome for each in home.jobs.attempts()], "the end of its lease")
    wait_until(lambda: computing(home) == 2, "another in the place of the second")
    pool.launch("--workers", "3")
    wait_until(lambda: computing(home) == 3, "the first steps of three workers")
    assert len(pool.running()) == 3
    pool.launch("--workers", "1")
    wait_until(lambda: computing(home) == 1, "two jobs given back")
    wait_until(lambda: pool.running() == [first], "the end of two workers")
    assert "to end in good order" in pool.launch("--stop")
    wait_until(lambda: {job.state for job in home.jobs.jobs()} == {JobState.READY}, "the last job given back")
    wait_until(pool.is_over, "the end of the pool")
    assert [attempt.outcome for attempt in home.jobs.attempts()].count(Ending.EXPIRED) == 1
    assert pool.launch("--stop") == "Ray has no worker of this study.\n"
    pool.launch("--workers", "3", **QUICKLY)
    wait_until(lambda: is_done(home), "the study's end")
    wait_until(pool.is_over, "the end of a pool for which nothing is left")
    assert weights(home) == undisturbed


def test_a_pool_that_is_submitted_as_printed_and_stopped_by_ray_itself_gives_its_jobs_back(
    ray: RayCluster, home: Home, tmp_path: Path
) -> None:
    pool = Launched(ray, home, tmp_path)
    pool.by_hand(pool.launch("--workers", "2", "--print", **SLOWLY))
    wait_until(lambda: computing(home) == 2, "the first steps of two workers")
    pool.by_hand(f"ray job stop {pool.keeper()}")
    wait_until(lambda: {job.state for job in home.jobs.jobs()} == {JobState.READY}, "the jobs given back")
    assert [attempt.outcome for attempt in home.jobs.attempts()] == [Ending.RELEASED] * 2
    assert pool.is_over()


def test_the_workers_of_a_keeper_that_is_killed_give_their_jobs_back(
    ray: RayCluster, home: Home, tmp_path: Path
) -> None:
    pool = Launched(ray, home, tmp_path)
    pool.launch("--workers", "2", **SLOWLY)
    wait_until(lambda: computing(home) == 2, "the first steps of two workers")
    os.kill(process_with(f"--pool={pool_name('launched', home.url)}"), signal.SIGKILL)
    wait_until(lambda: {job.state for job in home.jobs.jobs()} == {JobState.READY}, "the jobs given back")
    assert [attempt.outcome for attempt in home.jobs.attempts()] == [Ending.RELEASED] * 2
    assert " failed " in pool.launch("--list")


def test_a_wrong_token_is_refused_without_repeating_it(ray: RayCluster) -> None:
    wrong = {**ray.environment, "RAY_AUTH_TOKEN": "sesame-and-lilies"}
    del wrong["RAY_AUTH_TOKEN_PATH"]
    script = "from orchestrator.engines.ray import RayEngine; RayEngine(()).list('orch-launched-0')"
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **wrong}, capture_output=True, text=True)
    told = done.stderr.strip().splitlines()[-1]
    assert "Authentication failed: Forbidden: Invalid authentication token; give its token in" in told
    assert "sesame" not in done.stderr
