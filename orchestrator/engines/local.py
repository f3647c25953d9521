"""Workers on this machine: processes that go on when the terminal is closed.  One that has ended is not replaced.

A worker holds the lock (flock(2)) on its file for as long as it lives, however it dies: an id alone would tell of
whatever process has it next.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from models import user_directories
from models.gpus import VISIBLE_VARIABLE, Gpu
from orchestrator.engines.pool import PATIENCE_SECONDS, EngineError, Member, Pool, counted
from orchestrator.errors import UsageError

_STARTING_SECONDS = 5.0
"""How long a file may have no id in it whose lock is held: it is written as soon as the process is there."""

_LOOKS = (0.005, 0.01, 0.0)
"""The pauses after each try to take a lock: who looks whether it is held takes it for a moment, too."""


@dataclass(frozen=True)
class _Slot:
    """The place of one worker in a pool: the file that it locks and holds its process id, and its log."""

    number: int
    file: Path

    @property
    def log(self) -> Path:
        return self.file.with_suffix(".log")


class LocalEngine:
    """Pools on this machine, each with a directory of its own."""

    def __init__(self, gpus: Sequence[Gpu]) -> None:
        """`gpus` are those of this machine that workers may have, each one of them."""
        self._gpus = gpus

    def render(self, pool: Pool) -> str:
        """A line of shell for each worker.  Raises UsageError if the machine has fewer GPUs than are wanted."""
        lines = []
        for number in range(1, pool.workers + 1):
            variables = [f"{name}={shlex.quote(value)}" for name, value in self._variables(pool, number).items()]
            words = [*(["env", *variables] if variables else []), shlex.join(_command(pool, number))]
            lines.append(f"nohup {' '.join(words)} >>{number}.log 2>&1 &")
        return "\n".join(lines) + "\n"

    def start(self, pool: Pool) -> str:
        """Raises UsageError as `render` does, or if there is nowhere to note the processes."""
        variables = [self._variables(pool, number) for number in range(1, pool.workers + 1)]
        place = _directory(pool.name)
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            begun = [_start(_slot(place, at), pool, its) for at, its in enumerate(variables, start=1)].count(True)
        except OSError as error:
            raise EngineError(f"A worker cannot be started here: {error.strerror} ({error.filename}).") from error
        ended = _end(slot for slot in _slots(place) if slot.number > pool.workers)
        told = [
            f"Started {counted(begun)}." if begun else "",
            f"Ended {counted(ended)}." if ended else "",
            f"{counted(pool.workers)} {'runs' if pool.workers == 1 else 'run'} now, with logs in {place}.",
        ]
        return " ".join(filter(None, told))

    def list(self, name: str) -> Sequence[Member]:
        machine = socket.gethostname()
        return [
            Member(_worker_name(slot.number), "running" if _is_held(slot) else "ended", machine, str(slot.log))
            for slot in _slots(_directory(name))
        ]

    def stop(self, name: str) -> str:
        place = _directory(name)
        ended = _end(_slots(place))
        return f"Ended {counted(ended)}; logs are in {place}." if ended else "No worker of this study runs here."

    def _variables(self, pool: Pool, number: int) -> dict[str, str]:
        """The GPUs of one worker, by their UUIDs: CUDA and the driver number them differently."""
        each = pool.gpus if pool.gpus is not None else min(1, len(self._gpus))
        wanted = each * pool.workers
        if wanted > len(self._gpus):
            raise UsageError(
                f"{counted(pool.workers)} with {counted(each, 'GPU')} each want {wanted}, and this machine has "
                f"{len(self._gpus)}; give fewer --workers, or --gpus 0."
            )
        if not self._gpus:
            return {}
        its = self._gpus[(number - 1) * each : number * each]
        return {VISIBLE_VARIABLE: ",".join(gpu.uuid for gpu in its)}


def _directory(name: str) -> Path:
    """Where a pool of this machine is noted: several machines may share a person's home directory."""
    place = user_directories.state()
    if place is None:
        raise UsageError("There is no home directory to note workers in; set HOME, or XDG_STATE_HOME.")
    return place / "orch" / socket.gethostname() / name


def _slot(place: Path, number: int) -> _Slot:
    return _Slot(number, place / f"{number}.pid")


def _slots(place: Path) -> list[_Slot]:
    """All that have ever been in use, in their order."""
    numbers = sorted(int(file.stem) for file in place.glob("*.pid") if file.stem.isdecimal())
    return [_slot(place, number) for number in numbers]


def _worker_name(number: int) -> str:
    return f"{socket.gethostname()}-{number}"


def _command(pool: Pool, number: int) -> list[str]:
    lasting = [] if pool.hours is None else ["--max-hours", f"{pool.hours:g}"]
    return [*pool.command, *pool.arguments, *lasting, "--name", _worker_name(number)]


def _start(slot: _Slot, pool: Pool, variables: dict[str, str]) -> bool:
    """Start a worker, unless the one in this place lives; returns whether it was started."""
    with _opened(slot) as file:
        if not _taken(file):
            return False
        os.ftruncate(file, 0)
        with slot.log.open("ab") as log:
            process = subprocess.Popen(
                _command(pool, slot.number),
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # out of reach of the terminal, and of what is sent when that is closed
                pass_fds=(file,),  # with the lock, which it then holds by itself
            )
        os.pwrite(file, f"{process.pid}\n".encode(), 0)
        return True


def _end(slots: Iterable[_Slot]) -> int:
    """Ask those that live to end, and wait until they have; returns how many there were."""
    processes = [process for process in map(_process, slots) if process is not None]
    try:
        for process in processes:
            _send(process, signal.SIGTERM)
        for process in _still_alive(processes):
            _send(process, signal.SIGKILL)
    finally:
        for process in processes:
            os.close(process)
    return len(processes)


def _process(slot: _Slot) -> int | None:
    """A descriptor (pidfd_open(2)) of the worker in this place; None if none lives."""
    deadline = time.monotonic() + _STARTING_SECONDS
    while _is_held(slot) and time.monotonic() < deadline:
        if noted := slot.file.read_text().strip():
            try:
                process = os.pidfd_open(int(noted))
            except ProcessLookupError:
                continue
            if _is_held(slot):  # still, so that the id was its holder's when the descriptor was made
                return process
            os.close(process)
        else:
            time.sleep(0.01)
    return None


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, number)


def _still_alive(processes: Sequence[int]) -> list[int]:
    """Those that have not ended after as long as workers need at most."""
    waiting = select.poll()
    for process in processes:
        waiting.register(process, select.POLLIN)
    left, deadline = set(processes), time.monotonic() + PATIENCE_SECONDS
    while left and (seconds := deadline - time.monotonic()) > 0:
        for process, _ in waiting.poll(seconds * 1000):
            waiting.unregister(process)
            left.discard(process)
    return sorted(left)


def _is_held(slot: _Slot) -> bool:
    with _opened(slot) as file:
        return not _taken(file)


@contextmanager
def _opened(slot: _Slot) -> Iterator[int]:
    file = os.open(slot.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _taken(file: int) -> bool:
    """Take the lock on a file; False if another holds it, and does not only look whether somebody does."""
    for pause in _LOOKS:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False
