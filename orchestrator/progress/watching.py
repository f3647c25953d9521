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
from orchestrator.home import Home
from orchestrator.progress import terminal
from orchestrator.progress.summary import Snapshot, snapshot

_SECONDS_BETWEEN_LOOKS = 1.0
# In a file or a pipe, where nothing can be written over; as often as a worker's lines of progress.
_SECONDS_BETWEEN_BLOCKS = 30.0


def look(home: Home) -> Snapshot:
    """Raises HomeError if nothing was ever planned in the home."""
    study = home.jobs.study()
    if study is None:
        raise HomeError(f"Nothing is planned in {home.url} yet; run `orch plan`.")
    return snapshot(study.name, home.url, home.jobs.overview(), home.artifacts.shortage())


def watch(home: Home, console: Console, tell: Callable[[Snapshot], None] = lambda _: None) -> None:
    """Return when nothing is left to do, or the reader of standard output has gone.

    A terminal shows the newest state in one place; everything else gets it as a block of lines, now and then.

    Args:
        tell: is given every state that is seen.
    """
    if console.is_terminal:
        with Live(terminal.render(look(home)), console=console, auto_refresh=False) as live:

            def update() -> None:
                seen = look(home)
                live.update(terminal.render(seen), refresh=True)
                tell(seen)

            _until_done(home, update)
    else:
        _in_blocks(home, console, tell)


def _in_blocks(home: Home, console: Console, tell: Callable[[Snapshot], None]) -> None:
    printed = -float("inf")

    def show() -> None:
        nonlocal printed
        if standard_streams.reader_is_gone():
            raise BrokenPipeError
        if time.monotonic() - printed >= _SECONDS_BETWEEN_BLOCKS:
            printed = time.monotonic()
            tell(_print_block(home, console))

    _until_done(home, show)
    tell(_print_block(home, console))


def _print_block(home: Home, console: Console) -> Snapshot:
    seen = look(home)
    console.print(time.strftime("%Y-%m-%d %H:%M:%S"), highlight=False)
    console.print(terminal.render(seen))
    console.print()
    return seen


def _until_done(home: Home, show: Callable[[], None]) -> None:
    """Show once in any case, and once more after the last job."""
    show()
    while home.jobs.unfinished():
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        show()
