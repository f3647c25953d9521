"""What `orch status` does: print how far a study is, once or until nothing is left."""

from __future__ import annotations

from rich.console import Console

from orchestrator.command_line import strict_json
from orchestrator.home import Home
from orchestrator.progress import terminal, watching


def run(home: Home, *, watch: bool, jobs: bool, as_json: bool) -> None:
    """Print a home's status; the options are those of the command."""
    console = Console()
    if as_json:
        print(strict_json.text(watching.look(home).to_json()))
    elif watch:
        watching.watch(home, console)
    else:
        console.print(terminal.render(watching.look(home)))
        if jobs:
            console.print(terminal.render_jobs(home.jobs.jobs()))
