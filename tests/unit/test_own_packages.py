"""Whatever a person's packages are called, Orch finds its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.installation import own_packages
from tests.support.processes import PATIENCE_SECONDS, orch

ROOT = Path(own_packages.__file__).parents[2]
SHOWN = """
from orchestrator.installation import own_packages
own_packages.prefer()
import models, workers, orchestrator, theirs
print(*(module.__file__ for module in (models, workers, orchestrator, theirs)), sep="\\n")
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages of a person's own, before all that is installed."""
    for name in ("models", "workers", "theirs"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "__init__.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    return tmp_path / "packages"


def test_packages_that_are_called_like_orchs_hide_nothing_and_others_are_found(theirs: Path) -> None:
    printed = subprocess.run([sys.executable, "-P", "-c", SHOWN], capture_output=True, text=True, check=True).stdout
    *own, others = map(Path, printed.splitlines())
    assert own == [ROOT / name / "__init__.py" for name in ("models", "workers", "orchestrator")]
    assert others == theirs / "theirs" / "__init__.py"


@pytest.mark.usefixtures("theirs")
def test_commands_and_the_worker_find_orchs_own_packages(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        'name = "s"\ndataset = "synthetic"\ntrain_images = 100\ntest_images = 10\nshards = 1\n'
        '[[models]]\narchitecture = "alexnet-tiny"\n'
    )
    planned = orch("plan", "study.toml", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    worker = orch("worker", "--help", cwd=tmp_path)
    assert worker.returncode == 0 and "--checkpoint-seconds" in worker.stdout, worker.stderr
    runner = subprocess.run(
        [*own_packages.command("workers.runner.main"), "--help"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert runner.returncode == 0 and "--threads" in runner.stdout, runner.stderr
