"""Real processes for tests: the `orch` command, and workers that can be waited for and killed."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import ExitCode
from tests.support.preloaded import Preloaded
from tests.support.runners import TENSORFLOW, Runner

PATIENCE_SECONDS = 600.0
"""A condition that has not come true by then never will.  Where six test processes shared two cores, a worker whose
study needs two kinds of Keras took more than 180 s, and one that had pip bring packages 219 s."""


def orch(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `orch` to its end: as a child of a process that has loaded it already, if that is free and no different."""
    return _run(arguments, cwd, environment)


def orch_undrawn(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same, and a report may be without its pictures, which take seconds to draw."""
    return _run(arguments, cwd, environment, undrawn=True)


def _run(
    arguments: Sequence[str | Path], cwd: Path, environment: Mapping[str, str], *, undrawn: bool = False
) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("orch")), *map(str, arguments)]
    variables = {**os.environ, "COLUMNS": "120", **environment}
    preloaded = _preloaded()
    if not preloaded.new_python_needed(variables) and preloaded.busy.acquire(blocking=False):
        try:
            done = preloaded.run(cwd, arguments=command[1:], environment=variables, undrawn=undrawn)
        finally:
            preloaded.busy.release()
        return subprocess.CompletedProcess(command, done.code, done.output, done.errors)
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def orch_after(code: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `orch` to its end where a few lines of Python have changed it; the environment is for what it starts, too."""
    variables = {**os.environ, **environment}
    preloaded = _preloaded()
    if not preloaded.new_python_needed(variables):
        with preloaded.busy:
            done = preloaded.run(cwd, code=code, arguments=arguments, environment=variables)
        return subprocess.CompletedProcess(("orch", *arguments), done.code, done.output, done.errors)
    command = [sys.executable, "-P", "-c", f"{code}\nfrom orchestrator.cli import main\nmain()", *arguments]
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence of a refusal."""
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, f"one sentence was expected:\n{done.stderr}"
    assert lines[0].startswith("orch: ")
    return lines[0]


@functools.cache
def _preloaded() -> Preloaded:
    return Preloaded()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about in {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.02)


def heed_signals() -> None:
    """Whoever starts the tests in the background may have them ignore some, which is inherited."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Worker:
    """A worker process on a home."""

    def __init__(self, home: str, log: Path, *options: str, runner: Runner = TENSORFLOW) -> None:
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *runner.worker, "--home", home, "--name", log.stem, *options],
                env={**os.environ, **runner.environment},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_signals,
            )

    @property
    def name(self) -> str:
        return self.log.stem

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def runner_pid(self) -> int:
        """The child process that computes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1, f"a worker has one runner, this one has {children}"
        return int(children[0])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait(self, expected: int = ExitCode.DONE) -> int:
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        assert code == expected, f"{self.name} ended with {code}:\n{self.log.read_text()}"
        return code


@contextmanager
def workers(home: str, directory: Path, *options: str, runner: Runner = TENSORFLOW) -> Iterator[Callable[[], Worker]]:
    """Starts workers, and ends those that a failing test leaves."""
    started: list[Worker] = []

    def start() -> Worker:
        started.append(Worker(home, directory / f"w{len(started) + 1}.log", *options, runner=runner))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            if not worker.ended:
                worker.kill()


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def resident_bytes(pid: int) -> int:
    """Memory that a process has in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
