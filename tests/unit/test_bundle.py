"""The wheel that travels is the same bytes wherever it is made, and is what it says."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from orchestrator.installation import distribution
from orchestrator.worker_package import packing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return packing.build(tmp_path)


def test_made_twice_it_is_the_same_bytes_whatever_the_clock_and_the_umask_say(wheel: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    touched = Path(packing.__file__)
    before, stat = os.umask(0o077), touched.stat()
    try:
        os.utime(touched, (1e9, 1e9))
        assert packing.build(again).read_bytes() == wheel.read_bytes()
    finally:
        os.umask(before)
        os.utime(touched, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_it_holds_the_package_with_its_data_and_nothing_that_is_made_from_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "models/training/trainer.py",
        "orchestrator/worker_package/cells/worker.py.txt",
        "orchestrator/jobtable/schema/migrations/0002_needs.py",
        "orchestrator/presets/tiny.toml",
        "workers/__main__.py",
    } <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_its_record_tells_the_digest_and_size_of_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        lines = list(csv.reader(archive.read(record).decode().splitlines()))
        assert {name for name, _, _ in lines} == set(archive.namelist())
        for name, digest, size in lines:
            if name != record:
                content = archive.read(name)
                told = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                assert (digest, int(size)) == (f"sha256={told}", len(content))


def test_its_name_and_its_information_are_those_of_the_project(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stem = f"orch_train-{project['version']}"
    assert wheel.name == f"{stem}-py3-none-any.whl"
    told = message_from_bytes(zipfile.ZipFile(wheel).read(f"{stem}.dist-info/METADATA"))
    assert told["Name"] == project["name"] == distribution.NAME
    assert set(told.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])


def test_pip_installs_it_and_a_worker_is_imported_from_there(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place)]
    subprocess.run([*pip, str(wheel)], check=True)
    script = "import workers.cli, orchestrator.home, models.architectures.catalog; print(workers.cli.__file__)"
    told = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(place)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str(place / "workers" / "cli.py")
