"""What `orch status` does with a home: look at it once, or again and again until nothing is left to do.

What is seen is put together in `orchestrator.progress.summary`.
How it looks stands in `orchestrator.progress.terminal`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from orchestrator.command_line import standard_streams
from orchestrator.errors import HomeError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.progress import terminal
from orchestrator.progress.summary import Snapshot, snapshot

_SECONDS_BETWEEN_LOOKS = 1.0
# In a file or a pipe, where nothing can be written over; as often as a worker's lines of progress.
_SECONDS_BETWEEN_BLOCKS = 30.0

Tell = Callable[[Snapshot], str]
"""Is given every state that is seen; what it returns is shown below the headline."""


def look(home: Home) -> Snapshot:
    """Raises HomeError if nothing was ever planned in the home."""
    study = home.jobs.study()
    if study is None:
        raise HomeError(f"Nothing is planned in {home.url} yet; run `orch plan`.")
    seen, shortage = home.jobs.overview(), home.artifacts.shortage()
    return snapshot(study.name, home.url, seen, shortage, planned_at=study.planned_at, notes=study.notes)


def watch(home: Home, console: Console, tell: Tell = lambda _: "") -> None:
    """Return when nothing is left to do, or the reader of standard output has gone.

    A terminal shows the newest state on its full screen, and the last one stays below the command when the screen is
    given back.  Everything else, and a terminal that cannot move its cursor, gets the state as a block of lines, now
    and then.
    """
    if console.is_terminal and not console.is_dumb_terminal:
        _on_full_screen(home, console, tell)
    else:
        _in_blocks(home, console, tell)


def _on_full_screen(home: Home, console: Console, tell: Tell) -> None:
    seen = look(home)
    try:
        with Live(terminal.render(seen, tell(seen)), console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.refresh()
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                try:
                    goes_on, seen = home.jobs.unfinished(), look(home)
                    live.update(terminal.render(seen, tell(seen)))
                except HomeError as error:
                    # A person is looking: it may come back, and they may end it.
                    live.update(terminal.render(seen, single_line(f"{error} Above is what was seen last.")))
                    continue
                if not goes_on:
                    return
    finally:
        console.print(terminal.render(seen))


def _in_blocks(home: Home, console: Console, tell: Tell) -> None:
    printed = -float("inf")

    def show() -> None:
        nonlocal printed
        if standard_streams.reader_is_gone():
            raise BrokenPipeError
        if time.monotonic() - printed >= _SECONDS_BETWEEN_BLOCKS:
            printed = time.monotonic()
            _print_block(home, console, tell)

    show()
    while home.jobs.unfinished():
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        show()
    _print_block(home, console, tell)


def _print_block(home: Home, console: Console, tell: Tell) -> None:
    seen = look(home)
    console.print(time.strftime("%Y-%m-%d %H:%M:%S"), highlight=False)
    console.print(terminal.render(seen, tell(seen)))
    console.print()
