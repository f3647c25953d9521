"""How a command ends: a foreseeable failure is one sentence on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from orchestrator.errors import ExitCode, OrchError

DEBUG_OPTION = "--debug"


def run(app: Callable[[], object]) -> None:
    """Run a Typer app; `--debug` anywhere on the command line lets tracebacks through."""
    debug = DEBUG_OPTION in sys.argv[1:]
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
