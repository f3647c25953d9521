"""What `orch status` does: print how far a study is, once or until nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

from orchestrator.command_line import strict_json
from orchestrator.errors import UsageError
from orchestrator.home import Home
from orchestrator.progress import notification, terminal, watching
from orchestrator.progress.summary import Snapshot


def run(
    home: Home, *, watch: bool, jobs: bool, as_json: bool, notify: str | None = None, stalled_minutes: float = 60.0
) -> None:
    """Print a home's status; the options are those of the command."""
    console = Console()
    if notify is not None:
        notification.check(notify)
        if not watch:
            raise UsageError("--notify tells what happens while one watches; add --watch.")
    if as_json:
        print(strict_json.text(watching.look(home).to_json()))
    elif watch:
        watching.watch(home, console, _nobody if notify is None else _teller(notify, stalled_minutes, console))
    else:
        console.print(terminal.render(watching.look(home)))
        if jobs:
            console.print(terminal.render_jobs(home.jobs.jobs()))


def _nobody(_seen: Snapshot) -> None: ...


def _teller(url: str, stalled_minutes: float, console: Console) -> Callable[[Snapshot], None]:
    """Posts what is new; a service that takes nothing is complained of once, and the watching goes on."""
    news, complained = notification.News(60 * stalled_minutes), False

    def tell(seen: Snapshot) -> None:
        nonlocal complained
        for message in news.since(seen, time.monotonic()):
            try:
                notification.send(url, message)
            except notification.NotTold as error:
                if not complained:
                    console.print(str(error), markup=False)
                complained = True

    return tell
