"""`orch ...` as people write it in documents and containers, held against the real command line."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from orchestrator.cli import app as orch_app
from orchestrator.command_line import entry
from workers.cli import app as worker_app

PROGRAMS = ("orch", "orch-worker")


def commands_in(shell: str) -> Iterator[list[str]]:
    """The words of every `orch` or `orch-worker` that a line of shell runs."""
    for part in re.split(r"&&|\|\|?|;|\s#\s", shell):
        words = [word for word in _words(part.strip().removeprefix("$ ")) if not re.match(r"[A-Z_]+=", word)]
        if words and words[0] in PROGRAMS:
            yield words


def unknown_words(words: Sequence[str]) -> list[str]:
    """What a command line names that there is not: its command, or options of it."""
    command, rest = _command(words)
    if command is None:
        return [*words[1:2]]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help",
        entry.DEBUG_OPTION,
    }
    own = itertools.takewhile(lambda word: word != "--", rest)  # what follows is for another program
    options = [word.partition("=")[0] for word in own if re.match(r"--?[A-Za-z]", word)]
    return [option for option in options if option not in known]


def parse(words: Sequence[str]) -> None:
    """Parse a command line as the program would, without running it; raises what the program would report."""
    command, rest = _command(words)
    assert command is not None, f"there is no command {' '.join(words)}"
    try:
        command.make_context(" ".join(words), [word for word in rest if word != entry.DEBUG_OPTION])
    except typer.Exit as answered:  # --help
        assert answered.exit_code == 0


def _words(part: str) -> list[str]:
    """As the shell splits them; brackets around what may be left out are a document's, not the shell's."""
    try:
        return shlex.split(part.replace("[", " ").replace("]", " "))
    except ValueError:  # a quotation that a pipe or semicolon in it has torn apart
        return []


def _command(words: Sequence[str]) -> tuple[Any, list[str]]:
    """The command and its own arguments; no command where there is none of that name."""
    program, *rest = words
    if program == "orch-worker":
        return typer.main.get_command(worker_app), rest
    orch: Any = typer.main.get_command(orch_app)
    if not rest or rest[0].startswith("-"):
        return orch, rest
    if rest[0] == "worker":  # handed on as it is
        return typer.main.get_command(worker_app), rest[1:]
    return orch.commands.get(rest[0]), rest[1:]
