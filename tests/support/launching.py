"""`orch launch` for tests: the real command and real engines, whose workers begin to compute at once.

And a study for clusters: three trainings in a home on PostgreSQL, slow enough to be disturbed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fast_motion.stand_in import STEP_SECONDS

from orchestrator.home import Home
from orchestrator.jobs import JobState
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.postgres_server import fresh_database
from tests.support.processes import orch_after, workers
from tests.support.runners import STAND_IN

STAND_IN_COMMAND = (sys.executable, *STAND_IN.worker)

_WITH_STAND_INS = f"""
import types
from orchestrator.commands import launch
launch.own_packages = types.SimpleNamespace(command=lambda module: {list(STAND_IN_COMMAND)!r})
"""


def launch(*arguments: str, cwd: Path, **environment: str) -> str:
    """What `orch launch` printed, which ended well; its workers have the stand-in for a runner."""
    done = orch_after(_WITH_STAND_INS, "launch", *arguments, cwd=cwd, **{**STAND_IN.environment, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


def undisturbed_weights(place: Path) -> dict[str, str]:
    """The weights that one worker of this machine gets when nobody disturbs it."""
    home = Home.open(publish(STUDY, place / "home", None).home)
    with workers(home.url, place, runner=STAND_IN.paced(0.0001)) as start:
        start().wait()
    return weights(home)


@contextmanager
def planned_on_postgres(server: str, files: Path) -> Iterator[Home]:
    """The study in a home on a server of PostgreSQL, with its files in a directory."""
    with fresh_database(server) as url:
        publish(STUDY, url, None, artifacts=files)
        yield Home.open(url, files)


def process_with(*its: str) -> int:
    """The one process that has all of these among the words of its command line."""
    (pid,) = [int(each.name) for each in Path("/proc").glob("[0-9]*") if set(its) <= _words(each / "cmdline")]
    return pid


def _words(command_line: Path) -> set[str]:
    try:
        return set(command_line.read_text().split("\0"))
    except OSError:  # it has ended meanwhile
        return set()


def weights(home: Home) -> dict[str, str]:
    return {job.name: str((job.metrics or {})["weights_sha256"]) for job in home.jobs.jobs()}


def computing(home: Home) -> int:
    """How many jobs have their first step behind them."""
    jobs = [job for job in home.jobs.jobs() if job.state is JobState.RUNNING]
    return sum(int(job.progress.get("step", 0)) > 0 for job in jobs)


def is_done(home: Home) -> bool:
    return all(job.state is JobState.DONE for job in home.jobs.jobs())
