"""How a command ends: a foreseeable failure is one sentence on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from orchestrator import own_packages
from orchestrator.errors import ExitCode, OrchError

DEBUG_OPTION = "--debug"
_DEBUG_VARIABLE = "ORCH_DEBUG"
"""So that a worker which `orch worker` turns into is told as well."""


def run(app: Callable[[], object]) -> None:
    """Run a Typer app; `--debug` anywhere on the command line lets tracebacks through."""
    own_packages.prefer()
    if DEBUG_OPTION in sys.argv[1:]:
        os.environ[_DEBUG_VARIABLE] = "1"
    debug = _DEBUG_VARIABLE in os.environ
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != DEBUG_OPTION]
    try:
        app()
    except OrchError as error:
        if debug:
            raise
        _leave(str(error), error.exit_code)
    except BrokenPipeError:
        # `orch status | head`: the reader has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.FAILED)


def _leave(sentence: str, code: ExitCode) -> None:
    print(f"orch: {sentence}", file=sys.stderr)
    sys.exit(code)
