"""`orch worker --gpus all`: a worker for each GPU of a machine, which end together and fall away alone.

A program that answers as NVIDIA's does imitates the GPUs; the workers are real, and a stand-in computes for them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.gpus import VISIBLE_VARIABLE
from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import Ending, JobState
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.gpus import imitate_gpus
from tests.support.processes import alive, wait_until, workers
from tests.support.runners import STAND_IN, Runner
from workers.console import ONE_LINE_VARIABLE

TEXT = """
name = "crew"
dataset = "synthetic"
train_images = 2600
test_images = 100
shards = 1
seeds = [0, 1]

[training]
epochs = 4
epochs_per_visit = 4
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = []

[leases]
seconds = 4
"""
ENDLESS = TEXT.replace("epochs = 4", "epochs = 400").replace("per_visit = 4", "per_visit = 400")
_CREW = f"""
import sys, types
from workers import cli, crew
crew.own_packages = types.SimpleNamespace(command=lambda module: [sys.executable, *{STAND_IN.worker!r}])
cli.main()
"""
CREW = Runner(STAND_IN.module, ("-P", "-c", _CREW), STAND_IN.load_seconds, STAND_IN.environment)
"""The command itself, whose workers have the stand-in."""
UUID = "GPU-0000000{}-aaaa-bbbb-cccc-dddddddddddd"


@pytest.fixture(autouse=True, scope="module")
def two_gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    programs = tmp_path_factory.mktemp("bin")
    assert imitate_gpus(programs, "Tesla T4", "Tesla T4") == (UUID.format(0), UUID.format(1))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", str(programs), prepend=os.pathsep)
        environment.delenv(VISIBLE_VARIABLE, raising=False)
        yield


def planned(place: Path, text: str) -> Home:
    return Home.open(publish(Study.parse(text), place / "home", None).home)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def shown(pid: int) -> str | None:
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next((each.partition("=")[2] for each in variables if each.startswith(f"{VISIBLE_VARIABLE}=")), None)


def both_compute(home: Home) -> bool:
    return all(int(job.progress.get("step", 0)) > 0 for job in home.jobs.jobs())


def test_each_gpu_has_a_worker_whose_runner_sees_it_alone_and_one_signal_ends_all(tmp_path: Path) -> None:
    home = planned(tmp_path, ENDLESS)
    with workers(home.url, tmp_path, "--gpus", "all", runner=CREW) as start:
        crew = start()
        wait_until(lambda: both_compute(home), "the first steps of both")
        crew_of_two = children(crew.process.pid)
        runners = [runner for worker in crew_of_two for runner in children(worker)]
        assert {shown(runner) for runner in runners} == {UUID.format(0), UUID.format(1)}
        assert shown(crew.process.pid) is None
        assert {job.worker for job in home.jobs.jobs()} == {"w1-gpu0", "w1-gpu1"}
        crew.process.send_signal(signal.SIGTERM)
        crew.wait(ExitCode.TRY_LATER)
        assert not any(alive(process) for process in (*crew_of_two, *runners))
    assert [attempt.outcome for attempt in home.jobs.attempts()] == [Ending.RELEASED] * 2
    assert [job.state for job in home.jobs.jobs()] == [JobState.READY] * 2


def test_a_worker_that_falls_away_leaves_the_others_to_finish_the_study(tmp_path: Path) -> None:
    home = planned(tmp_path, TEXT.replace("epochs = 4", "epochs = 12").replace("per_visit = 4", "per_visit = 12"))
    with workers(home.url, tmp_path, "--gpus", "all", "--checkpoint-seconds", "0.3", runner=CREW) as start:
        crew = start()
        wait_until(lambda: both_compute(home), "the first steps of both")
        victim = children(crew.process.pid)[0]
        os.kill(victim, signal.SIGKILL)
        crew.wait()
    assert f"w1-gpu0 ended with -{signal.SIGKILL.value}; the others go on" in crew.log.read_text()
    assert [job.state for job in home.jobs.jobs()] == [JobState.DONE] * 2


def test_a_machine_with_one_gpu_has_one_worker_of_the_name_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VISIBLE_VARIABLE, "1")
    home = planned(tmp_path, TEXT)
    with workers(home.url, tmp_path, "--gpus", "all", runner=STAND_IN) as start:
        start().wait()
    assert {attempt.worker for attempt in home.jobs.attempts()} == {"w1"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str]:
    """A study with code of a person's own after a crew that was to run it, and what the crew printed in a notebook."""
    place = tmp_path_factory.mktemp("finished")
    (place / "nets.py").write_text("def build(keras, image_shape, classes):\n    pass\n")
    study = Study.parse(TEXT.replace("alexnet-tiny", "nets.py:build"))
    planned = publish(study, place / "home", None, folder=place)
    (digest,) = planned.code
    with (
        pytest.MonkeyPatch.context() as environment,
        workers(planned.home, place, "--gpus", "all", "--code", digest, runner=CREW) as start,
    ):
        environment.setenv(ONE_LINE_VARIABLE, "1")
        crew = start()
        crew.wait()
    return Home.open(planned.home), crew.log.read_text()


def test_what_the_command_vouches_for_all_its_workers_may_run(finished: tuple[Home, str]) -> None:
    home, _ = finished
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}


def test_asked_to_end_as_it_begins_a_crew_leaves_the_work_for_later(tmp_path: Path) -> None:
    home = planned(tmp_path, ENDLESS)
    with workers(home.url, tmp_path, "--gpus", "all", runner=CREW) as start:
        crew = start()
        wait_until(lambda: len(children(crew.process.pid)) == 2, "both workers")
        crew.process.send_signal(signal.SIGTERM)
        crew.wait(ExitCode.TRY_LATER)
    assert "ended with" not in crew.log.read_text()


def test_workers_that_share_an_output_write_whole_lines_though_a_notebook_wants_one(finished: tuple[Home, str]) -> None:
    _, printed = finished
    lines = printed.splitlines()
    assert "starts a worker for each of 2 GPUs: Tesla T4, Tesla T4" in lines[0]
    assert all("w1" in line for line in lines)
    assert not any("\r" in line for line in lines)
