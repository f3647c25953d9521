"""What the cells of the coordinator's notebook do, without a notebook around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator import address
from orchestrator.address import Address
from orchestrator.coordinator_notebook import actions, home_choice
from orchestrator.errors import HomeError, UsageError
from orchestrator.home import Home
from tests.support.done_jobs import finish

FOLDER = f"gdrive://{'A' * 33}"
FORM = {"home": "home", "preset": "tiny", "dataset": "synthetic", "methods": "float32", "workers_on": "colab"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebook's working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCH_HOME", raising=False)
    return tmp_path


def planned(**form: Any) -> None:
    actions.plan({**FORM, "models": "alexnet-tiny", **form})


def test_a_new_folder_is_asked_for_once_and_the_study_stays_in_it() -> None:
    assert home_choice.for_planning("gdrive:", "tiny") == Address("gdrive:")
    address.remember("tiny", Address(FOLDER))
    assert home_choice.for_planning(" gdrive: ", "tiny") == Address(FOLDER)
    assert home_choice.for_looking("gdrive:") == Address(FOLDER)
    assert home_choice.for_planning("gdrive:", "strong") == Address("gdrive:"), "another study has a folder of its own"
    assert home_choice.for_planning("home", "tiny") == Address("home")


def test_before_anything_is_planned_on_drive_there_is_nothing_to_look_at() -> None:
    with pytest.raises(HomeError, match="run the second cell"):
        home_choice.for_looking("gdrive:")
    address.remember("tiny", Address("home"))
    with pytest.raises(HomeError, match="run the second cell"):
        home_choice.for_looking("gdrive:")


@pytest.mark.parametrize(
    ("home", "told"),
    [
        (None, "HOME names no place"),
        (5, "HOME names no place"),
        (" ", "HOME names no place"),
        ("a\x1b[2Jb", "HOME names no place"),
        ("gdrive://<script>", "is no folder's id"),
        ("postgresql://ann:secret@host/db", "HOME is postgresql://ann@host/db; orch plan"),
        ("azure://secret/x", r"HOME is azure://\.\.\.; orch plan"),
    ],
)
def test_a_home_that_is_none_is_refused_without_its_password(home: object, told: str) -> None:
    for choose in (home_choice.for_looking, lambda home: home_choice.for_planning(home, "tiny")):
        with pytest.raises(UsageError, match=told) as refused:
            choose(home)
        assert "secret" not in str(refused.value)


def test_a_changed_plan_undoes_what_is_done_only_where_the_form_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    planned()
    finish(Home.open("home"), 1)
    with pytest.raises(UsageError, match=r"sets aside .* Nothing was changed; set REPLACE"):
        planned(models="vit-tiny")
    for not_true in (False, "True", 1):
        with pytest.raises(UsageError, match="Nothing was changed"):
            planned(models="vit-tiny", replace=not_true)
    assert 'architecture = "alexnet-tiny"' in actions.STUDY_FILE.read_text()
    planned(models="vit-tiny", replace=True)
    assert "cancelled" in capsys.readouterr().out
    assert 'architecture = "vit-tiny"' in actions.STUDY_FILE.read_text()


def test_planned_twice_nothing_changes(capsys: pytest.CaptureFixture[str]) -> None:
    planned()
    jobs = Home.open("home").jobs.jobs()
    planned()
    assert Home.open("home").jobs.jobs() == jobs
    assert "0 added" in capsys.readouterr().out


@pytest.mark.parametrize("service", [None, 5, "moon", "<script>"])
def test_workers_are_started_on_services_that_there_are(service: object) -> None:
    with pytest.raises(UsageError, match="workers can be started on colab, kaggle, shell"):
        planned(workers_on=service)
    assert not Path("home").exists()
