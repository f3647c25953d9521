"""The directory of legacy Keras' packages, made by the real pip of small wheels that stand for the real ones."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from workers.runner import legacy_packages as module
from workers.runner.legacy_packages import NoLegacyKeras, packages_in


@pytest.fixture(autouse=True)
def missing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    wanted = ["tensorflow-model-optimization>=0.8,<0.9", "dm-tree"]
    monkeypatch.setattr(module, "missing", lambda: wanted)
    return wanted


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of wheels that is all that pip knows."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    for name, version in (("tensorflow_model_optimization", "0.8.1"), ("dm_tree", "0.1.9")):
        write_wheel(directory, name, version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


def write_wheel(directory: Path, name: str, version: str, code: str = "") -> None:
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", code)
        # What pip would have to bring along, and must not.
        wheel.writestr(
            f"{about}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: absl-py (<2)\n",
        )
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def test_what_is_missing_lies_in_the_directory_and_nothing_of_the_person_is_changed(tmp_path: Path) -> None:
    before = installed()
    directory = packages_in(tmp_path / "cache")
    assert directory is not None
    packages = {entry.name for entry in directory.iterdir() if not entry.name.endswith(".dist-info")}
    assert packages == {"tensorflow_model_optimization", "dm_tree"}
    assert installed() == before


def test_the_directory_is_made_once(tmp_path: Path, wheels: Path) -> None:
    first = packages_in(tmp_path / "cache")
    shutil.rmtree(wheels)
    assert packages_in(tmp_path / "cache") == first


def test_where_pip_fails_the_reason_is_told_and_nothing_is_left(tmp_path: Path, wheels: Path) -> None:
    (wheels / "dm_tree-0.1.9-py3-none-any.whl").unlink()
    with pytest.raises(NoLegacyKeras, match=r"pip cannot install .*dm-tree here \(ERROR: .*dm-tree\)\."):
        packages_in(tmp_path / "cache")
    assert not [entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()]
    write_wheel(wheels, "dm_tree", "0.1.9")
    assert packages_in(tmp_path / "cache") is not None


def test_what_does_not_load_is_told_and_made_anew_the_next_time(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, "tensorflow_model_optimization", "0.8.1", "raise ImportError('no symbol of that name')")
    with pytest.raises(
        NoLegacyKeras, match=r"was installed, and does not load .*\(ImportError: no symbol of that name\)"
    ):
        packages_in(tmp_path / "cache")
    assert not [entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()]
    write_wheel(wheels, "tensorflow_model_optimization", "0.8.1")
    assert packages_in(tmp_path / "cache") is not None


def test_the_packages_are_loaded_as_a_runner_loads_them_once(tmp_path: Path, wheels: Path) -> None:
    loaded = tmp_path / "loaded"
    code = f"import os, dm_tree; open({str(loaded)!r}, 'a').write(os.environ['TF_USE_LEGACY_KERAS'])"
    write_wheel(wheels, "tensorflow_model_optimization", "0.8.1", code)
    assert packages_in(tmp_path / "cache") == packages_in(tmp_path / "cache")
    assert loaded.read_text() == "1"


def test_beside_another_tensorflow_other_packages_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = packages_in(tmp_path / "cache")
    monkeypatch.setattr(module, "_version", {"tensorflow": "2.99.1"}.get)
    assert packages_in(tmp_path / "cache") != first


def test_what_a_killed_worker_left_half_made_is_made_anew(tmp_path: Path) -> None:
    directory = packages_in(tmp_path / "cache")
    assert directory is not None
    unfinished = directory.with_suffix(".unfinished")
    directory.rename(unfinished)
    (unfinished / "half").touch()
    assert packages_in(tmp_path / "cache") == directory
    assert not (directory / "half").exists() and not unfinished.exists()


def test_a_python_that_has_everything_gets_no_directory(tmp_path: Path, missing: list[str]) -> None:
    missing.clear()
    assert packages_in(tmp_path / "cache") is None
    assert not (tmp_path / "cache").exists()


def test_a_worker_that_is_asked_to_end_waits_for_no_pip(tmp_path: Path) -> None:
    with pytest.raises(NoLegacyKeras):
        packages_in(tmp_path / "cache", stopping=lambda: True)


@pytest.mark.parametrize(
    ("versions", "wanted"),
    [
        ({"tensorflow": "2.21.0", "tf-keras": "2.21.1", "tensorflow-model-optimization": "0.8.1"}, []),
        (
            {"tensorflow-cpu": "2.19.1", "tf-keras": "2.18.0", "numpy": "2.1", "six": "1.17", "absl-py": "2.3"},
            ["tf-keras==2.19.*", "tensorflow-model-optimization>=0.8,<0.9", "dm-tree"],
        ),
    ],
)
def test_only_what_is_missing_or_of_another_minor_version_is_wanted(
    versions: dict[str, str], wanted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "_version", versions.get)
    assert module.missing() == wanted


def test_without_tensorflow_there_is_no_legacy_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "_version", lambda _: None)
    with pytest.raises(NoLegacyKeras, match=re.escape("There is no TensorFlow here")):
        module.missing()


def installed() -> dict[str, str]:
    return {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
