"""What it means for a job that a person's own code raised: final with their line, but for what the machine is at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.own_code import bundle, importing, reference
from models.own_code.errors import OwnCodeFault, UntrustedCode
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner import faults
from workers.runner.messages import Failed, RunJob, Unsuitable


class _UnavailableError(Exception):
    """As a device in trouble gives it, by way of the backend."""


_UnavailableError.__module__ = "tensorflow.python.framework.errors_impl"


def raised(folder: Path, body: str, **known: Any) -> Failed | Unsuitable:
    """What is said of a job whose own code has this body."""
    (folder / "nets.py").write_text(f"def build(known):\n    {body}\n", encoding="utf-8")
    named = reference.parse("nets.py:build")
    assert named is not None
    gathered = bundle.gather(folder, named)
    importing.install(gathered.to_bytes(), gathered.digest)
    job = RunJob("0" * 32, "train", {}, {}, None, None, str(folder), CheckpointPolicy(between_deaths=60.0, restart=1.0))
    try:
        importing.function(named.pinned(gathered.digest))(known)
    except Exception as error:
        ending = faults.ending(job, error)
        assert isinstance(ending, Failed | Unsuitable)
        return ending
    raise AssertionError("the code did not raise")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no such width')", "nets.py, line 2: ValueError: no such width"),
        ("assert 1 > 2", "nets.py, line 2: AssertionError: assert 1 > 2 (nets.py:2)"),
        ("from . import nothing", "nets.py, line 2: ImportError: attempted relative import"),
    ],
)
def test_a_mistake_is_final_and_told_with_its_line(tmp_path: Path, body: str, said: str) -> None:
    ending = raised(tmp_path, body)
    assert isinstance(ending, Failed) and ending.final
    assert ending.error.startswith(said), ending.error


def test_trouble_of_the_device_is_not_the_codes_fault(tmp_path: Path) -> None:
    ending = raised(tmp_path, "raise known['error']('the device is gone')", error=_UnavailableError)
    assert isinstance(ending, Failed) and not ending.final
    assert isinstance(raised(tmp_path, "raise MemoryError"), Unsuitable)


def test_a_package_that_is_missing_here_may_be_elsewhere(tmp_path: Path) -> None:
    ending = raised(tmp_path, "import not_installed_anywhere")
    assert isinstance(ending, Unsuitable)
    assert ending.reason == "nets.py, line 2: No module named 'not_installed_anywhere'; install it here."


def test_what_orch_finds_wrong_is_told_as_it_is(tmp_path: Path) -> None:
    job = RunJob(
        "0" * 32, "train", {}, {}, None, None, str(tmp_path), CheckpointPolicy(between_deaths=60.0, restart=1.0)
    )
    for fault in (OwnCodeFault("nets.py, line 1: build gives 7."), UntrustedCode("This is other code.")):
        ending = faults.ending(job, fault)
        assert isinstance(ending, Failed) and ending.final and str(fault) in ending.error
