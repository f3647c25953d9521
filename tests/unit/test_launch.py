"""What `orch launch` asks of an engine, and what it refuses before it asks anything."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from models.gpus import Gpu
from orchestrator.address import NOTE_FILE, Address
from orchestrator.commands import launch
from orchestrator.commands.launch import Wish
from orchestrator.engines.local import LocalEngine
from orchestrator.engines.pool import EngineName, Member, Pool, pool_name
from orchestrator.errors import HomeError, UsageError
from orchestrator.home import Home
from orchestrator.jobtable.backends import mounts
from orchestrator.study import Study

PLAIN = Wish(workers=2, gpus=None, memory_gb=None, hours=None)
DIGEST = "5" * 64


class Recorder:
    """An engine that notes what it is asked."""

    def __init__(self) -> None:
        self.pools: list[Pool] = []

    def render(self, pool: Pool) -> str:
        return f"{pool.workers} of {pool.name}\n"

    def start(self, pool: Pool) -> str:
        self.pools.append(pool)
        return "started"

    def list(self, name: str) -> Sequence[Member]:
        return [Member(name, "\x1b[31mrunning", "here", "log"), Member("b", "ended")]

    def stop(self, name: str) -> str:
        return f"stopped {name}"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(launch, "_ENGINES", {EngineName.LOCAL: lambda _options: recorder})
    return recorder


def asked(engine: Recorder, home: Home, wish: Wish = PLAIN) -> Pool:
    assert launch.start(EngineName.LOCAL, (), Address(home.url), wish, only_print=False) == "started"
    return engine.pools[-1]


@pytest.mark.parametrize(
    ("study", "begins"),
    [("tiny", "orch-tiny-"), ("My_Study-2", "orch-my-study-2-"), ("___", "orch-study-"), ("x" * 100, "orch-xxxx")],
)
def test_a_pool_has_a_name_that_every_engine_takes(study: str, begins: str) -> None:
    name = pool_name(study, "postgresql://db/lab")
    assert name.startswith(begins)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,55}[a-z0-9])?", name)


def test_studies_of_one_name_in_two_homes_have_two_pools() -> None:
    assert pool_name("tiny", "postgresql://db/lab") != pool_name("tiny", "postgresql://db/other")


def test_a_worker_is_told_where_the_study_lives_and_whose_code_it_may_run(
    engine: Recorder,
    planned_home: Callable[[Study], Home],
    small_study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = planned_home(small_study)
    monkeypatch.chdir(tmp_path)
    NOTE_FILE.write_text(f'code = ["{DIGEST}"]\n')
    pool = asked(engine, home, Wish(workers=3, gpus=2, memory_gb=8.0, hours=4.0))
    assert pool.arguments == (f"--home={home.url}", f"--code={DIGEST}", "--gpus", "all")
    assert (pool.workers, pool.gpus, pool.memory_gb, pool.hours) == (3, 2, 8.0, 4.0)


def test_a_pool_is_printed_listed_and_stopped_by_its_name(
    engine: Recorder, planned_home: Callable[[Study], Home], small_study: Study
) -> None:
    at = Address(planned_home(small_study).url)
    name = pool_name("small", at.url)
    assert launch.start(EngineName.LOCAL, (), at, PLAIN, only_print=True) == f"2 of {name}"
    assert engine.pools == []
    assert launch.stop(EngineName.LOCAL, (), at) == f"stopped {name}"
    listed = launch.members(EngineName.LOCAL, (), at).splitlines()
    assert [line.split() for line in listed] == [[name, "running", "here", "log"], ["b", "ended"]]


def test_a_home_on_a_network_file_system_is_refused_before_anything_is_started(
    engine: Recorder,
    planned_home: Callable[[Study], Home],
    small_study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = planned_home(small_study)
    table = tmp_path / "mounts"
    table.write_text(f"server:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    with pytest.raises(HomeError, match=r"is on nfs4, where SQLite's locks do not hold"):
        asked(engine, home)
    assert engine.pools == []


def test_a_home_with_its_password_in_the_url_is_refused_without_repeating_it(engine: Recorder) -> None:
    at = Address("postgresql://ada:open-sesame@db.example/lab", "/net/lab")
    with pytest.raises(UsageError, match=r"PGPASSWORD or ~/\.pgpass") as refusal:
        launch.start(EngineName.LOCAL, (), at, PLAIN, only_print=True)
    assert "sesame" not in str(refusal.value)
    assert engine.pools == []


POOL = Pool("orch-tiny-0", ("python", "-c", "run()"), ("--home=/my home",), workers=2)
GPUS = tuple(Gpu(str(number), f"GPU-{number}", "Tesla T4") for number in range(4))


def test_what_local_prints_is_a_command_of_the_shell_for_each_worker() -> None:
    first, second = LocalEngine(()).render(POOL).splitlines()
    assert shlex.split(first)[:5] == ["nohup", "python", "-c", "run()", "--home=/my home"]
    assert first != second, "each has a name of its own"


def test_local_shows_each_worker_as_many_gpus_as_it_shall_have() -> None:
    pool = Pool(POOL.name, POOL.command, POOL.arguments, workers=2, gpus=2)
    shown = [re.findall(r"CUDA_VISIBLE_DEVICES=(\S+)", line) for line in LocalEngine(GPUS).render(pool).splitlines()]
    assert shown == [["GPU-0,GPU-1"], ["GPU-2,GPU-3"]]


def test_local_hides_the_gpus_from_workers_that_shall_have_none() -> None:
    pool = Pool(POOL.name, POOL.command, POOL.arguments, workers=1, gpus=0)
    assert "CUDA_VISIBLE_DEVICES='' " in LocalEngine(GPUS).render(pool)


def test_options_of_an_engine_are_refused_for_this_machine(
    planned_home: Callable[[Study], Home], small_study: Study
) -> None:
    at = Address(planned_home(small_study).url)
    with pytest.raises(UsageError, match="leave out '--partition=gpu'"):
        launch.start(EngineName.LOCAL, ("--partition=gpu",), at, PLAIN, only_print=True)


def test_more_workers_than_the_machine_has_gpus_are_refused() -> None:
    pool = Pool(POOL.name, POOL.command, POOL.arguments, workers=3, gpus=2)
    with pytest.raises(UsageError, match="3 workers with 2 GPUs each want 6, and this machine has 4"):
        LocalEngine(GPUS).start(pool)
