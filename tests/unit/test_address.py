"""Which home a command means, and what is noted of it: never a password."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from orchestrator import address
from orchestrator.address import Address
from orchestrator.errors import HomeError, UsageError

SERVER = "postgresql://ada@db.example/lab"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which nothing was planned, and an environment that names no home."""
    monkeypatch.chdir(tmp_path)
    for variable in ("ORCH_HOME", "ORCH_ARTIFACTS"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_a_study_lives_in_a_directory_of_its_name_unless_a_home_is_named() -> None:
    assert address.of_study("small", None, None) == Address("small.orch")
    assert address.of_study("small", "elsewhere", None) == Address("elsewhere")


def test_an_option_goes_before_the_environment_and_that_before_the_note(monkeypatch: pytest.MonkeyPatch) -> None:
    address.remember("small", Address(SERVER, "/noted"))
    assert address.known(None, None) == Address(SERVER, "/noted")
    monkeypatch.setenv("ORCH_ARTIFACTS", "/environment")
    assert address.known(None, None) == Address(SERVER, "/environment")
    assert address.known(None, "/option") == Address(SERVER, "/option")
    monkeypatch.setenv("ORCH_HOME", "directory")
    assert address.known(None, None).url == "directory"
    assert address.known("option", None).url == "option"


def test_noted_artifacts_are_those_of_the_noted_home_alone() -> None:
    address.remember("small", Address(SERVER, "/noted"))
    assert address.known("postgresql://ada@db.example/other", None).artifacts is None
    assert address.known("postgresql://ada:sesame@db.example/lab", None).artifacts == "/noted"


def test_another_study_does_not_move_into_the_noted_home() -> None:
    address.remember("small", Address(SERVER, "/noted"))
    assert address.of_study("small", None, None) == Address(SERVER, "/noted")
    assert address.of_study("other", None, None) == Address("other.orch")


@pytest.mark.parametrize("home", ["directory", "gdrive://folder", "s3://bucket/studies"])
def test_a_home_with_files_of_its_own_is_left_alone_by_artifacts_that_the_environment_names(
    home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_ARTIFACTS", "/environment")
    assert address.known(home, None) == Address(home)


def test_artifacts_are_noted_by_their_whole_path(here: Path) -> None:
    assert address.known(SERVER, "files") == Address(SERVER, str(here / "files"))


def test_without_any_home_it_is_told_what_to_do() -> None:
    with pytest.raises(HomeError, match="orch plan"):
        address.known(None, None)


def test_a_note_that_cannot_be_read_is_no_note(here: Path) -> None:
    (here / address.NOTE_FILE).write_text("home = [")
    assert address.of_study("small", None, None) == Address("small.orch")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:sesame@db.example/lab",
        "postgresql://ada:s/e@db.example/lab?password=sesame",
        "postgresql://ada@db.example/lab?password=sesame",
        "postgres://ada@db.example/lab?sslpassword=sesame",
        "postgresql://ada:ses%40me@db.example/lab",
    ],
)
def test_a_password_is_neither_shown_nor_noted(here: Path, url: str) -> None:
    assert address.has_password(url)
    assert address.without_password(url) == SERVER
    address.remember("small", Address(url, "/noted"))
    assert f'home = "{SERVER}"' in (here / address.NOTE_FILE).read_text()


def test_all_that_leads_to_the_database_is_shown() -> None:
    url = "postgresql://ada@/lab?host=%2Frun%2Fdb&sslmode=require"
    assert address.without_password(url) == url
    assert address.without_password("postgresql://[::1]:5433/lab") == "postgresql://[::1]:5433/lab"
    assert not address.has_password(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:sesame@db.example:port/lab",
        "postgresql://ada:open@sesame@db.example/lab",
        "postgresql://ada:open@sesame/x@db.example/lab",
    ],
)
def test_a_url_that_cannot_be_understood_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError, match="postgresql://USER@HOST") as told:
        address.without_password(url)
    assert "sesame" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("small.orch", None),
        ("/data/a:b", None),
        ("gdrive:", "gdrive"),
        ("gdrive://folder", "gdrive"),
        ("s3://bucket/prefix", "s3"),
        ("postgresql+psycopg://db.example/lab", "postgresql+psycopg"),
    ],
)
def test_a_url_is_told_from_a_directory_by_its_scheme(url: str, scheme: str | None) -> None:
    assert address.scheme(url) == scheme


def project(directory: Path, home: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory from which a study was planned into this home."""
    directory.mkdir(parents=True)
    monkeypatch.chdir(directory)
    if address.scheme(home) is None:
        Path(home).mkdir(parents=True)
    address.remember("small", address.of_study("small", home, None))
    return directory


@pytest.mark.parametrize("copied", ["copied", "moved"])
@pytest.mark.parametrize("home", ["small.orch", "homes/mine"])
def test_a_home_beside_its_note_is_the_copys_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, copied: str
) -> None:
    original = project(tmp_path / "project", home, monkeypatch)
    variant = tmp_path / "variant"
    if copied == "moved":
        original.rename(variant)
    else:
        shutil.copytree(original, variant)
    monkeypatch.chdir(variant)
    assert address.of_study("small", None, None) == address.known(None, None) == Address(str(variant / home))


@pytest.mark.parametrize("home", ["../elsewhere", "gdrive://folder", SERVER])
def test_a_copy_is_not_planned_into_the_originals_home_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("ORCH_ARTIFACTS", str(tmp_path / "files"))
    original = project(tmp_path / "project", home, monkeypatch)
    there = address.of_study("small", None, None)
    variant = tmp_path / "variant"
    shutil.copytree(original, variant)
    monkeypatch.chdir(variant)
    with pytest.raises(UsageError, match=f"a copy of {original}") as told:
        address.of_study("small", None, None)
    assert there.url in str(told.value)
    assert address.of_study("small", there.url, None) == there
    assert address.of_study("other", None, None).url == "other.orch"
    # Who has said that they mean it is not asked again; nor is who has moved the directory.
    address.remember("small", there)
    assert address.of_study("small", None, None) == there
    shutil.rmtree(variant)
    original.rename(variant)
    monkeypatch.chdir(variant)
    assert address.of_study("small", None, None) == there


def old_note(home: Path) -> str:
    """As Orch wrote it before it knew of copies."""
    return f'study = "small"\nhome = "{home}"\n'


def test_an_older_note_in_a_copy_is_not_followed_into_the_originals_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, variant = tmp_path / "project", tmp_path / "variant"
    (original / "small.orch").mkdir(parents=True)
    (original / address.NOTE_FILE).write_text(old_note(original / "small.orch"))
    monkeypatch.chdir(original)
    assert address.of_study("small", None, None) == Address(str(original / "small.orch"))
    shutil.copytree(original, variant)
    monkeypatch.chdir(variant)
    with pytest.raises(UsageError, match=f"a copy of {original}"):
        address.of_study("small", None, None)


def test_an_older_note_is_understood_where_its_directory_was_moved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, moved = tmp_path / "project", tmp_path / "moved"
    (original / "small.orch").mkdir(parents=True)
    (original / address.NOTE_FILE).write_text(old_note(original / "small.orch"))
    original.rename(moved)
    monkeypatch.chdir(moved)
    assert address.of_study("small", None, None) == Address(str(moved / "small.orch"))


def test_a_home_that_a_link_leads_to_is_not_the_copys_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    original, variant = tmp_path / "project", tmp_path / "variant"
    original.mkdir()
    (original / "small.orch").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(original)
    address.remember("small", Address("small.orch"))
    shutil.copytree(original, variant, symlinks=True)
    monkeypatch.chdir(variant)
    with pytest.raises(UsageError, match="a copy of"):
        address.of_study("small", None, None)


@pytest.mark.parametrize("home", ["../böse \N{FILE FOLDER}/h", 'a"b\\c\nd\x7f', "./gdrive:x"])
def test_every_path_is_understood_as_it_was_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    project(tmp_path / "project", home, monkeypatch)
    assert Path(address.known(None, None).url).resolve() == Path(home).resolve()


def test_a_note_that_cannot_be_written_is_told(here: Path) -> None:
    (here / address.NOTE_FILE).mkdir()
    assert "could not be noted in .orch.toml" in str(address.remember("small", Address("small.orch")))


def test_a_url_that_is_no_text_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError, match="not UTF-8") as told:
        address.known(os.fsdecode(b"postgresql://ada:sesame@db.example/lab\xff"), None)
    assert "sesame" not in str(told.value)


def test_a_home_whose_path_is_no_text_is_told_and_not_noted(here: Path) -> None:
    home = os.fsdecode(b"\xff.orch")
    assert "not UTF-8" in str(address.remember("small", Address(home)))
    assert not (here / address.NOTE_FILE).exists()


def test_beside_a_note_in_a_directory_whose_path_is_no_text_a_home_is_noted(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = here / os.fsdecode(b"caf\xe9")
    place.mkdir()
    monkeypatch.chdir(place)
    assert address.remember("small", Address("small.orch")) is None
    assert address.known(None, None) == Address(str(place / "small.orch"))


@pytest.mark.parametrize("text", ["home = 3", "home = [1]", "\xff", 'home = "\\u0000"'])
def test_a_note_that_says_nothing_that_can_be_meant_is_no_note(here: Path, text: str) -> None:
    (here / address.NOTE_FILE).write_text(text, encoding="latin-1")
    assert address.of_study("small", None, None) == Address("small.orch")


@pytest.mark.parametrize("url", ["postgresql://ada:hunter2@db.example/lab", "mysql://ada:hunter2@db.example/lab"])
def test_a_home_that_is_not_on_drive_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError, match="is not on Google Drive") as refusal:
        address.drive_folder(url)
    assert "hunter2" not in str(refusal.value)
