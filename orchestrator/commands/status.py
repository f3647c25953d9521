"""What `orch status` does: print how far a study is, once or until nothing is left, or write it as a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.command_line import strict_json
from orchestrator.errors import UsageError
from orchestrator.home import Home
from orchestrator.jobs import Job
from orchestrator.progress import terminal, watching
from orchestrator.progress.summary import Snapshot


def run(
    home: Callable[[], Home],
    *,
    watch: bool,
    jobs: bool,
    as_json: bool,
    html: Path | None = None,
    notify: str | None = None,
    stalled_minutes: float = 60.0,
) -> None:
    """Print a home's status; the options are those of the command.

    Args:
        home: opens it, after the options were found to go together.
    """
    _check(watch=watch, jobs=jobs, as_json=as_json, html=html, notify=notify)
    console, opened = Console(), home()
    if html is not None:
        from orchestrator.commands import ui  # the templates are loaded for a page alone

        ui.write(opened, html)
    elif as_json:
        print(strict_json.text(_as_json(opened, jobs=jobs)))
    elif watch:
        watching.watch(opened, console, _nobody if notify is None else _teller(notify, stalled_minutes))
    else:
        console.print(terminal.render(watching.look(opened)))
        if jobs:
            console.print(terminal.render_jobs(opened.jobs.jobs()))


def _check(*, watch: bool, jobs: bool, as_json: bool, html: Path | None, notify: str | None) -> None:
    if notify is not None:
        from orchestrator.progress import notification  # the HTTP client is loaded for it alone

        notification.check(notify)
        if not watch:
            raise UsageError("--notify tells what happens while one watches; add --watch.")
    once = {"--json": as_json, "--jobs": jobs, "--html": html is not None}
    given = [option for option, is_given in once.items() if is_given]
    if watch and given:
        raise UsageError(f"{given[0]} shows a study once, and --watch as it goes on; leave out one of them.")
    if html is not None and (as_json or jobs):
        raise UsageError(f"--html writes a page, and {given[0]} prints; give one after the other.")


def _as_json(home: Home, *, jobs: bool) -> dict[str, Any]:
    seen = watching.look(home).to_json()
    return {**seen, "job_list": [_job(job) for job in home.jobs.jobs()]} if jobs else seen


def _job(job: Job) -> dict[str, Any]:
    keys = ("id", "name", "stage", "state", "attempts", "failures", "worker", "error")
    return {key: getattr(job, key) for key in keys}


def _nobody(_seen: Snapshot) -> str:
    return ""


def _teller(url: str, stalled_minutes: float) -> watching.Tell:
    """Posts what is new; a service that takes nothing is complained of, and the watching goes on."""
    from orchestrator.progress import notification

    news, complaint = notification.News(60 * stalled_minutes), ""

    def tell(seen: Snapshot) -> str:
        nonlocal complaint
        for message in news.since(seen, time.monotonic()):
            try:
                notification.send(url, message)
                complaint = ""
            except notification.NotTold as error:
                complaint = str(error)
        return complaint

    return tell
