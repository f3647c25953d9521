"""What `orch-worker` makes of its options and of the machine that it is on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.home import Home
from workers import hosts, supervisor
from workers.cli import app
from workers.console import Console
from workers.hosts import Host
from workers.supervisor import Settings

STARTED: list[Settings] = []


class Seen:
    """A supervisor that only tells how it was asked to work."""

    def __init__(self, _home: Home, settings: Settings, _console: Console) -> None:
        STARTED.append(settings)

    def run(self) -> int:
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
