"""What a worker prints: one calm line of progress, and a line for every job that begins and ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from io import StringIO
from typing import TextIO

from workers.messages import Progress

ONE_LINE_VARIABLE = "ORCH_ONE_LINE"
"""Set by a notebook's cell: what it shows can be written over, though it is no terminal."""

# In a file or a notebook's output, where a line cannot be written over.
_SECONDS_BETWEEN_LINES = 30.0


class Console:
    """Lines on a stream; the progress line is written over where the stream is a terminal."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream or sys.stdout
        self._over = self._stream.isatty() or ONE_LINE_VARIABLE in os.environ
        self._open_line = 0
        self._said_once = ""
        self._last_line = 0.0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line that stays."""
        with self._lock:
            self._end_line()
            self._print(f"{time.strftime('%H:%M:%S')}  {self._name}  {text}\n")

    def say_once(self, text: str) -> None:
        """The same, unless it was the last that was said so."""
        if text != self._said_once:
            self._said_once = text
            self.say(text)

    def show(self, text: str) -> None:
        """How far things are, in place of what was shown before."""
        with self._lock:
            line = f"{self._name}  {text}"
            if self._over:
                self._print("\r" + line.ljust(self._open_line))
                self._open_line = len(line)
            elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
                self._last_line = time.monotonic()
                self._print(line + "\n")

    def close_line(self) -> None:
        with self._lock:
            self._end_line()

    def _end_line(self) -> None:
        if self._open_line:
            self._print("\n")
            self._open_line = 0

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # The reader has gone (`| head`) or the log's disk is full: the work goes on unseen.
            self._stream = StringIO()


def progress_line(job: str, progress: Progress) -> str:
    """One job's progress in a few words."""
    parts = [job, f"{progress.step}/{progress.steps}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.images_per_second is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    return "  ".join(part for part in (*parts, progress.note) if part)
