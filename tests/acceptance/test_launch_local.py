"""`orch launch local`: workers that go on without a terminal, started once, replaced when asked, and stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.gpus import VISIBLE_VARIABLE
from orchestrator.engines.local import LocalEngine
from orchestrator.home import Home
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.gpus import imitate_gpus
from tests.support.launching import launch
from tests.support.processes import alive, wait_until

ENDLESS = """
name = "launched"
dataset = "synthetic"
train_images = 2600
test_images = 100
shards = 1
seeds = [0, 1]

[training]
epochs = 4000
epochs_per_visit = 4000
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = []

[leases]
seconds = 4
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this machine's pools are noted; what a failing test leaves of them is stopped."""
    place = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(place))
    monkeypatch.delenv(VISIBLE_VARIABLE, raising=False)
    yield place
    for pool in place.glob("orch/*/*"):
        LocalEngine(()).stop(pool.name)


def pids(state: Path) -> list[int]:
    return [int(file.read_text()) for file in sorted(state.rglob("*.pid"))]


def both_compute(home: Home) -> bool:
    return all(int(job.progress.get("step", 0)) > 0 for job in home.jobs.jobs())


def test_what_is_asked_for_twice_is_started_once_and_a_smaller_number_ends_the_rest(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    gpus = imitate_gpus(tmp_path / "bin", "Tesla T4", "Tesla T4", "Tesla T4")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    home = Home.open(publish(Study.parse(ENDLESS), tmp_path / "home", None).home)
    local = ("local", "--home", home.url)
    assert launch(*local, "--workers", "2", cwd=tmp_path).startswith("Started 2 workers. 2 workers run now")
    wait_until(lambda: both_compute(home), "the first steps of both")
    assert launch(*local, "--workers", "2", cwd=tmp_path).startswith("2 workers run now")
    first, second = pids(state)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first), "the death of the first")
    assert [line.split()[1] for line in launch(*local, "--list", cwd=tmp_path).splitlines()] == ["ended", "running"]
    assert launch(*local, "--workers", "3", cwd=tmp_path).startswith("Started 2 workers. 3 workers run now")
    assert [variable(pid, VISIBLE_VARIABLE) for pid in pids(state)] == list(gpus)
    assert launch(*local, "--workers", "1", cwd=tmp_path).startswith("Ended 2 workers. 1 worker runs now")
    assert not alive(second)
    assert launch(*local, "--stop", cwd=tmp_path).startswith("Ended 1 worker; logs are in")
    assert not any(map(alive, pids(state)))
    assert launch(*local, "--stop", cwd=tmp_path) == "No worker of this study runs here.\n"


def variable(pid: int, name: str) -> str | None:
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next((each.partition("=")[2] for each in variables if each.startswith(f"{name}=")), None)
