"""The shutdown notice: heard the moment it is given, and enforced when the time that it leaves is over.

What a worker does in that time stands in `workers.session`.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.errors import ExitCode

NOTICE_SECONDS = 25.0
"""How long a worker has: a notebook service gives 30 seconds, the last of which a busy machine needs to end it."""

_BY_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Sent by an engine; by Ctrl-C; by a terminal that is closed or an ssh that is cut."""


class ShutdownNotice:
    """Is given once: by a signal, or by the clock of a notebook session whose length is known.

    A signal that whoever started the worker has it ignore stays ignored: SIGHUP under `nohup`, SIGINT in the background
    of a script.

    A thread of its own waits for it: Python tells the main thread of a signal only between two of its instructions,
    and a table that is locked or a network that is silent may hold up one of them for longer than there is time.
    """

    def __init__(self, begin: Callable[[], None], enforce: Callable[[], None]) -> None:
        """`begin` is called when notice is given, `enforce` if it is still listened for `NOTICE_SECONDS` later."""
        self.reason: str | None = None
        self._begin = begin
        self._enforce = enforce
        self._given = threading.Event()
        self._ended = threading.Event()
        self._due: float | None = None
        """When it is given by the clock, on the monotonic one."""

    @property
    def given(self) -> bool:
        return self._given.is_set()

    def seconds_left(self) -> float | None:
        """Until it is given by the clock; None where only a signal gives it."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Wait so long, or until notice is given."""
        self._given.wait(seconds)

    def give(self, reason: str) -> None:
        self.reason = reason
        self._given.set()
        self._begin()

    @contextmanager
    def listening(self, max_seconds: float | None) -> Iterator[None]:
        """Listen for signals; after `max_seconds` notice is given without one.

        To be entered on the main thread, which alone may say what signals do.
        """
        self._due = None if max_seconds is None else time.monotonic() + max_seconds
        heard, told = os.pipe()
        os.set_blocking(told, False)
        heeded = [number for number in _BY_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, _interrupt) for number in heeded}
        told_before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        listener = threading.Thread(target=self._listen, args=(heard, max_seconds), name="shutdown", daemon=True)
        listener.start()
        try:
            yield
        finally:
            self._ended.set()
            signal.set_wakeup_fd(told_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(told)
            listener.join()
            os.close(heard)

    def _listen(self, heard: int, max_seconds: float | None) -> None:
        by_signal, _, _ = select.select([heard], [], [], max_seconds)
        number = os.read(heard, 1) if by_signal else b""
        if by_signal and not number:
            return  # closed: it ended by itself
        self.give(signal.Signals(number[0]).name if number else "the session's time is up")
        if not self._ended.wait(NOTICE_SECONDS):
            self._enforce()


def end_at_once() -> None:
    """From now on a request to end ends this process with TRY_LATER, until notice is listened for.

    A worker that has claimed nothing has nothing to save; but that of a signal it dies, whoever starts workers would
    take for a failure.
    """
    for number in _BY_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: os._exit(ExitCode.TRY_LATER))


def leave_to_supervisor() -> None:
    """Have this process, a runner, ignore requests to end: its supervisor asks it for a checkpoint, and ends it.

    An engine may send SIGTERM to all processes of a worker, as Slurm does with a job that is cancelled, and systemd
    with a unit that is stopped.
    """
    for number in _BY_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: object) -> None:
    """Python writes to the wakeup descriptor for signals that have a handler, and interrupts what waits."""
