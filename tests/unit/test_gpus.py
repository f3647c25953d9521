"""A worker knows the GPUs that a process started here would be shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.gpus import VISIBLE_VARIABLE, visible_gpus
from tests.support.gpus import imitate_gpus


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(VISIBLE_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), "/usr/bin", "/bin"]))
    return tmp_path


def test_every_gpu_of_the_driver_is_there(programs: Path) -> None:
    uuids = imitate_gpus(programs, "Tesla T4", "NVIDIA A100-SXM4-40GB, rev 2")
    assert [(gpu.number, gpu.uuid, gpu.name) for gpu in visible_gpus()] == [
        ("0", uuids[0], "Tesla T4"),
        ("1", uuids[1], "NVIDIA A100-SXM4-40GB, rev 2"),
    ]


@pytest.mark.parametrize(
    ("visible", "shown"),
    [("", []), ("1", ["1"]), ("2,0", ["2", "0"]), ("GPU-00000001", ["1"]), ("GPU-ffff", []), (" 0 , 2", ["0", "2"])],
)
def test_what_cuda_is_told_to_hide_is_not_there(
    programs: Path, monkeypatch: pytest.MonkeyPatch, visible: str, shown: list[str]
) -> None:
    imitate_gpus(programs, "Tesla T4", "Tesla T4", "Tesla T4")
    monkeypatch.setenv(VISIBLE_VARIABLE, visible)
    assert [gpu.number for gpu in visible_gpus()] == shown


@pytest.mark.parametrize("answer", ["exit 9", "echo 'No devices were found'", "printf '\\377\\n'"])
def test_a_driver_that_fails_or_talks_nonsense_has_no_gpus(programs: Path, answer: str) -> None:
    (programs / "nvidia-smi").write_text(f"#!/bin/sh\n{answer}\n")
    (programs / "nvidia-smi").chmod(0o755)
    assert visible_gpus() == ()
