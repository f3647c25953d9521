"""What `orch-worker` makes of its options and of the machine that it is on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.home import Home
from tests.support.processes import PATIENCE_SECONDS
from workers import supervisor
from workers.cli import app
from workers.console import Console
from workers.machine import hosts
from workers.machine.hosts import Host
from workers.supervisor import Settings

STARTED: list[Settings] = []


class Seen:
    """A supervisor that only tells how it was asked to work."""

    def __init__(self, _home: Home, settings: Settings, console: Console) -> None:
        STARTED.append(settings)
        self._console = console

    def run(self) -> int:
        self._console.flush()
        return 0


@pytest.mark.parametrize(("options", "seconds"), [((), 7200.0), (("--max-hours", "0.5"), 1800.0)])
def test_a_notebooks_worker_ends_before_its_session_unless_told_otherwise(
    options: tuple[str, ...], seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    STARTED.clear()
    monkeypatch.setattr(hosts, "this_host", lambda: Host("n", "kaggle", seconds_left=7200.0))
    monkeypatch.setattr(supervisor, "Supervisor", Seen)
    monkeypatch.setattr(os, "_exit", sys.exit)
    url = Home.create(tmp_path / "home").url
    ended = CliRunner().invoke(app, ["--home", url, *options])
    assert ended.exit_code == 0, ended.output
    assert "a Kaggle notebook" in ended.output and "ends in good order in 2.0 h" in ended.output
    assert [settings.max_seconds for settings in STARTED] == [seconds]


@pytest.mark.parametrize(
    ("output", "environment"),
    [
        (">&-", {}),
        (">/dev/full", {}),
        ("| true", {}),
        (">printed", {"PYTHONIOENCODING": "ascii"}),
        (">printed", {"PYTHONIOENCODING": "iso-8859-1:strict"}),
        (">printed", {"LC_ALL": "C"}),
        (">printed", {"LC_ALL": "en_US.ISO-8859-1"}),
    ],
)
def test_whatever_standard_output_is_a_worker_works_to_its_end(
    output: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """On a study of which nothing is left; the name has letters that most encodings lack."""
    url = Home.create(tmp_path / "home").url
    script = f'{{ "$@" 2>errors; echo $? >code; }} {output}'
    command = ["sh", "-c", script, "sh", sys.executable, "-P", "-m", "workers", "--home", url, "--name", "Ванда"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, **environment}, check=True, timeout=PATIENCE_SECONDS)
    errors = tmp_path / "errors"
    assert (tmp_path / "code").read_text() == "0\n", errors.read_text() if errors.exists() else ""
