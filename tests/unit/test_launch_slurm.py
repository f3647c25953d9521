"""The batch script of a pool on Slurm: what it asks for, and how an element ends when its worker has."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.engines.pool import EngineError, Member, Pool
from orchestrator.engines.slurm import SlurmEngine
from orchestrator.errors import ExitCode, UsageError
from tests.support.processes import PATIENCE_SECONDS, wait_until

POOL = Pool(
    name="orch-tiny-0a1b2c3d",
    command=("/opt/orch/bin/python", "-c", "run('workers.cli')"),
    arguments=("--home=postgresql://ada@db/lab", "--artifacts=/net/my lab"),
    workers=2,
    gpus=1,
    memory_gb=16.0,
    hours=1.5,
)


def directives(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]


def test_the_array_asks_for_what_the_pool_shall_have_and_then_for_what_whoever_launches_says() -> None:
    script = SlurmEngine(["--partition=gpu", "--comment=two words"]).render(POOL)
    assert directives(script) == [
        "--nodes=1",
        "--ntasks=1",
        "--gres=gpu:1",
        "--mem=15259M",
        "--time=90",
        "--partition=gpu '--comment=two words'",
        "--job-name=orch-tiny-0a1b2c3d",
        "--array=1-40%2",
        "--signal=B:TERM@30",
        "--requeue",
        "--open-mode=append",
        "--output=orch-tiny-0a1b2c3d/%A_%a.log",
    ]
    assert shlex.join([*POOL.command, *POOL.arguments]) in script


def test_what_is_not_wished_for_is_left_to_the_cluster() -> None:
    told = directives(SlurmEngine(()).render(Pool("orch-tiny-0", ("orch-worker",), (), workers=1)))
    assert not [each for each in told if each.startswith(("--gres", "--mem", "--time", "--nodelist"))]


def test_workers_of_a_home_in_a_directory_are_asked_for_on_its_machine() -> None:
    pool = dataclasses.replace(POOL, machine="node7.example.org")
    assert "--nodelist=node7" in directives(SlurmEngine(()).render(pool))


def test_an_array_is_no_longer_than_clusters_allow() -> None:
    assert "--array=1-1000%64" in directives(SlurmEngine(()).render(dataclasses.replace(POOL, workers=64)))


def test_an_option_that_would_leave_its_line_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot stand in a line"):
        SlurmEngine(["--comment=a\nrm -rf ~"])


def test_without_slurm_a_person_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"squeue is not here; .* --print prints"):
        SlurmEngine(()).list(POOL.name)


def test_what_slurm_refuses_is_told_in_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "squeue", 'echo "slurm_load_jobs error: Unable to contact\nthe controller" >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(EngineError, match="Slurm refuses: slurm_load_jobs error: Unable to contact the controller"):
        SlurmEngine(()).stop(POOL.name)


class Controller:
    """Slurm's commands, imitated: what they were called with, and a queue that each look finds as it then is."""

    def __init__(self, place: Path, *queues: Sequence[str], refused: int = 0) -> None:
        """`refused` is how many changes of an array are refused before one is taken."""
        self._calls = place / "calls"
        self._calls.touch()
        for number, queue in enumerate(queues):
            (place / f"queue{number}").write_text("".join(f"{line}|/home/ada/lab\n" for line in queue))
        here, last = shlex.quote(str(place)), len(queues) - 1
        count = f"n=$(cat {here}/$1.count 2>/dev/null || echo 0); echo $((n + 1)) >{here}/$1.count"
        program(place / "squeue", f"set -- looks; {count}; [ $n -le {last} ] || n={last}; cat {here}/queue$n")
        for name in ("scancel", "scontrol", "sbatch"):
            program(place / name, f'echo {name} "$@" >>{here}/calls; set -- {name}; {count}; {_ANSWERS[name]}')
        (place / "refused").write_text(str(refused))

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


_ANSWERS = {
    "scancel": "true",
    "scontrol": '[ $n -ge $(cat "${0%/*}/refused") ] || { echo "Invalid job id specified" >&2; exit 1; }',
    "sbatch": 'cat >"${0%/*}/script"; echo "9;cluster"',
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(workers: int) -> str:
    return SlurmEngine(()).start(dataclasses.replace(POOL, workers=workers))


def test_a_pool_that_is_not_there_is_submitted_with_a_directory_for_its_logs(place: Path) -> None:
    controller = Controller(place, [])
    assert started(2).startswith("Submitted job 9 with 2 workers at a time; logs come to")
    assert controller.calls() == ["sbatch --parsable"]
    assert "--array=1-40%2" in directives((place / "script").read_text())
    assert (place / POOL.name).is_dir()


def test_a_pool_whose_elements_are_used_up_goes_on_with_another_array(place: Path) -> None:
    controller = Controller(place, ["7|7_39|RUNNING|n1", "7|7_40|COMPLETING|n2"])
    assert started(3).startswith("Submitted job 9 with 2 workers at a time")
    assert controller.calls() == ["sbatch --parsable"]


def test_workers_of_an_older_array_count_among_those_that_are_wanted(place: Path) -> None:
    controller = Controller(place, ["7|7_40|RUNNING|n1", "8|8_1|RUNNING|n2", "8|8_[2-20%1]|PENDING|"])
    assert "now with 3 workers at a time" in started(3)
    assert controller.calls() == ["scontrol update JobId=8_[2-20] ArrayTaskThrottle=2"]


def test_where_an_older_array_has_all_workers_that_are_wanted_none_of_the_newer_are_left(place: Path) -> None:
    controller = Controller(place, ["8|8_[2-20%1]|PENDING|", "7|7_40|RUNNING|n1", "8|8_1|RUNNING|n2"])
    assert "Ended 1 worker." in started(1)
    assert controller.calls() == ["scancel --state=PENDING 8", "scancel 8_1"], "no limit would be 0"


def test_an_element_that_begins_while_the_limit_is_changed_makes_no_difference(place: Path) -> None:
    before = ["7|7_1|RUNNING|n1", "7|7_[2-40%2]|PENDING|"]
    after = ["7|7_1|RUNNING|n1", "7|7_2|RUNNING|n1", "7|7_[3-40%2]|PENDING|"]
    controller = Controller(place, before, before, after, refused=1)
    started(4)
    assert controller.calls() == [
        "scontrol update JobId=7_[2-40] ArrayTaskThrottle=4",
        "scontrol update JobId=7_[3-40] ArrayTaskThrottle=4",
    ]


def test_the_workers_that_run_are_listed_with_node_and_log_and_those_that_wait_together(place: Path) -> None:
    Controller(place, ["7|7_[2-40%2]|PENDING|", "7|7_1|RUNNING|n1"])
    assert list(SlurmEngine(()).list(POOL.name)) == [
        Member("7_[2-40]", "pending"),
        Member("7_1", "running", "n1", f"/home/ada/lab/{POOL.name}/7_1.log"),
    ]


def test_a_limit_that_is_refused_every_time_is_told(place: Path) -> None:
    Controller(place, ["7|7_[2-40%2]|PENDING|"], refused=100)
    with pytest.raises(EngineError, match="Slurm refuses: Invalid job id specified"):
        started(4)


class Element:
    """A batch script at work, with a worker and programs of Slurm's and of the system that are imitated."""

    def __init__(self, place: Path, worker: str) -> None:
        self.calls = place / "calls"
        self.calls.touch()
        for name in ("scancel", "sleep"):
            program(place / name, f'echo {name} "$@" >>{shlex.quote(str(self.calls))}')
        script = SlurmEngine(()).render(Pool("orch-tiny-0", ("sh", "-c", worker), (), workers=1))
        self.process = subprocess.Popen(
            ["sh", "-c", script],
            env={
                **os.environ,
                "PATH": os.pathsep.join([str(place), "/usr/bin", "/bin"]),
                "SLURM_ARRAY_JOB_ID": "7",
                "SLURM_ARRAY_TASK_ID": "3",
            },
        )

    def end(self) -> tuple[int, list[str]]:
        """The code that it ended with, and what it called."""
        return self.process.wait(PATIENCE_SECONDS), self.calls.read_text().splitlines()


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_when_nothing_is_left_to_do_what_waits_is_taken_back(tmp_path: Path) -> None:
    assert Element(tmp_path, "exit 0").end() == (0, ["scancel --state=PENDING 7"])


@pytest.mark.parametrize("code", [1, ExitCode.UNREACHABLE, ExitCode.TRY_LATER])
def test_an_element_that_could_do_nothing_makes_room_for_the_next_only_after_a_while(tmp_path: Path, code: int) -> None:
    assert Element(tmp_path, f"exit {code}").end() == (code, ["sleep 60"])


def test_an_element_whose_worker_was_killed_makes_room_at_once(tmp_path: Path) -> None:
    assert Element(tmp_path, "kill -KILL $$").end() == (128 + signal.SIGKILL, [])


@pytest.mark.parametrize(
    ("worker", "code"),
    [
        ("trap 'echo heard >>{0}; exit 75' TERM; echo up >>{0}; while :; do /bin/sleep 0.05; done", 75),
        ("echo up >>{0}; exec /bin/sleep 100", 75),
        ("trap '/bin/sleep 0.3; exit 0' TERM; echo up >>{0}; while :; do /bin/sleep 0.05; done", 0),
    ],
    ids=["it checkpoints", "it does not heed signals yet", "it was done just then"],
)
def test_the_signal_before_the_wall_time_reaches_the_worker_and_is_waited_for(
    tmp_path: Path, worker: str, code: int
) -> None:
    element = Element(tmp_path, worker.format(shlex.quote(str(tmp_path / "calls"))))
    wait_until(lambda: "up" in element.calls.read_text(), "the worker's start")
    element.process.send_signal(signal.SIGTERM)
    ended, calls = element.end()
    assert ended == code
    assert "sleep 60" not in calls
