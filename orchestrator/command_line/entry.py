"""How a command ends: a foreseeable failure is one sentence on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator.command_line import standard_streams
from orchestrator.errors import ExitCode, OrchError, UsageError
from orchestrator.installation import own_packages

DEBUG_OPTION = "--debug"
_DEBUG_VARIABLE = "ORCH_DEBUG"
"""So that a worker which `orch worker` turns into is told as well."""


def run(app: Callable[[], object]) -> None:
    """Run a Typer app; `--debug` anywhere on the command line lets tracebacks through."""
    own_packages.prefer()
    standard_streams.prepare()
    if DEBUG_OPTION in sys.argv[1:]:
        os.environ[_DEBUG_VARIABLE] = "1"
    debug = _DEBUG_VARIABLE in os.environ
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != DEBUG_OPTION]
    try:
        _stand_somewhere()
        _to_the_last_letter(app)
    except OrchError as error:
        if debug:
            raise
        _leave(str(error), error.exit_code)
    except BrokenPipeError:
        sys.exit(ExitCode.FAILED)  # `orch status | head`: the reader has seen enough
    except OSError as error:
        if debug:
            raise
        _leave(_of_this_machine(error), ExitCode.FAILED)


def _to_the_last_letter(app: Callable[[], object]) -> None:
    """What is still in a buffer is written while there is somebody to tell that it cannot be."""
    try:
        app()
    finally:
        sys.stdout.flush()


def _stand_somewhere() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UsageError("The working directory was deleted; change to one that is there.") from None


def _of_this_machine(error: OSError) -> str:
    """What no part of Orch has put into better words: a full disk, a missing right, no directory for small files."""
    about = f" ({error.filename})" if error.filename else ""
    return f"This machine refuses what the command needs: {error.strerror or error}{about}; --debug says where."


def _leave(sentence: str, code: ExitCode) -> None:
    with suppress(OSError):  # who cannot be told still gets the exit code
        print(f"orch: {sentence}", file=sys.stderr)
    sys.exit(code)
