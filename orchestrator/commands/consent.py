"""Asking a person, before something is undone that somebody has computed."""

from __future__ import annotations

import sys

import typer

from orchestrator.errors import OrchError, UsageError


class Declined(OrchError):
    """The person does not want it."""


def ask(consequence: str, *, yes: bool) -> None:
    """Return if the person wants what has this consequence, a sentence.

    Args:
        yes: they have said so already, with --yes.

    Raises:
        Declined: they do not.
        UsageError: nobody can be asked, because standard input or error is no terminal.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{consequence} Nothing was changed; give --yes if that is meant.")
    if not typer.confirm(f"{consequence} Go on?", err=True):
        raise Declined("Nothing was changed.")
