"""`orch launch slurm` on a real Slurm, with a study on a real PostgreSQL: killed, at the wall time, scaled, stopped."""

from __future__ import annotations

import os
import signal
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
from tests.support.slurm import Cluster, cluster


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with cluster() as started:
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
        worker = f"slurm-{element.replace('_', '-')}"
        os.kill(process_with(f"--home={self._home.url}", worker), signal.SIGKILL)

    def is_over(self) -> bool:
        return not self._slurm.asked("squeue", f"--name={self.name}", "--noheader")

    def ending(self, element: str) -> tuple[str, str]:
        """State and exit code of an element; while Slurm tidies up after it, both may not have been told yet."""
        wait_until(lambda: self._told(element, "JobState") not in ("RUNNING", "COMPLETING"), f"the end of {element}")
        return self._told(element, "JobState"), self._told(element, "ExitCode")

    def _told(self, element: str, field: str) -> str:
        told = self._slurm.asked("scontrol", "--oneliner", "show", "job", element)
        return told.partition(f" {field}=")[2].split()[0]


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
    # Two minutes: Slurm looks every half a minute whose time is up, so that it may warn a minute before it should.
    pool.launch("--workers", "2", "--hours", "0.033", **SLOWLY)
    wait_until(lambda: computing(home) == 2, "the first steps of two workers")
    first, second = sorted(pool.running())
    pool.kill(first)
    wait_until(lambda: second not in pool.running(), "the wall time of the second")
    assert pool.ending(second) == ("FAILED", "75:0")
    assert Ending.RELEASED in [attempt.outcome for attempt in home.jobs.attempts()]
    pool.launch("--workers", "3", **SLOWLY)
    wait_until(lambda: computing(home) == 3, "the first steps of three workers")
    pool.launch("--stop")
    wait_until(pool.is_over, "the end of the pool")
    pool.launch("--workers", "2", **QUICKLY)
    wait_until(lambda: is_done(home), "the study's end")
    assert weights(home) == undisturbed
