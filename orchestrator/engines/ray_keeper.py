"""The job that keeps a pool on a Ray cluster: so many tasks at a time, each of which runs a worker as a process.

It is started by Ray, on the cluster, and goes on without the machine that submitted it.  That each worker is a task is
what has Ray's autoscaler see what is wanted.  Who submits the job stands in `ray`, what it is told in `ray_job`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.engines.pool import PATIENCE_SECONDS, counted
from orchestrator.engines.ray_job import Order
from orchestrator.engines.ray_slot import Slot
from orchestrator.errors import ExitCode
from orchestrator.foreign_text import single_line

BOARD = "board"
"""The name of the actor that notes how many workers are wanted, in a namespace called like its pool."""

_LOOK_SECONDS = 1.0
"""How often the keeper looks what is wanted now."""

_STARTED_BY = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Runs a command that is sent SIGTERM when the process that started it dies (PR_SET_PDEATHSIG, prctl(2)).  Not in
`preexec_fn`, which may hang in a process with threads."""


class WorkerFailed(Exception):
    """A worker ended with neither 0 nor 75."""

    def __init__(self, code: int, seconds: float) -> None:
        super().__init__(code, seconds)
        self.code = code
        self.seconds = seconds

    def __str__(self) -> str:
        return f"a worker ended with {self.code} after {self.seconds:.0f} s"


@dataclass(frozen=True)
class _Ended:
    """How a worker ended."""

    code: int
    seconds: float
    """After which: it may have waited for room much longer."""
    told: str = ""
    """What went wrong."""


class Board:
    """Where the keeper of a pool is told how many workers are wanted.  An actor: one call at a time."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._asked = 0
        self._closed = False

    def ask(self, workers: int) -> bool:
        """Returns whether the keeper will hear of it; if not it is about to end."""
        if not self._closed:
            self._workers, self._asked = workers, self._asked + 1
        return not self._closed

    def wanted(self) -> tuple[int, int]:
        """How many workers, and how often that was asked."""
        return self._workers, self._asked

    def close(self, asked: int) -> bool:
        """Returns False, and does nothing, if it was asked once more than the keeper knows."""
        self._closed = asked == self._asked
        return self._closed


@dataclass
class _Place:
    """A slot with what is in it."""

    slot: Slot = field(default_factory=Slot)
    task: Any = None
    """Of the worker that runs or waits for room; None if there is none."""
    due: float = 0.0
    """When one may be started."""
    cancelled: bool = False


class Keeper:
    """Keeps the workers of one pool until nothing is left to do, or none are wanted any more."""

    def __init__(self, order: Order, board: Any) -> None:
        """`board` is a handle of a `Board`."""
        self._order = order
        self._board = board
        self._task = _task(order)
        self._job = ray.get_runtime_context().get_job_id()
        self._wanted, self._asked = order.workers, 0
        self._nothing_left = False
        self._ended = False
        self._places: dict[int, _Place] = {}

    def end(self) -> None:
        """Have all workers end, and none start: whatever is asked later."""
        self._ended = True

    def run(self) -> ExitCode:
        """Returns FAILED if a place was given up while there was something to do."""
        while True:
            self._hear()
            self._fill()
            self._clear()
            self._wait()
            if self._is_over() and ray.get(self._board.close.remote(self._asked)):
                return ExitCode.FAILED if any(map(self._is_wanted, self._given_up())) else ExitCode.DONE

    def _hear(self) -> None:
        wanted, asked = ray.get(self._board.wanted.remote())
        if asked != self._asked:
            _say(f"{counted(wanted)} wanted now")
            self._wanted, self._asked, self._nothing_left = wanted, asked, False
            for place in self._places.values():
                place.slot, place.due = Slot(), 0.0

    def _is_wanted(self, number: int) -> bool:
        return number <= self._wanted and not self._nothing_left and not self._ended

    def _fill(self) -> None:
        for number in filter(self._is_wanted, range(1, self._wanted + 1)):
            place = self._places.setdefault(number, _Place())
            if place.task is None and not place.slot.is_given_up and time.monotonic() >= place.due:
                place.task, place.cancelled = self._start(number), False

    def _start(self, number: int) -> Any:
        name = f"ray-{self._job}-{number}"
        return self._task.options(name=name).remote([*self._order.command, "--name", name])

    def _clear(self) -> None:
        """End those that are not wanted any more, the ones that wait for room among them."""
        for number, place in self._places.items():
            if place.task is not None and not place.cancelled and not self._is_wanted(number):
                ray.cancel(place.task)
                place.cancelled = True

    def _wait(self) -> None:
        """Until a worker ends, or it is time to look what is wanted."""
        tasks = {place.task: number for number, place in self._places.items() if place.task is not None}
        if not tasks:
            time.sleep(_LOOK_SECONDS)
            return
        ended, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=_LOOK_SECONDS)
        for task in ended:
            self._note(tasks[task])

    def _note(self, number: int) -> None:
        """A worker has ended."""
        place = self._places[number]
        end = _ending(place.task)
        place.task = None
        if place.cancelled:
            return
        if end.code == ExitCode.DONE:
            _say("nothing is left to do")
            self._nothing_left = True
        place.slot = place.slot.after(end.code, end.seconds)
        place.due = time.monotonic() + place.slot.pause_seconds
        if place.slot.failed:
            then = "a person should look" if place.slot.is_given_up else f"another in {place.slot.pause_seconds:.0f} s"
            _say(f"worker {number} failed after {end.seconds:.0f} s ({end.told}); {then}")

    def _is_over(self) -> bool:
        """Whether nothing runs, and nothing will be started."""
        idle = all(place.task is None for place in self._places.values())
        left = [n for n in range(1, self._wanted + 1) if self._is_wanted(n) and n not in self._given_up()]
        return idle and not left

    def _given_up(self) -> set[int]:
        return {number for number, place in self._places.items() if place.slot.is_given_up}


def _task(order: Order) -> Any:
    """A remote function that runs a worker."""
    return ray.remote(
        num_cpus=order.cpus,
        num_gpus=order.gpus,
        memory=order.memory_bytes or None,
        max_retries=-1,  # of a task whose node or process was lost
        max_calls=1,  # so that nothing of one worker is left to the next
        # By default Ray kills the children of a process that it ends, and a worker could keep no checkpoint.
        runtime_env={"env_vars": {"RAY_kill_child_processes_on_worker_exit": "0"}},
    )(run_worker)


def run_worker(command: Sequence[str]) -> _Ended:
    """What a task does.  When it is cancelled the worker is asked to end, and its end waited for.

    Raises WorkerFailed if it ends by itself with neither 0 nor 75.
    """
    began = time.monotonic()
    process = None
    try:
        # Else nothing is raised in the tasks of a cluster that a script has started in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _STARTED_BY, str(os.getpid()), *command], start_new_session=True
        )
        code = _waited_for(process)
    except KeyboardInterrupt:  # so Ray cancels
        if process is not None:
            _end(process)
        code = int(ExitCode.TRY_LATER)
    seconds = time.monotonic() - began
    if code not in (ExitCode.DONE, ExitCode.TRY_LATER):
        raise WorkerFailed(code, seconds)
    return _Ended(code, seconds)


def _waited_for(process: subprocess.Popen[bytes]) -> int:
    """Its exit code.  Waits with a limit, else Python would not hear that the task is cancelled."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ending(task: Any) -> _Ended:
    """How the worker of a task ended; a task that could not be run counts as one that failed at once."""
    try:
        ended: _Ended = ray.get(task)
        return ended
    except WorkerFailed as failure:
        return _Ended(failure.code, failure.seconds, f"it ended with {failure.code}")
    except ray.exceptions.RayError as error:
        return _Ended(ExitCode.FAILED, 0.0, single_line(str(error))[-200:])


def _open_board(order: Order) -> Any:
    """A board of this pool that is now this job's; None if another job has it."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    try:
        return ray.remote(Board).options(name=BOARD, num_cpus=0, scheduling_strategy=here).remote(order.workers)
    except ValueError:
        return None


def _asked(order: Order) -> bool | None:
    """Whether the keeper that is there already has heard the order; None if there is no keeper."""
    try:
        return bool(ray.get(ray.get_actor(BOARD).ask.remote(order.workers)))
    except (ValueError, ray.exceptions.RayActorError):
        return None


def _keep(order: Order) -> ExitCode:
    """Tell the keeper of this pool what is wanted, or become it."""
    while True:
        heard = _asked(order)
        if heard:
            _say(f"the pool {order.pool} is there already, now with {counted(order.workers)} at a time")
            return ExitCode.DONE
        if heard is None and not order.workers:
            _say(f"there is no pool {order.pool} to be stopped")
            return ExitCode.TRY_LATER
        if heard is None and (board := _open_board(order)) is not None:
            break
        time.sleep(_LOOK_SECONDS)  # the one that is there ends
    _say(f"keeps {counted(order.workers)} of the pool {order.pool}")
    keeper = Keeper(order, board)
    signal.signal(signal.SIGTERM, lambda _number, _frame: keeper.end())
    return keeper.run()


def _say(what: str) -> None:
    print(f"orch: {what}", flush=True)


def main() -> None:
    order = Order.parse(sys.argv[1:])
    ray.init(address="auto", namespace=order.pool)
    sys.exit(_keep(order))
