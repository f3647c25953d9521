"""What a worker prints: one calm line of progress, and a line for every job that begins and ends."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from workers.cell_display import RECORD
from workers.runner.messages import Progress

ONE_LINE_VARIABLE = "ORCH_ONE_LINE"
"""Set by a notebook's cell: what it shows can be written over, though it is no terminal.  "0" is for workers that share
an output, and would write over each other's lines."""

RECORDS_VARIABLE = "ORCH_PROGRESS_RECORDS"
"""Set by a notebook's cell that shows progress itself: it is written as records, which `workers.cell_display` reads."""

_SECONDS_BETWEEN_RECORDS = 0.5
"""More often than a display is written over."""
_SECONDS_BETWEEN_LINES = 30.0
"""How often progress is printed to a file or a notebook's output, where a line cannot be written over."""
_MOST_WAITING = 1000
"""How many lines wait for a reader who has paused; more are left out."""
_FLUSH_SECONDS = 1.0


class Console:
    """Lines on a stream; the progress line is written over where the stream is a terminal.

    They are written on a thread of its own: whoever pauses the output (Ctrl-S, `| less`) pauses no heartbeat.  Whatever
    becomes of the stream, the work goes on: what its encoding lacks is shown as a question mark, and what cannot be
    written (no reader, no terminal, no room on the disk) is left out.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = _standard_output() if stream is None else stream
        one_line = os.environ.get(ONE_LINE_VARIABLE)
        self._over = _is_terminal(self._stream) if one_line is None else one_line != "0"
        self._as_records = RECORDS_VARIABLE in os.environ
        self._open_line = 0
        self._said_once = ""
        self._last_line = -_SECONDS_BETWEEN_LINES
        self._lock = threading.Lock()
        self._waiting: queue.Queue[str | threading.Event] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self._write, name="console", daemon=True).start()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._end_line()
            self._print(f"{time.strftime('%H:%M:%S')}  {self._name}  {text}\n")

    def say_once(self, text: str) -> None:
        """A line that stays, unless it is the one that this method printed last."""
        if text != self._said_once:
            self._said_once = text
            self.say(text)

    def show(self, text: str) -> None:
        """Show what the worker is at, in place of what was shown before."""
        if self._as_records:
            self._record({"note": text})
        else:
            self._show_line(text)

    def show_progress(self, job: str, progress: Progress, seconds_left: float | None = None) -> None:
        """Show how far a job is, in place of what was shown before.

        Args:
            seconds_left: until the worker ends in good order, if it knows.
        """
        if self._as_records:
            if time.monotonic() - self._last_line >= _SECONDS_BETWEEN_RECORDS:
                self._last_line = time.monotonic()
                self._record({"job": job, **progress.for_table(), "seconds_left": seconds_left})
        else:
            self._show_line(progress_line(job, progress))

    def _record(self, said: Mapping[str, object]) -> None:
        with self._lock:
            self._print(f"{RECORD}{json.dumps({'worker': self._name, **said})}\n")

    def _show_line(self, text: str) -> None:
        with self._lock:
            line = f"{self._name}  {text}"
            if self._over:
                self._print("\r" + line.ljust(self._open_line))
                self._open_line = len(line)
            elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
                self._last_line = time.monotonic()
                self._print(line + "\n")

    def flush(self, seconds: float = _FLUSH_SECONDS) -> None:
        """Wait until all of it is written, but not for a reader who has paused."""
        written = threading.Event()
        with suppress(queue.Full):
            self._waiting.put(written, timeout=seconds)
            written.wait(seconds)

    def _end_line(self) -> None:
        if self._open_line:
            self._print("\n")
            self._open_line = 0

    def _print(self, text: str) -> None:
        with suppress(queue.Full):
            self._waiting.put_nowait(text)

    def _write(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            # ValueError: the stream was closed.
            with suppress(OSError, ValueError):
                self._stream.write(item)
                self._stream.flush()


def progress_line(job: str, progress: Progress) -> str:
    """One job's progress in a few words."""
    parts = [job, f"{progress.job_step}/{progress.job_steps}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.images_per_second is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    return "  ".join(part for part in (*parts, progress.note) if part)


def _standard_output() -> TextIO:
    """Standard output by a descriptor of its own: what is done to `sys.stdout` leaves a worker's log alone."""
    try:
        descriptor = os.dup(sys.stdout.fileno())
    except (OSError, ValueError):  # somebody has put another stream there
        return sys.stdout
    return os.fdopen(descriptor, "w", encoding=sys.stdout.encoding, errors="replace")


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
