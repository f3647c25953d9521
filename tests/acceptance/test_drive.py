"""A study on Google Drive: one account plans, three work on it, in notebooks that run the cell of `orch snippet`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import indent

import pytest

from orchestrator.google_drive import signin
from orchestrator.google_drive.connection import ROOT_URL_VARIABLE
from orchestrator.home import Home
from orchestrator.jobs import Ending, JobState
from orchestrator.jobtable.backends.snapshot_format import decoded
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.deaths import assert_one_holder_at_a_time
from tests.support.drive import Account, DriveServer, Fault
from tests.support.processes import PATIENCE_SECONDS, orch, wait_until, workers
from tests.support.runners import COMPUTE_NOTHING, STAND_IN, TENSORFLOW, Runner, the_same_with_both

TEXT = """
name = "on-drive"
dataset = "synthetic"
train_images = 2600
test_images = 200
shards = 2
seeds = [0, 1]

[training]
epochs = 4
epochs_per_visit = 4
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = ["float32"]

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = 6
tries = 5
"""
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PASSING = (Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.RATE_LIMIT, Fault.STALE_ETAG)


class Coordinator:
    """Ann's laptop: plans, and looks."""

    def __init__(self, drive: DriveServer, place: Path) -> None:
        self.place = place
        self.account = drive.account("ann@example.org")
        self._environment = {signin.TOKEN_FILE_VARIABLE: str(self.account.token_file(place / "ann.token"))}
        (place / "study.toml").write_text(TEXT)

    def orch(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        ended = orch(*arguments, cwd=self.place, **self._environment)
        assert ended.returncode == 0, ended.stderr
        return ended

    def home(self, monkeypatch: pytest.MonkeyPatch) -> Home:
        """As this account sees it, in this process."""
        url = self.orch("plan", "--home", "gdrive:", "--json").stdout
        for name, value in self._environment.items():
            monkeypatch.setenv(name, value)
        return Home.open(json.loads(url)["home"])


@pytest.fixture
def coordinator(drive: DriveServer, tmp_path: Path) -> Coordinator:
    return Coordinator(drive, tmp_path)


IN_EVERY_PYTHON = f"""
import sys
if sys.orig_argv[1:4] == ["-P", "-m", "workers"]:
{indent(COMPUTE_NOTHING.strip(), "    ")}
"""
"""The worker of a cell, which has Orch from its wheel, so computes with the stand-in."""


def environment_of(runner: Runner, place: Path) -> Mapping[str, str]:
    """What a notebook needs besides so that the worker of its cell computes with this runner."""
    if runner is TENSORFLOW:
        return {}
    started_with = place / "started with"
    started_with.mkdir()
    (started_with / "sitecustomize.py").write_text(IN_EVERY_PYTHON)
    return {**runner.environment, "PYTHONPATH": os.pathsep.join(map(str, (started_with, BENCHMARKS)))}


class Notebook:
    """A session in which an account runs the cell, in a process group of its own."""

    def __init__(self, cell: Path, account: Account, place: Path, number: int, more: Mapping[str, str]) -> None:
        self.log = place / f"notebook{number}.log"
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(place),
            "TMPDIR": str(place),
            "PIP_NO_INDEX": "1",  # the notebook has all that a worker needs
            ROOT_URL_VARIABLE: os.environ[ROOT_URL_VARIABLE],
            signin.TOKEN_FILE_VARIABLE: str(account.token_file(place / f"notebook{number}.token")),
            **more,
        }
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                ["sh", str(cell)],
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=place,
                env=environment,
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def die(self) -> None:
        """As a notebook does: all of it at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Notebooks:
    """Sessions of several accounts; whatever is left of them ends with the test."""

    def __init__(self, cell: Path, accounts: list[Account], place: Path, more: Mapping[str, str]) -> None:
        self._cell, self.accounts, self._place, self._more = cell, accounts, place, more
        self.all: list[Notebook] = []

    def start(self, account: int) -> Notebook:
        self.all.append(Notebook(self._cell, self.accounts[account], self._place, len(self.all), self._more))
        return self.all[-1]

    def end(self) -> None:
        for notebook in self.all:
            if not notebook.ended:
                notebook.die()


@pytest.fixture
def notebooks(runner: Runner, coordinator: Coordinator, drive: DriveServer, tmp_path: Path) -> Iterator[Notebooks]:
    accounts = [coordinator.account, *(drive.account(f"{name}@example.org") for name in ("ben", "cas"))]
    started = Notebooks(tmp_path / "cell.sh", accounts, tmp_path, environment_of(runner, tmp_path))
    yield started
    started.end()


def weights(home: Home) -> dict[str, str]:
    return {job.name: job.metrics["weights_sha256"] for job in home.jobs.jobs() if job.metrics and job.stage == "train"}


@pytest.fixture
def undisturbed(runner: Runner, tmp_path: Path) -> dict[str, str]:
    """The weights when one worker does everything in a home on this disk."""
    home = Home.open(publish(Study.parse(TEXT), tmp_path / "local", None).home)
    with workers(home.url, tmp_path, runner=runner) as start:
        start().wait()
    return weights(home)


DEATHS = 2


@the_same_with_both
def test_three_accounts_that_die_and_meet_faults_end_with_the_bits_of_a_local_home(
    coordinator: Coordinator,
    drive: DriveServer,
    notebooks: Notebooks,
    undisturbed: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = coordinator.home(monkeypatch)
    coordinator.orch("share", "ben@example.org", "cas@example.org")
    (tmp_path / "cell.sh").write_text(coordinator.orch("snippet", "--shell").stdout)
    left_behind = left_by_a_dead_worker(drive, notebooks)
    drive.faults.at_random(0.03, seed=5, kinds=PASSING)

    crew = {account: notebooks.start(account) for account in range(3)}
    chance = random.Random(7)
    for _ in range(DEATHS):
        before = len(home.jobs.attempts())
        wait_until(lambda before=before: has_moved_on(home, before), "a new attempt")  # type: ignore[misc]
        victim = chance.randrange(3)
        crew[victim].die()
        crew[victim] = notebooks.start(victim)
    wait_until(lambda: not home.jobs.unfinished() or not crew_works(crew), "the end of the study")
    for notebook in crew.values():
        assert notebook.process.wait(PATIENCE_SECONDS) == 0, notebook.log.read_text()
    drive.faults.clear()
    home.jobs.refresh()

    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}, [job.error for job in home.jobs.jobs()]
    assert weights(home) == undisturbed
    assert_one_holder_at_a_time(home)
    assert all(attempt.outcome in (Ending.DONE, Ending.EXPIRED) for attempt in home.jobs.attempts())
    assert "on-drive" in coordinator.orch("status").stdout
    coordinator.orch("report", "--out", str(tmp_path / "report"))
    assert (tmp_path / "report" / "report.html").exists()
    assert left_behind not in {file.id for file in drive.files()}, "a worker sweeps what its account left before"
    assert_no_token_is_anywhere(drive, notebooks, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("runner", [TENSORFLOW], indirect=True, ids=["TensorFlow"])
def test_a_cell_trains_in_tensorflow_to_the_bits_of_a_local_home(
    coordinator: Coordinator,
    notebooks: Notebooks,
    undisturbed: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "study.toml").write_text(TEXT.replace("seeds = [0, 1]", "seeds = [0]"))
    home = coordinator.home(monkeypatch)
    (tmp_path / "cell.sh").write_text(coordinator.orch("snippet", "--shell").stdout)
    notebook = notebooks.start(0)
    assert notebook.process.wait(PATIENCE_SECONDS) == 0, notebook.log.read_text()
    home.jobs.refresh()
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
    assert weights(home).items() <= undisturbed.items() and len(weights(home)) == 2


def test_what_a_full_account_cannot_keep_is_done_by_another_account_and_not_given_to_it_again(
    coordinator: Coordinator, drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = coordinator.home(monkeypatch)
    poor = drive.account("poor@example.org", quota_bytes=1000)
    coordinator.orch("share", poor.email)
    with workers(home.url, tmp_path, "--checkpoint-seconds", "0.5", runner=STAND_IN) as start:
        monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(poor.token_file(tmp_path / "poor.token")))
        full = start()
        wait_until(lambda: "takes no more jobs until there is room" in full.log.read_text(), "the job given back")
        monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(coordinator.account.token_file(tmp_path / "rich.token")))
        start().wait()
        full.wait()
    monkeypatch.setattr(home.jobs._backend, "_reads_good_for", 0.0)
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
    (kept_for_a_lease,) = [attempt for attempt in home.jobs.attempts() if attempt.worker == full.name]
    assert kept_for_a_lease.outcome is Ending.RELEASED
    assert "It is the storage of poor@example.org" in (kept_for_a_lease.error or "")


def left_by_a_dead_worker(drive: DriveServer, notebooks: Notebooks) -> str:
    """A file of two days ago that no row names."""
    (artifacts,) = drive.files("artifacts")
    with drive.state.lock:
        file = drive.state.create(notebooks.accounts[1], None, "ab" * 32, [artifacts.id], "", {})
        file.modified -= 2 * 86_400
    return file.id


def crew_works(crew: dict[int, Notebook]) -> bool:
    return not all(notebook.ended for notebook in crew.values())


def has_moved_on(home: Home, before: int) -> bool:
    return len(home.jobs.attempts()) > before or not home.jobs.unfinished()


def assert_no_token_is_anywhere(drive: DriveServer, notebooks: Notebooks, place: Path) -> None:
    """Not in a cell, in the table, in an artifact, or in what was printed."""
    tokens = [account.token.encode() for account in drive.state.accounts.values()]
    written = [path.read_bytes() for path in place.rglob("*") if path.is_file() and path.suffix != ".token"]
    kept = [file.content for file in drive.files()]
    (table,) = drive.files("jobs")
    rows = decoded(table.content).database
    assert b"on-drive" in rows, "the table is read as it is written, uncompressed"
    assert len(notebooks.all) >= 3 and len(kept) > 5
    for content in (*written, *kept, rows):
        assert not any(token in content for token in tokens)
