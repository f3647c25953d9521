"""What a worker says, shown in a notebook's cell: one display that is written over, however long the session lives.

The cell that `orch snippet` prints loads this file by its path, into the notebook's own Python: nothing of Orch and
nothing beyond the standard library and IPython is imported here.  What a worker says is written by `workers.console`.
"""

from __future__ import annotations

import codecs
import html
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

RECORD = "\x1e"
"""How a line begins that is a record of progress and not to be read by people (RFC 7464)."""

_SECONDS_BETWEEN_UPDATES = 1.0
"""A notebook service drops the output of a cell that sends too much."""
_LINES_SHOWN = 8
_LONGEST_LINE = 300

_KEYS = ("step", "steps", "loss", "images_per_second", "note", "seconds_left")

Show = Callable[[str, str], None]
"""Shows HTML, or the text that says the same, in place of what was shown before."""


@dataclass
class _Bar:
    """How far a worker's job is."""

    job: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    images_per_second: float | None = None
    note: str = ""
    seconds_left: float | None = None
    """Of the session."""
    began: float = field(default_factory=time.monotonic)
    first_step: int = 0

    def heard(self, said: Mapping[str, Any], now: float) -> _Bar:
        known = {key: said[key] for key in _KEYS if key in said}
        if said.get("job", "") != self.job:
            return _Bar(said.get("job", ""), **known, began=now, first_step=known.get("step", 0))
        return _Bar(self.job, **known, began=self.began, first_step=self.first_step)

    def eta(self, now: float) -> float | None:
        """Seconds until the job's last step, at the pace since it was first heard of."""
        taken, took = self.step - self.first_step, now - self.began
        return (self.steps - self.step) * took / taken if taken > 0 and took > 0 else None


class CellDisplay:
    """Takes what workers print, in pieces as they come; for one thread."""

    def __init__(self, show: Show | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show or _in_notebook()
        self._clock = clock
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unread = ""
        self._held_back = False
        """Whether something came after the last update."""
        self._bars: dict[str, _Bar] = {}
        self._lines: deque[str] = deque(maxlen=_LINES_SHOWN)
        self._left_out = 0
        self._shown = -_SECONDS_BETWEEN_UPDATES

    def feed(self, told: bytes) -> None:
        """Whatever becomes of the display, this returns: the worker goes on.

        Args:
            told: nothing, if nothing was said for a while: what came too soon after the last update is shown then.
        """
        *lines, self._unread = (self._unread + self._decoder.decode(told)).split("\n")
        for line in lines:
            self._heard(line)
        self._held_back = self._held_back or bool(told)
        if self._held_back and self._clock() - self._shown >= _SECONDS_BETWEEN_UPDATES:
            self._update()

    def close(self) -> None:
        """Show the last state: that of workers that have ended."""
        if self._unread:
            self._heard(self._unread)
        self._bars.clear()
        self._update()

    def _heard(self, line: str) -> None:
        if not line.startswith(RECORD):
            if line.strip():
                self._left_out += len(self._lines) == _LINES_SHOWN
                self._lines.append(line[:_LONGEST_LINE])
            return
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # cut off by the end of a worker
            said = json.loads(line.removeprefix(RECORD))
            bar = self._bars.get(said["worker"], _Bar())
            self._bars[said["worker"]] = bar.heard(said, self._clock())

    def _update(self) -> None:
        self._shown, self._held_back = self._clock(), False
        try:
            self._show(self._as_html(), self._as_text())
        except Exception as error:
            print(f"The display has gone ({type(error).__name__}); the worker goes on.", file=sys.stderr)
            self._show = _nowhere

    def _as_html(self) -> str:
        rows = "".join(self._row(name, bar) for name, bar in self._bars.items())
        table = f'<table style="{_TABLE}">{rows}</table>' if rows else ""
        before = f"{self._left_out} earlier lines; orch logs and orch status tell all of it\n" if self._left_out else ""
        lines = html.escape(before + "\n".join(self._lines))
        return f'<div style="{_ALL}">{table}<pre style="{_LINES}">{lines}</pre></div>'

    def _row(self, name: str, bar: _Bar) -> str:
        share = f"{100 * bar.step / bar.steps:.0f}%" if bar.steps else ""
        progress = f'<progress max="{bar.steps}" value="{bar.step}" style="width:12em"></progress>' if bar.steps else ""
        words = [share, *self._figures(bar)]
        cells = (html.escape(name), progress, html.escape(bar.job), html.escape("   ".join(filter(None, words))))
        return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"

    def _figures(self, bar: _Bar) -> list[str]:
        eta = bar.eta(self._clock())
        return [
            f"{_duration(eta)} to go" if eta is not None else "",
            f"loss {bar.loss:.3f}" if bar.loss is not None else "",
            f"{bar.images_per_second:,.0f} images/s" if bar.images_per_second is not None else "",
            bar.note,
            f"session: {_duration(bar.seconds_left)} left" if bar.seconds_left is not None else "",
        ]

    def _as_text(self) -> str:
        return "\n".join([*(self._line(name, bar) for name, bar in self._bars.items()), *self._lines])

    def _line(self, name: str, bar: _Bar) -> str:
        words = [name, bar.job, f"{bar.step}/{bar.steps}" if bar.steps else "", *self._figures(bar)]
        return "  ".join(filter(None, words))


_ALL = "font-variant-numeric:tabular-nums;line-height:1.4"
_TABLE = "border-collapse:collapse;margin:0"
_CELL = "text-align:left;padding:0 1em 0 0;white-space:pre"
_LINES = "margin:.5em 0 0;white-space:pre-wrap;opacity:.75;font-size:.9em"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _nowhere(as_html: str, as_text: str) -> None: ...


def _in_notebook() -> Show:
    """One output of the cell that runs."""
    from IPython.display import display

    handle: Any = None

    def show(as_html: str, as_text: str) -> None:
        nonlocal handle
        shown = {"text/html": as_html, "text/plain": as_text}
        if handle is None:
            handle = display(shown, raw=True, display_id=True)
        else:
            handle.update(shown, raw=True)

    return show
