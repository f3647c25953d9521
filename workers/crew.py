"""A worker for each GPU of this machine, under one command: one Ctrl-C ends all, and one that falls away ends alone."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from models.gpus import VISIBLE_VARIABLE, Gpu
from orchestrator.errors import ExitCode
from orchestrator.installation import own_packages
from workers.console import ONE_LINE_VARIABLE, Console
from workers.machine.shutdown import ShutdownNotice

_GRACE_SECONDS = 3.0
"""How much longer than they give themselves the workers have to end: else they would be killed as they do."""


class Crew:
    """Worker processes that are started, asked to end and waited for together."""

    def __init__(self, name: str, gpus: Sequence[Gpu], options: Sequence[str]) -> None:
        """Start them.

        Args:
            name: the workers are called so, each with the number of its GPU.
            options: of the command `orch worker`, for each of them.
        """
        self._console = Console(name)
        self._notice = ShutdownNotice(self._terminate, self._kill)
        kinds = ", ".join(gpu.name for gpu in gpus)
        self._console.say(f"starts a worker for each of {len(gpus)} GPUs: {kinds}")
        self._workers = {f"{name}-gpu{gpu.number}": gpu for gpu in gpus}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._options = options

    def run(self) -> ExitCode:
        """See them to their ends.

        Returns:
            DONE if one of them found nothing left to do, else TRY_LATER if one of them left work or all were asked to
            end, else FAILED.
        """
        with self._notice.listening(None):
            for name, gpu in self._workers.items():
                if not self._notice.given:
                    self._processes[name] = self._start(name, gpu)
            if self._notice.given:
                self._terminate()  # one may have been started as it was given
            codes = self._wait()
        self._console.flush()
        # One that was asked to end while Python had just begun has died of the signal.
        return _together([*codes, ExitCode.TRY_LATER] if self._notice.given else codes)

    def _start(self, name: str, gpu: Gpu) -> subprocess.Popen[bytes]:
        # In a session of its own: a terminal's Ctrl-C would reach it beside what it is sent from here.
        return subprocess.Popen(
            [*own_packages.command("workers.cli"), *self._options, "--name", name],
            env=_environment(os.environ, gpu),
            start_new_session=True,
        )

    def _wait(self) -> list[int]:
        ends: queue.Queue[tuple[str, int]] = queue.Queue()
        for name in self._processes:
            threading.Thread(target=self._tell_the_end, args=(name, ends), daemon=True).start()
        codes: list[int] = []
        while len(codes) < len(self._processes):
            name, code = ends.get()
            codes.append(code)
            if code not in (ExitCode.DONE, ExitCode.TRY_LATER) and not self._notice.given:
                others = "the others go on" if len(codes) < len(self._processes) else "it was the last one"
                self._console.say(f"{name} ended with {code}; {others}")
        return codes

    def _tell_the_end(self, name: str, ends: queue.Queue[tuple[str, int]]) -> None:
        ends.put((name, self._processes[name].wait()))

    def _terminate(self) -> None:
        for process in tuple(self._processes.values()):  # on the notice's thread, while others may be started
            process.terminate()

    def _kill(self) -> None:
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in tuple(self._processes.values()):
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()


def _environment(person: Mapping[str, str], gpu: Gpu) -> dict[str, str]:
    """One GPU is all that the worker's runner sees, by its UUID: CUDA and the driver number them differently.

    Several workers write to one output, so that none may write over a line.
    """
    return {**person, VISIBLE_VARIABLE: gpu.uuid, ONE_LINE_VARIABLE: "0"}


def _together(codes: Sequence[int]) -> ExitCode:
    best = (code for code in (ExitCode.DONE, ExitCode.TRY_LATER) if code in codes)
    return next(best, ExitCode.FAILED)
