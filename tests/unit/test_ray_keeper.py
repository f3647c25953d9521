"""The keeper of a pool on Ray: whom it starts, ends and gives up, with Ray imitated; and what a task does, without.

That Ray's tasks and actors behave so is seen in `tests/acceptance/test_launch_ray.py`.
"""

from __future__ import annotations

import _thread
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.engines.ray_job import Order
from orchestrator.errors import ExitCode
from tests.support.processes import PATIENCE_SECONDS, alive, wait_until
from tests.support.ray_cluster import require_ray

WAITING = "for _ in $(seq 500); do sleep 0.02; done; exit 3"
"""Of a shell: most of a minute on a machine under load, in which it hears signals."""


class RayError(Exception):
    """As Ray raises it when a task could not be run."""


@dataclass(eq=False)
class Task:
    name: str
    end: Any = None
    """What its worker ended with, or what is raised; None as long as it runs."""


@dataclass
class Imitation:
    """Of Ray and of the clock, for a keeper that is its only user."""

    keeper: Any
    """The module."""
    steps: list[Callable[[], None]] = field(default_factory=list)
    """What happens next, whenever the keeper waits."""
    tasks: list[Task] = field(default_factory=list)
    """All that were ever started."""
    now: float = 0.0
    board: Any = None
    exceptions = SimpleNamespace(RayError=RayError)

    def running(self) -> list[str]:
        return [task.name.rpartition("-")[2] for task in self.tasks if task.end is None]

    def end(self, number: int, code: int, seconds: float = 100.0) -> None:
        """Have the worker in a place end."""
        ended = self.keeper._Ended if code in (0, 75) else self.keeper.WorkerFailed
        (task,) = [each for each in self.tasks if each.end is None and each.name.endswith(f"-{number}")]
        task.end = ended(code, seconds)

    def ask(self, workers: int) -> None:
        assert self.board.ask(workers)

    def run(self, workers: int, *steps: Callable[[], None]) -> ExitCode:
        self.board = self.keeper.Board(workers)
        self.steps = list(steps)
        order = Order("orch-tiny-0", workers, command=("python",))
        code: ExitCode = self.keeper.Keeper(order, _Actor(self.board)).run()
        assert not self.steps, "the keeper ended before all of it had happened"
        return code

    # --- what the keeper asks of Ray and of the clock ---

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_job_id=lambda: "01")

    def remote(self, **_options: Any) -> Callable[[Any], Any]:
        def task(name: str) -> Any:
            return SimpleNamespace(remote=lambda _command: self._started(name))

        return lambda _function: SimpleNamespace(options=task)

    def _started(self, name: str) -> Task:
        self.tasks.append(Task(name))
        return self.tasks[-1]

    def cancel(self, task: Task) -> None:
        task.end = self.keeper._Ended(75, 1.0)

    def wait(self, tasks: list[Task], *, num_returns: int, timeout: float) -> tuple[list[Task], list[Task]]:
        assert num_returns == len(tasks)
        if all(task.end is None for task in tasks):
            self.sleep(timeout)
        return [task for task in tasks if task.end is not None], [task for task in tasks if task.end is None]

    def get(self, asked: Any) -> Any:
        found = asked.end if isinstance(asked, Task) else asked
        if isinstance(found, Exception):
            raise found
        return found

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 10_000, "the keeper waits for nothing"
        if self.steps:
            self.steps.pop(0)()

    def monotonic(self) -> float:
        return self.now


class _Actor:
    """A handle whose calls are answered at once."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._board, name))


@pytest.fixture
def keeper() -> Any:
    require_ray()
    return import_module("orchestrator.engines.ray_keeper")


@pytest.fixture
def ray(keeper: Any, monkeypatch: pytest.MonkeyPatch) -> Imitation:
    imitation = Imitation(keeper)
    monkeypatch.setattr(keeper, "ray", imitation)
    monkeypatch.setattr(keeper, "time", imitation)
    return imitation


def test_one_that_leaves_work_is_replaced_and_with_nothing_left_all_end(ray: Imitation) -> None:
    seen: list[list[str]] = []
    code = ray.run(
        2,
        lambda: ray.end(1, 75),
        lambda: seen.append(ray.running()),
        lambda: ray.end(2, 0),
    )
    assert seen == [["2", "1"]]
    assert (code, ray.running(), len(ray.tasks)) == (ExitCode.DONE, [], 3)


def test_a_keeper_that_is_told_starts_more_and_ends_the_last(ray: Imitation) -> None:
    seen: list[list[str]] = []
    ray.run(
        1,
        *(lambda: seen.append(ray.running()), lambda: ray.ask(3)),
        *(lambda: seen.append(ray.running()), lambda: ray.ask(2)),
        *(lambda: seen.append(ray.running()), lambda: ray.ask(0)),
    )
    assert seen == [["1"], ["1", "2", "3"], ["1", "2"]]


def test_a_place_whose_workers_fail_is_given_up_and_the_pool_fails(
    ray: Imitation, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        if ray.running():
            ray.end(1, 1, seconds=2.0)
        if len(ray.tasks) < 10 or ray.running():
            ray.steps.insert(0, fail)

    assert ray.run(1, fail) == ExitCode.FAILED
    assert len(ray.tasks) == 10
    assert 500 < ray.now < 560
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "orch: worker 1 failed after 2 s (it ended with 1); another in 1 s"
    assert told[-1] == "orch: worker 1 failed after 2 s (it ended with 1); a person should look"


def test_a_task_that_ray_could_not_run_counts_as_a_failure_and_is_told(
    ray: Imitation, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_it() -> None:
        ray.tasks[0].end = RayError("no such\nruntime environment")

    ray.run(1, break_it, lambda: None, lambda: None, lambda: ray.end(1, 0))
    assert "worker 1 failed after 0 s (no such runtime environment); another in 1 s" in capsys.readouterr().out


def test_a_keeper_that_is_asked_as_it_ends_goes_on(ray: Imitation, monkeypatch: pytest.MonkeyPatch) -> None:
    close, asked = ray.keeper.Board.close, iter([True])

    def ask_first(board: Any, known: int) -> bool:
        if next(asked, False):
            assert board.ask(2)
            ray.steps.append(lambda: ray.end(2, 0))
        return bool(close(board, known))

    monkeypatch.setattr(ray.keeper.Board, "close", ask_first)
    assert ray.run(1, lambda: ray.end(1, 0)) == ExitCode.DONE
    assert len(ray.tasks) == 3
    assert not ray.board.ask(1), "it is closed now"


def test_a_keeper_that_is_asked_to_end_by_a_signal_ends_its_workers(ray: Imitation) -> None:
    order = Order("orch-tiny-0", 2, command=("python",))
    asked = ray.keeper.Keeper(order, _Actor(ray.keeper.Board(2)))
    ray.steps = [asked.end]
    assert asked.run() == ExitCode.DONE
    assert [task.end.code for task in ray.tasks] == [75, 75]


@pytest.fixture
def sigint_as_it_was() -> Iterator[None]:
    """A task is the last thing that its process does, and leaves signals as it has set them."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint_as_it_was")
def test_a_worker_that_ends_well_or_leaves_work_is_no_failure(keeper: Any) -> None:
    assert [keeper.run_worker(["sh", "-c", f"exit {code}"]).code for code in (0, 75)] == [0, 75]


@pytest.mark.usefixtures("sigint_as_it_was")
@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -KILL $$", -9)])
def test_every_other_end_is_a_failure(keeper: Any, command: str, code: int) -> None:
    with pytest.raises(keeper.WorkerFailed) as failure:
        keeper.run_worker(["sh", "-c", command])
    assert failure.value.code == code


@pytest.mark.usefixtures("sigint_as_it_was")
def test_a_cancelled_task_asks_its_worker_to_end_and_waits_for_that(keeper: Any, tmp_path: Path) -> None:
    # Inherited by what is started in the background, and Ray's processes from that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    up, saved = tmp_path / "up", tmp_path / "saved"
    script = f"trap 'sleep 0.1; touch {saved}; exit 75' TERM; touch {up}; {WAITING}"

    def cancel() -> None:
        wait_until(up.exists, "the worker")
        _thread.interrupt_main()  # as Ray does

    threading.Thread(target=cancel, daemon=True).start()
    assert keeper.run_worker(["sh", "-c", script]).code == ExitCode.TRY_LATER
    assert saved.exists()


def test_a_worker_whose_task_is_killed_is_asked_to_end(tmp_path: Path) -> None:
    require_ray()
    noted, saved = tmp_path / "pid", tmp_path / "saved"
    noting = f"echo $$ >{noted}.new; mv {noted}.new {noted}"
    worker = f"trap 'touch {saved}; exit 75' TERM; {noting}; {WAITING}"
    task = f"from orchestrator.engines.ray_keeper import run_worker; run_worker(['sh', '-c', {worker!r}])"
    process = subprocess.Popen([sys.executable, "-c", task])
    wait_until(noted.exists, "the worker")
    process.kill()
    process.wait(PATIENCE_SECONDS)
    pid = int(noted.read_text())
    wait_until(lambda: not alive(pid), "the end of the worker")
    assert saved.exists()
