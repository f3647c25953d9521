"""A worker knows what kind of machine it is on, and when its session ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.gpus import VISIBLE_VARIABLE
from tests.support.gpus import imitate_gpus
from workers.machine.hosts import Host, fresh_worker_name, this_host

TICKS = os.sysconf("SC_CLK_TCK")
MACHINE_KB = 13_290_472


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose container began an hour ago, and that has neither GPU nor a service's variables."""
    for name in ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "TPU_ACCELERATOR_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(VISIBLE_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "proc" / "1").mkdir(parents=True)
    (tmp_path / "proc" / "uptime").write_text("7200.25 9000.0\n")
    fields = ["0"] * 19 + [str(3600 * TICKS), "0"]
    (tmp_path / "proc" / "1" / "stat").write_text(f"1 (a name) of) {' '.join(fields)}\n")
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal:  {MACHINE_KB} kB\nMemFree:  5 kB\n")
    return tmp_path


def on_kaggle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20261101-060000_RC00")


def test_a_colab_notebook_with_a_t4(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20261101-060000_RC00")
    imitate_gpus(root / "bin", "Tesla T4")
    host = this_host(root)
    assert (host.kind, host.accelerator, host.memory_bytes) == ("colab", "Tesla T4", MACHINE_KB * 1024)
    assert host.seconds_left == pytest.approx(12 * 3600 - 3600 - 600, abs=1)
    assert str(host) == "a Colab notebook with Tesla T4, 14 GB of memory, ends in good order in 10.8 h"
    assert fresh_worker_name(host).startswith("colab-")


def test_a_kaggle_notebook_whose_memory_is_limited(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_kaggle(monkeypatch)
    (root / "sys" / "fs" / "cgroup").mkdir(parents=True)
    (root / "sys" / "fs" / "cgroup" / "memory.max").write_text("8000000000\n")
    host = this_host(root)
    assert (host.kind, host.accelerator, host.memory_bytes) == ("kaggle", None, 8_000_000_000)
    assert host.seconds_left == pytest.approx(12 * 3600 - 3600 - 600, abs=1)


def test_a_kaggle_notebook_with_a_tpu_lives_nine_hours(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_kaggle(monkeypatch)
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v5e-8")
    assert this_host(root).seconds_left == pytest.approx(9 * 3600 - 3600 - 600, abs=1)


def test_a_machine_of_ones_own_lives_as_long_as_it_lives(root: Path) -> None:
    (root / "sys" / "fs" / "cgroup").mkdir(parents=True)
    (root / "sys" / "fs" / "cgroup" / "memory.max").write_text("max\n")
    host = this_host(root)
    assert (host.kind, host.memory_bytes, host.seconds_left) == ("own", MACHINE_KB * 1024, None)
    assert fresh_worker_name(host).startswith(f"{host.name}-")


def test_a_session_that_is_nearly_over_leaves_no_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    (root / "proc" / "uptime").write_text(f"{3600 + 12 * 3600 - 100} 0\n")
    assert this_host(root).seconds_left == 0.0


@pytest.mark.parametrize(("hours", "left"), [(13, 11 * 3600 - 600), (25, None)])
def test_a_session_that_outlived_a_limit_was_not_under_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, hours: int, left: float | None
) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    (root / "proc" / "uptime").write_text(f"{3600 + hours * 3600} 0\n")
    assert this_host(root).seconds_left == (left if left is None else pytest.approx(left, abs=1))


def test_a_machine_that_tells_nothing_is_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    host = this_host(tmp_path)
    assert host == Host(host.name, "own", None, 0, None)
