"""`orch export bundle`, unpacked and checked as its README says."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.artifacts.local import LocalStore
from orchestrator.commands import export
from orchestrator.errors import DiskError, StoreError
from orchestrator.export.archive import Archive
from orchestrator.home import Home
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.finished_homes import IN_A_DIRECTORY, Made, finish
from tests.support.processes import orch, refused

FLOAT16 = "models/alexnet-tiny/seed0/compress/float16/model.tflite"


def unpacked(file: Path, to: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        archive.extractall(to)
    (root,) = to.iterdir()
    return root


def test_every_file_of_it_is_there_and_its_checksums_hold(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(SMALL))
    finish(home, tmp_path)

    export.to_bundle(home, tmp_path / "out" / "small.zip")

    root = unpacked(tmp_path / "out" / "small.zip", tmp_path / "unpacked")
    assert root.name == "small"
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=root, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {line.split(": ")[0] for line in checked.stdout.splitlines()} == files - {"SHA256SUMS"}
    assert files >= {
        *("README.md", "study.json", "table.json", "environment.json"),
        *("report/report.html", "report/results.csv", "report/results.json", "report/results.md"),
        *(
            "models/alexnet-tiny/seed0/compress/float32/model.tflite",
            "models/alexnet-tiny/seed0/compress/float32/model.keras",
            FLOAT16,
        ),
    }
    assert any(name.startswith("report/figures/") and name.endswith(".svg") for name in files)
    assert (root / FLOAT16).read_text() == "model of alexnet-tiny/seed0/compress/float16"
    table = json.loads((root / "table.json").read_text())
    assert len(table["jobs"]) == 8 and table["attempts"][0]["worker"] == "ann"
    assert {each["file"] for each in table["networks"]} == {name for name in files if name.startswith("models/")}
    assert json.loads((root / "study.json").read_text())["dataset"] == "synthetic"
    assert json.loads((root / "environment.json").read_text())["keras"] == ["3.15.1"]
    readme = (root / "README.md").read_text()
    assert "Complete: all 8 jobs are done." in readme and "sha256sum -c SHA256SUMS" in readme
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "small.zip"], "nothing else is left there"


@IN_A_DIRECTORY
def test_the_same_home_gives_the_same_bytes(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(SMALL))
    finish(home, tmp_path)

    for name in ("one.zip", "two.zip"):
        export.to_bundle(home, tmp_path / name)

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@IN_A_DIRECTORY
def test_a_half_done_study_says_in_its_readme_what_is_missing(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(SMALL))
    finish(home, tmp_path, jobs=6)

    export.to_bundle(home, tmp_path / "small.zip")

    readme = (unpacked(tmp_path / "small.zip", tmp_path / "unpacked") / "README.md").read_text()
    assert "are done." in readme and "Not measured yet: " in readme


@pytest.fixture
def finished(planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path) -> Home:
    home = planned_home(small_study)
    finish(home, tmp_path)
    return home


def stored(home: Home, name: str) -> Path:
    job = home.jobs.job(name)
    assert isinstance(home.artifacts, LocalStore)
    return home.artifacts.directory / home.jobs.outputs(job.id)["model"].location


def test_without_one_of_its_networks_there_is_no_bundle(finished: Home, tmp_path: Path) -> None:
    (tmp_path / "small.zip").write_text("the one before")
    stored(finished, "alexnet-tiny/seed0/compress/float16").write_text("damaged")

    with pytest.raises(StoreError, match="alexnet-tiny/seed0/compress/float16 cannot be put into the archive"):
        export.to_bundle(finished, tmp_path / "small.zip")

    assert (tmp_path / "small.zip").read_text() == "the one before"
    assert not list(tmp_path.glob(".incoming-*"))


def test_a_place_that_cannot_be_written_is_told(finished: Home, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(DiskError, match="nothing of it is there"):
        export.to_bundle(finished, tmp_path / "taken" / "small.zip")

    (tmp_path / "folder.zip").mkdir()
    with pytest.raises(DiskError, match="nothing of it is there"):
        export.to_bundle(finished, tmp_path / "folder.zip")


def test_a_disk_that_is_full_leaves_what_was_there_before(
    finished: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "small.zip").write_text("the one before")
    monkeypatch.setattr(Archive, "add_file", full)

    with pytest.raises(DiskError, match="No space left on device"):
        export.to_bundle(finished, tmp_path / "small.zip")

    assert (tmp_path / "small.zip").read_text() == "the one before"


def test_a_large_network_is_never_whole_in_memory(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(600_000_000)
    script = f"""
import sys
from pathlib import Path
from orchestrator.export.archive import Archive
import resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open({str(tmp_path / "a.zip")!r}, "wb") as stream:
    with Archive(stream, "root") as archive:
        archive.add_file("large", Path({str(large)!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 100_000, "kilobytes"
    assert (tmp_path / "a.zip").stat().st_size > 600_000_000


def test_the_command_says_what_it_wrote(finished: Home, tmp_path: Path) -> None:
    done = orch("export", "bundle", "small.zip", "--home", finished.url, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("small.zip has the study, its report and 3 files of networks: ")


def test_a_home_where_nothing_is_planned_is_told(tmp_path: Path) -> None:
    assert "There is no home at" in refused(orch("export", "bundle", "x.zip", "--home", "none", cwd=tmp_path), 4)
