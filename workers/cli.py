"""`orch-worker`: a worker on this machine or in this notebook."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.command_line import entry
from orchestrator.command_line.options import LONGEST_HOURS
from orchestrator.errors import ExitCode, OrchError, UsageError
from orchestrator.installation import distribution
from workers.machine import shutdown

if TYPE_CHECKING:
    from orchestrator.home import Home

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


class Gpus(StrEnum):
    """For which GPUs there are workers."""

    ALL = "all"


class CannotCompute(OrchError):
    """This machine has nothing to compute with."""


@app.command()
def work(
    home: Annotated[
        str | None,
        typer.Option(help="Where the study lives; default: ORCH_HOME, or what `orch plan` noted here."),
    ] = None,
    artifacts: Annotated[
        str | None,
        typer.Option(
            help="Directory with the files of a home on PostgreSQL; default: ORCH_ARTIFACTS, or what `orch plan` noted."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the worker is called in status and report.")] = None,
    max_hours: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=LONGEST_HOURS,
            help="Stop in good order after so many hours; default: before a notebook's session ends.",
        ),
    ] = None,
    vouched: Annotated[
        list[str] | None,
        typer.Option(
            "--code",
            metavar="SHA256",
            help="Run this code of a person's own, too; without it only what was planned from this directory.",
        ),
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Post to this address (ntfy, Slack, Discord, or any that takes text) when nothing is left.",
        ),
    ] = None,
    gpus: Annotated[
        Gpus | None,
        typer.Option(help="A worker for each GPU of this machine; default: one worker with what CUDA shows first."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Do one job, and no more.")] = False,
    checkpoint_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Compute so long between two checkpoints; default: what costs least."),
    ] = None,
) -> None:
    """Claim jobs and do them until none is left.

    Ends with 0 when nothing is left to do; with 75 when work remains: it was asked to stop (Ctrl-C, SIGTERM, SIGHUP,
    --max-hours), can do none of what is left, or, with --once, had nothing to do just now; with 1 when jobs failed for
    good and wait for a person, or it cannot work here; with 4 when the home cannot be reached.
    """
    # With JAX alone, as in Colab's notebooks with a TPU, a worker trains the studies that say `backend = "jax"`.
    if find_spec("tensorflow") is None and find_spec("jax") is None:
        worker = distribution.requirement("worker")
        raise CannotCompute(
            f"There is neither TensorFlow nor JAX here; install Orch's worker part: pip install '{worker}'."
        )
    from models.gpus import visible_gpus
    from orchestrator import address, untrusted
    from orchestrator.home import Home
    from orchestrator.progress import notification
    from workers.console import Console
    from workers.crew import Crew
    from workers.machine.hosts import fresh_worker_name, this_host
    from workers.supervisor import Settings, Supervisor
    from workers.trust import Trust

    if name is not None and not re.fullmatch(r"[\w.-]{1,100}", name):
        raise UsageError(f"A worker cannot be called {name!r}; use letters, digits, '-', '_' and '.'.")
    for digest in vouched or ():
        if not untrusted.is_sha256(digest):
            raise UsageError(f"{digest!a} is no SHA-256; --code takes 64 hexadecimal digits.")
    if notify is not None:
        notification.check(notify)
    host = this_host()
    called = name or fresh_worker_name(host)
    settings = Settings(
        name=called,
        host=host,
        once=once,
        trust=Trust(frozenset(vouched or ()), address.noted_code),
        max_seconds=host.seconds_left if max_hours is None else max_hours * 3600,
        checkpoint_seconds=checkpoint_seconds,
    )
    at = address.known(home, artifacts)
    opened = Home.open(at.url, at.artifacts)
    opened.check_artifacts()
    if gpus is Gpus.ALL and len(shown := visible_gpus()) > 1:
        options = _as_given(
            {
                "--home": home,
                "--artifacts": artifacts,
                "--max-hours": max_hours,
                "--checkpoint-seconds": checkpoint_seconds,
                "--once": once,
            }
        )
        options += [f"--code={digest}" for digest in vouched or ()]
        code = Crew(called, shown, options).run()
    else:
        console = Console(settings.name)
        console.say(f"works on {host}")
        code = Supervisor(opened, settings, console).run()
    if notify is not None and code in (ExitCode.DONE, ExitCode.FAILED):
        _tell(notify, opened)
    # Not sys.exit, which waits for threads: a transfer that hangs must not keep a worker that was asked to end.
    os._exit(code)


def _tell(url: str, home: Home) -> None:
    """Post how the study ended; a service that takes nothing changes nothing of that."""
    from orchestrator.progress import notification, watching

    try:
        for message in notification.News().since(watching.look(home), now=0.0):
            notification.send(url, message)
    except OrchError as error:
        print(error, file=sys.stderr, flush=True)


def _as_given(options: Mapping[str, str | float | bool | None]) -> list[str]:
    """The options of a command line that say the same."""
    given = {option: value for option, value in options.items() if value is not None and value is not False}
    return [part for option, value in given.items() for part in ((option,) if value is True else (option, str(value)))]


def main() -> None:
    shutdown.end_at_once()
    entry.run(lambda: app(prog_name="orch-worker"))
