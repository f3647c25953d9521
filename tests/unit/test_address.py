"""Which home a command means, and what is noted of it: never a password."""

from __future__ import annotations

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


def test_a_directory_is_left_alone_by_artifacts_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_ARTIFACTS", "/environment")
    assert address.known("directory", None) == Address("directory")


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
