"""What several commands of `orch` take: their options as Typer reads them, and the home that these name.

An option that one command has alone stands with the command, in `orchestrator.cli`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.home import Home

HomeOption = Annotated[
    str | None,
    typer.Option("--home", help="Where the study lives; default: ORCH_HOME, or what `orch plan` noted here."),
]
ArtifactsOption = Annotated[
    str | None,
    typer.Option(
        "--artifacts",
        help="Directory with the files of a home on PostgreSQL; default: ORCH_ARTIFACTS, or what `orch plan` noted.",
    ),
]
LONGEST_HOURS = 87_600.0
"""Ten years: what a person can mean, and what select(2), which waits for the end of a worker's time, can take."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Directory with the data set's official files; default: ORCH_DATA, Keras' cache."),
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Do not ask, though it undoes what is under way or sets aside what is done.")
]


def _job_named(text: str) -> str:
    """What a shell passes on need not be text, and no job's name is anything else."""
    if not text.isascii():
        raise UsageError(f"{text!r} is no job of this study; `orch status --jobs` lists their names.")
    return text


JobArgument = Annotated[
    str, typer.Argument(callback=_job_named, help="The job's name as `orch status --jobs` shows it, or its id.")
]


def open_home(home: str | None, artifacts: str | None) -> Home:
    """The home that a command was told of by these options.  Raises OrchError."""
    from orchestrator import address
    from orchestrator.home import Home

    at = address.known(home, artifacts)
    return Home.open(at.url, at.artifacts)
