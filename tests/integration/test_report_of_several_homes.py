"""`orch report HOME HOME ...`: one report of several studies, and what is said of a home that cannot be read."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.home import Home
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.finished_homes import Made, finish
from tests.support.processes import orch, orch_undrawn, refused

Finished = Callable[[str, str], Home]


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    """A home in a directory with a study of a name, of which all is done."""

    def make(directory: str, name: str) -> Home:
        study = Study.parse(SMALL.replace('name = "small"', f'name = "{name}"'))
        home = Home.open(publish(study, tmp_path / directory, None).home)
        finish(home, tmp_path)
        return home

    return make


def test_two_homes_stand_in_one_report(finished: Finished, tmp_path: Path) -> None:
    for name in ("first", "second"):
        finished(name, name)

    done = orch_undrawn("report", "first", "second", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    out = tmp_path / "orch-report"
    page = (out / "report.html").read_text()
    assert "<h1>first and second</h1>" in page and "The studies, side by side" in page
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert {(row["study"], row["model"]) for row in rows} == {
        ("first", "alexnet-tiny (first)"),
        ("second", "alexnet-tiny (second)"),
    }
    told = json.loads((out / "results.json").read_text())
    assert {row["study"] for row in told["rows"]} == {"first", "second"} and len(told["studies"]) == 2
    assert not (tmp_path / "first" / "report").exists(), "nothing is written into a home"
    assert f"The page: {out / 'report.html'}" in done.stdout.replace("\n", "")
    text = (out / "results.md").read_text()
    assert "0 images only alexnet-tiny (second) gets right, 0 only alexnet-tiny (first), p = 1." in text


def test_studies_of_one_name_are_numbered(finished: Finished, tmp_path: Path) -> None:
    for name in ("one", "two"):
        finished(name, "same")

    told = json.loads(orch("report", "one", "two", "--json", cwd=tmp_path).stdout)

    assert told["study"] == "same #1 and same #2"
    assert not (tmp_path / "orch-report").exists()


def test_a_home_that_cannot_be_read_is_told_and_the_others_are_reported(finished: Finished, tmp_path: Path) -> None:
    for name in ("first", "second"):
        finished(name, name)

    done = orch_undrawn("report", "first", "absent", "second", cwd=tmp_path)

    told = refused(done, 4)
    assert "The report is without 1 of 3 homes. absent: There is no home at" in told
    page = (tmp_path / "orch-report" / "report.html").read_text()
    assert "first and second" in page and "Not in this report: absent." in page


def test_if_no_home_can_be_read_nothing_is_written(tmp_path: Path) -> None:
    assert "There is no home at" in refused(orch("report", "one", "two", cwd=tmp_path), 4)
    assert not (tmp_path / "orch-report").exists()


def test_a_home_that_is_given_twice_is_refused(finished: Finished, tmp_path: Path) -> None:
    finished("first", "first")

    assert "./first is given twice" in refused(orch("report", "first", "./first", cwd=tmp_path), 2)


def test_one_home_may_be_given_by_name_and_is_reported_into_itself(finished: Finished, tmp_path: Path) -> None:
    finished("first", "first")

    assert orch_undrawn("report", "first", cwd=tmp_path).returncode == 0
    assert (tmp_path / "first" / "report" / "report.html").exists()


def test_homes_are_given_in_one_way_only(tmp_path: Path) -> None:
    assert "Give the homes either" in refused(orch("report", "a", "b", "--home", "c", cwd=tmp_path), 2)


def test_homes_of_every_kind_stand_beside_one_in_a_directory(
    any_home: Made, finished: Finished, tmp_path: Path
) -> None:
    other = any_home.plan(Study.parse(SMALL))
    finish(other, tmp_path)
    finished("first", "first")
    _, url, *artifacts = any_home.options(other)

    done = orch_undrawn("report", "first", url, *artifacts, "--json", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {row["study"] for row in told["rows"]} == {"first", "small"}
    assert len({row["test_set"] for row in told["rows"]}) == 1
