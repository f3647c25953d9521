"""`orch launch slurm` on a real Slurm, with a study on a real PostgreSQL: killed, at the wall time, scaled, stopped."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fast_motion.stand_in import STEP_SECONDS

from orchestrator.engines.pool import pool_name
from orchestrator.home import Home
from orchestrator.jobs import Ending, JobState
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.launching import launch
from tests.support.postgres_server import fresh_database
from tests.support.processes import wait_until, workers
from tests.support.runners import STAND_IN
from tests.support.slurm import Cluster, cluster

STUDY = Study.parse("""
name = "launched"
dataset = "synthetic"
train_images = 2600
test_images = 100
shards = 1
seeds = [0, 1, 2]

[training]
epochs = 40
epochs_per_visit = 40
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = []

[leases]
seconds = 4
""")
SLOWLY, QUICKLY = {STEP_SECONDS: "0.2"}, {STEP_SECONDS: "0.0001"}
"""So that a worker is always in the middle of its training; so that nobody waits for its end."""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with cluster() as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The weights that one worker of this machine gets when nobody disturbs it."""
    place = tmp_path_factory.mktemp("undisturbed")
    home = Home.open(publish(STUDY, place / "home", None).home)
    quick = dataclasses.replace(STAND_IN, environment={**STAND_IN.environment, **QUICKLY})
    with workers(home.url, place, runner=quick) as start:
        start().wait()
    return weights(home)


@pytest.fixture
def home(postgres: str, tmp_path: Path) -> Iterator[Home]:
    with fresh_database(postgres) as url:
        publish(STUDY, url, None, artifacts=tmp_path / "files")
        yield Home.open(url, tmp_path / "files")


class Launched:
    """The pool of a study on the cluster."""

    def __init__(self, slurm: Cluster, home: Home, place: Path) -> None:
        self._slurm, self._home, self._place = slurm, home, place
        self.name = pool_name("launched", home.url)

    def launch(self, *options: str, **environment: str) -> str:
        where = ("--home", self._home.url, "--artifacts", str(self._place / "files"))
        variables = {"SLURM_CONF": str(self._slurm.configuration), **environment}
        return launch("slurm", *where, *options, cwd=self._place, **variables)

    def running(self) -> list[str]:
        told = self._slurm.asked("squeue", f"--name={self.name}", "--noheader", "--states=RUNNING", "--format=%i")
        return told.split()

    def kill(self, element: str) -> None:
        """Kill a worker without warning, as a machine that is out of memory does.  Slurm itself sends SIGTERM first."""
        its = {f"--home={self._home.url}", f"slurm-{element.replace('_', '-')}"}
        (pid,) = [int(each.name) for each in Path("/proc").glob("[0-9]*") if its <= words(each / "cmdline")]
        os.kill(pid, signal.SIGKILL)

    def is_over(self) -> bool:
        return not self._slurm.asked("squeue", f"--name={self.name}", "--noheader")

    def exit_code(self, element: str) -> str:
        told = self._slurm.asked("scontrol", "--oneliner", "show", "job", element)
        return told.partition("ExitCode=")[2].split()[0]


def words(command_line: Path) -> set[str]:
    try:
        return set(command_line.read_text().split("\0"))
    except OSError:  # it has ended meanwhile
        return set()


def weights(home: Home) -> dict[str, str]:
    return {job.name: str((job.metrics or {})["weights_sha256"]) for job in home.jobs.jobs()}


def computing(home: Home) -> int:
    jobs = [job for job in home.jobs.jobs() if job.state is JobState.RUNNING]
    return sum(int(job.progress.get("step", 0)) > 0 for job in jobs)


def is_done(home: Home) -> bool:
    return all(job.state is JobState.DONE for job in home.jobs.jobs())


def test_workers_are_replaced_scaled_and_stopped_and_the_study_ends_in_the_same_bits(
    slurm: Cluster, home: Home, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    pool = Launched(slurm, home, tmp_path)
    assert "with 2 workers at a time" in pool.launch("--workers", "2", "--", "--comment=a test", **SLOWLY)
    assert "is there already" in pool.launch("--workers", "2")
    wait_until(lambda: computing(home) == 2, "the first steps of two workers")
    first, second = sorted(pool.running())
    pool.kill(first)
    wait_until(lambda: len(pool.running()) == 2 and first not in pool.running(), "another in the place of the first")
    pool.launch("--workers", "3")
    wait_until(lambda: computing(home) == 3, "the first steps of three workers")
    assert pool.launch("--list").count(" running ") == 3
    assert "Ended 2 workers" in pool.launch("--workers", "1")
    wait_until(lambda: pool.running() == [second], "the end of two workers")
    assert "Asked 1 worker to end" in pool.launch("--stop")
    wait_until(pool.is_over, "the end of the pool")
    assert {job.state for job in home.jobs.jobs()} == {JobState.READY}
    assert [attempt.outcome for attempt in home.jobs.attempts()].count(Ending.EXPIRED) == 1
    assert pool.launch("--stop") == "Slurm has no worker of this study.\n"
    pool.launch("--workers", "3", **QUICKLY)
    wait_until(lambda: is_done(home), "the study's end")
    wait_until(pool.is_over, "the end of a pool for which nothing is left")
    assert weights(home) == undisturbed


@pytest.mark.slow
def test_at_its_wall_time_a_worker_gives_its_job_back_and_another_goes_on(
    slurm: Cluster, home: Home, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    pool = Launched(slurm, home, tmp_path)
    pool.launch("--workers", "2", "--hours", "0.0167", **SLOWLY)
    wait_until(lambda: computing(home) == 2, "the first steps of two workers")
    first, second = sorted(pool.running())
    pool.kill(first)
    wait_until(lambda: second not in pool.running(), "the wall time of the second")
    assert pool.exit_code(second) == "75:0"
    assert Ending.RELEASED in [attempt.outcome for attempt in home.jobs.attempts()]
    pool.launch("--workers", "3", **SLOWLY)
    wait_until(lambda: computing(home) == 3, "the first steps of three workers")
    pool.launch("--stop")
    wait_until(pool.is_over, "the end of the pool")
    pool.launch("--workers", "2", **QUICKLY)
    wait_until(lambda: is_done(home), "the study's end")
    assert weights(home) == undisturbed
