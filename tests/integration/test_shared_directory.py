"""A home that several people of a group share: everybody can do everything in every order, or is told why not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest

from tests.conftest import SMALL
from tests.support.people import ANN, BEN, LAB, Done, People, Person, people_in_a_shared_directory
from tests.support.preloaded import Preloaded
from tests.support.processes import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run commands as two users")

STUDY = SMALL.replace("seconds = 5\n", "").replace("epochs = 2", "epochs = 20")
JOB = "alexnet-tiny/seed0/train/r19.s1"
WORKER = """
from orchestrator.home import Home
from tests.support.done_jobs import finish
home = Home.open("small.orch")
assert finish(home, 1) == 1
home.jobs.close()
"""
DEATH = """
import os
from orchestrator.home import Home
home = Home.open("small.orch")
home.jobs.overview()
os._exit(0)
"""
"""A reader that closes nothing: SQLite's two files beside the table stay."""
WATCH = """
import os, pathlib, time
from orchestrator.home import Home
if os.fork() == 0:
    home = Home.open("small.orch")
    home.jobs.overview()
    pathlib.Path("open").touch()
    while pathlib.Path("open").exists():
        time.sleep(0.01)
    home.jobs.close()
"""
DEEDS = {
    "plan": ("plan",),
    "status": ("status",),
    "report": ("report",),
    "gc": ("gc",),
    "cancel": ("cancel", JOB),
    "worker": WORKER,
    "death": DEATH,
}
QUICK = ("plan", "status", "worker", "death")


@pytest.fixture(scope="module")
def machine() -> Iterator[Preloaded]:
    with closing(Preloaded()) as machine:
        yield machine


@pytest.fixture
def people(machine: Preloaded) -> Iterator[People]:
    with people_in_a_shared_directory(machine) as people:
        (people.place / "study.toml").write_text(STUDY)
        (people.place / "study.toml").chmod(0o664)
        yield people


def done(people: People, person: Person, deed: str) -> Done:
    what = DEEDS[deed]
    return people.python(person, what) if isinstance(what, str) else people.orch(person, *what)


def well(told: Done) -> str:
    assert told.code == 0, told.printed
    return told.printed


def below(directory: Path) -> list[Path]:
    return sorted([directory, *directory.rglob("*")])


@pytest.mark.slow
def test_two_people_of_a_group_work_on_one_home_in_every_order_of_commands(people: People) -> None:
    well(people.orch(ANN, "plan"))
    for before, after in [*product(QUICK, QUICK), *pairwise((*DEEDS, "plan"))]:
        for first, second in ((ANN, BEN), (BEN, ANN)):
            for person, deed in ((first, before), (second, after)):
                told = done(people, person, deed)
                assert told.code == 0, f"{deed} after {before}: {told.printed}"


def test_what_is_made_belongs_to_the_group_which_may_write_it(people: People) -> None:
    well(people.orch(ANN, "plan"))
    for deed in ("worker", "report", "death"):
        well(done(people, BEN, deed))
    made = [*below(people.place / "small.orch"), people.place / ".orch.toml"]
    assert any(path.name == "jobs.db-wal" for path in made) and any(path.name == "report.html" for path in made)
    for path in made:
        found = path.stat()
        assert found.st_gid == LAB, path
        assert found.st_mode & stat.S_IWGRP, path
        assert found.st_mode & stat.S_ISGID or not path.is_dir(), path


def test_what_another_puts_into_a_home_is_its_groups_though_the_directory_above_says_nothing(
    machine: Preloaded,
) -> None:
    with people_in_a_shared_directory(machine, 0o777) as people:
        (people.place / "study.toml").write_text(STUDY)
        well(people.orch(replace(ANN, group=LAB), "plan"))
        well(done(people, BEN, "death"))
        assert {path.stat().st_gid for path in below(people.place / "small.orch")} == {LAB}
        well(people.orch(ANN, "plan"))


@pytest.mark.parametrize("deed", ["status", "plan", "report", "cancel", "death"])
def test_a_member_who_may_not_write_is_told_so_and_leaves_nothing_in_the_owners_way(people: People, deed: str) -> None:
    alone = replace(ANN, umask=0o022)
    well(people.orch(alone, "plan"))
    files = below(people.place)
    told = done(people, BEN, deed)
    assert f"ask user {ANN.number} for the right to write {people.place / 'small.orch'}" in told.printed
    if deed != "death":
        assert (told.code, len(told.printed.splitlines())) == (4, 1)
    assert below(people.place) == files
    well(people.orch(alone, "status"))


def test_a_table_that_only_its_owner_may_write_is_not_opened_by_others_of_its_directory(people: People) -> None:
    """As the homes of older Orchs are: the directory is the group's, the table has SQLite's own mode."""
    well(people.orch(ANN, "plan"))
    (people.place / "small.orch" / "jobs.db").chmod(0o644)
    files = below(people.place)
    told = people.orch(BEN, "status")
    assert told.code == 4 and "SQLite writes even to read" in told.printed
    assert below(people.place) == files
    well(people.orch(ANN, "plan"))


def test_files_that_somebody_left_and_nobody_else_may_write_are_named_with_their_owner(people: People) -> None:
    well(people.orch(ANN, "plan"))
    well(done(people, BEN, "death"))
    left = people.place / "small.orch" / "jobs.db-shm"
    left.chmod(0o644)
    told = people.orch(ANN, "status")
    assert told.code == 4 and f"{left} belongs to user {BEN.number}" in told.printed


def test_who_may_only_read_sees_a_study_while_it_is_worked_on(people: People) -> None:
    """SQLite's files are there then; nothing has to be made."""
    alone = replace(ANN, umask=0o022)
    well(people.orch(alone, "plan"))
    well(people.python(alone, WATCH))
    try:
        wait_until((people.place / "open").exists, "the watcher opens the home")
        assert "0 of" in well(people.orch(BEN, "status"))
        told = people.orch(BEN, "cancel", JOB)
        assert told.code == 4 and "for the right to write it" in told.printed
    finally:
        (people.place / "open").unlink(missing_ok=True)
