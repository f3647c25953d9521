"""`orch launch` for tests: the real command and real engines, whose workers begin to compute at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import PATIENCE_SECONDS
from tests.support.runners import STAND_IN

STAND_IN_COMMAND = (sys.executable, *STAND_IN.worker)

_LAUNCH = f"""
import types
from orchestrator import cli
from orchestrator.commands import launch
launch.own_packages = types.SimpleNamespace(command=lambda module: {list(STAND_IN_COMMAND)!r})
cli.main()
"""


def launch(*arguments: str, cwd: Path, **environment: str) -> str:
    """What `orch launch` printed, which ended well; its workers have the stand-in for a runner."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _LAUNCH, "launch", *arguments],
        cwd=cwd,
        env={**os.environ, **STAND_IN.environment, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
