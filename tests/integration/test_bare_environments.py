"""Commands where a person's environment is not what nearly everybody's is.

No home directory; a working directory that was deleted, or whose name is no text; variables of other tools.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.commands import demo
from tests.conftest import SMALL
from tests.support.processes import PATIENCE_SECONDS, orch, orch_undrawn, refused

HOMELESS = """
import json, pwd, sys
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody
from orchestrator.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""
"""`orch` run by a user whom /etc/passwd does not know: commands one after the other, up to one that ends badly."""
NAMES_OF_PLACES = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "KERAS_HOME", "ORCH_DATA", "ORCH_HOME")
ORCH = str(Path(sys.executable).with_name("orch"))


def homeless(*commands: tuple[str, ...], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in NAMES_OF_PLACES}
    return subprocess.run(
        [sys.executable, "-P", "-c", HOMELESS, json.dumps(commands)],
        cwd=cwd,
        env={**environment, "NO_GCE_CHECK": "true", "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (("plan", "study.toml"), 1, "no home directory to download it to"),
        (("plan", "--dry-run"), 0, ""),
        (("plan", "--home", "gdrive:"), 3, "Nobody is signed in"),
        (("status", "--home", "gdrive://folder"), 3, "Nobody is signed in"),
        (("status", "--home", "~/home"), 2, "give the whole path"),
        (("login",), 2, "set HOME"),
    ],
    ids=str,
)
def test_without_a_home_directory_a_command_does_its_work_or_says_what_is_missing(
    tmp_path: Path, command: tuple[str, ...], code: int, told: str
) -> None:
    (tmp_path / "study.toml").write_text(SMALL.replace('"synthetic"', '"cifar10"'))
    done = homeless(command, cwd=tmp_path)
    if code:
        assert told in refused(done, code)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_without_a_home_directory_the_demonstration_takes_synthetic_images(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES_OF_PLACES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    dataset, notes = demo.dataset_or_synthetic(None)
    assert dataset.description.name == "synthetic"
    assert "no home directory to download it to" in notes[0]


def test_a_study_is_planned_watched_and_reported_without_a_home_directory(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(SMALL)
    commands = [(name,) for name in ("plan", "status", "report", "doctor", "gc")]
    done = homeless(*commands, ("login", "--sign-out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Nobody was signed in here.\n")


@pytest.mark.parametrize("command", ["init", "plan", "status", "doctor", "worker", "demo", "login"])
def test_a_working_directory_that_was_deleted_is_told(tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["bash", "-c", f"cd {gone} && rmdir {gone} && exec {ORCH} {command}"], capture_output=True, text=True
    )
    assert "working directory was deleted" in refused(done, 2)


def test_somebody_who_is_not_known_has_no_home_directory(tmp_path: Path) -> None:
    done = orch("status", "--home", "~nobody-of-this-name/x", cwd=tmp_path)
    assert "give the whole path" in refused(done, 2)


def test_in_a_directory_whose_name_is_no_text_every_command_does_its_work(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"caf\xe9")
    place.mkdir()
    (place / "study.toml").write_text(SMALL)
    first = "alexnet-tiny/seed0/train/r00.s0"
    for command in ("plan", "status", "report", "doctor", "gc", f"logs {first}", "init new.toml"):
        done = orch_undrawn(*command.split(), cwd=place)
        assert done.returncode == 0, done.stderr
    assert r"caf\xe9" in orch("plan", cwd=place).stdout
    told = orch("status", "--json", cwd=place).stdout
    assert json.loads(told)["home"] == str(tmp_path / "caf\N{REPLACEMENT CHARACTER}" / "small.orch")
    assert r"\udc" not in told


def test_a_jobs_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(SMALL)
    assert orch("plan", cwd=tmp_path).returncode == 0
    for command in ("logs", "retry", "cancel"):
        assert "is no job of this study" in refused(orch(command, os.fsdecode(b"caf\xe9"), cwd=tmp_path), 2)


def test_what_this_machine_refuses_is_a_sentence_and_with_debug_a_traceback() -> None:
    script = "import errno, os; from orchestrator.command_line import entry\n\
def full(): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'a file')\n\
entry.run(full)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "No space left on device (a file)" in refused(done, 1)
    done = subprocess.run([sys.executable, "-c", script, "--debug"], capture_output=True, text=True)
    assert "Traceback" in done.stderr
