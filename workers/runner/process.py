"""The supervisor's end of the line to its runner: the child process is started, listened to, and ended here."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.installation import own_packages
from workers.runner.environment import runner_environment
from workers.runner.libraries import PLAIN, Libraries
from workers.runner.messages import Message, Stop, decode, encode

RUNNER = "workers.runner.main"
"""The module that loads TensorFlow and computes."""

_LOG_TAIL_BYTES = 4000


@dataclass(frozen=True)
class RunnerDied:
    """The runner ended without being asked to."""

    reason: str


class RunnerProcess:
    """A child process that has TensorFlow loaded.  What it says arrives in `deliver`, on another thread.

    The child's standard input is the leash: it closes when this process ends in any way, SIGKILL included.
    """

    def __init__(
        self,
        threads: int,
        directory: Path,
        deliver: Callable[[Message | RunnerDied], None],
        module: str = RUNNER,
        libraries: Libraries = PLAIN,
    ) -> None:
        """Raises OSError if it cannot be started.

        Args:
            directory: of this worker, for the runner's log and its temporary files.
            module: whose `main` it runs.
            libraries: what it computes with.
        """
        self.threads = threads
        self.kind = libraries.kind
        self._log = directory / "runner.log"
        self._deliver = deliver
        with self._log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*own_packages.command(module), "--threads", str(threads)],
                env=runner_environment(os.environ, directory, libraries),
                umask=0o077,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                # Ctrl-C is the supervisor's: it asks for a checkpoint instead of losing training steps.
                start_new_session=True,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[str] = self._process.stdin
        self._ended = threading.Event()
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, message: Message) -> None:
        """Send a message; nothing happens if the runner is gone, of which `RunnerDied` tells or has told."""
        try:
            self._stdin.write(encode(message))
            self._stdin.flush()
        except BrokenPipeError:
            # What its buffer keeps would be written once more as the pipe is thrown away, and fail with a traceback.
            with suppress(BrokenPipeError):
                self._stdin.close()
        except ValueError:
            pass  # closed so before

    def stop_job(self) -> None:
        self.send(Stop())

    def kill(self) -> None:
        """Kill the process, and do not wait for its end.  No `RunnerDied` comes of it, which would fail the job."""
        self._ended.set()
        self._process.kill()

    def end(self) -> None:
        """End the process now, whatever it does; nothing is delivered after this returns."""
        self.kill()
        self._process.wait()
        self._listener.join()

    def log_tail(self) -> str:
        """The last lines that the process printed outside of jobs: what it said as it loaded."""
        return tail(self._log)

    def _listen(self, stdout: IO[str]) -> None:
        try:
            for line in stdout:
                self._deliver(decode(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            # A runner that was killed in the middle of a line; whatever else it is, it cannot be talked to.
            self._process.kill()
        code = self._process.wait()
        if not self._ended.is_set():
            self._deliver(RunnerDied(_reason(code)))


def tail(log: Path) -> str:
    """The end of a log, in whole lines."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            start = max(0, stream.tell() - _LOG_TAIL_BYTES)
            stream.seek(start)
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return text if start == 0 else text.partition("\n")[2]


def _reason(code: int) -> str:
    if code == -9:
        return "the runner was killed (SIGKILL), as a machine that is out of memory does"
    if code < 0:
        return f"the runner was ended by signal {-code}"
    return f"the runner ended with exit code {code}"
