"""What somebody has computed is not undone before a person has said so."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.home import Home
from orchestrator.jobs import (
    Checkpoint,
    JobState,
    Lease,
    WorkerInfo,
)
from orchestrator.jobtable import WorkAtStake
from orchestrator.planning import publishing
from orchestrator.planning.planner import Plan, make_plan
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.done_jobs import finish, kept
from tests.support.processes import PATIENCE_SECONDS, orch, refused

FIRST = "alexnet-tiny/seed0/train/r00.s0"
STUDY = SMALL.replace("seconds = 5\n", "")
EDITED = STUDY.replace("epochs = 2", "epochs = 3")
"""Another length of the training: every job is another."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory from which a study was planned, and then edited."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "study.toml").write_text(STUDY)
    assert orch("plan", cwd=place).returncode == 0
    (place / "study.toml").write_text(EDITED)
    return place


def home_of(place: Path) -> Home:
    return Home.open(place / "small.orch")


def claimed(place: Path) -> Lease:
    lease = home_of(place).jobs.claim(WorkerInfo("worker"))
    assert lease is not None
    return lease


def on_a_terminal(*command: str, cwd: Path, answer: str) -> tuple[int, str]:
    """Run `orch` with a terminal on which a person answers; exit code, and what the terminal shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("orch")), *command],
        cwd=cwd,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = ""
        while "Go on? [y/N]" not in shown:
            shown += os.read(ours, 1000).decode()
        os.write(ours, f"{answer}\n".encode())
        assert process.stdout is not None
        printed = process.stdout.read().decode()
        return process.wait(PATIENCE_SECONDS), shown + printed


def test_a_copied_project_is_planned_into_a_home_of_its_own(place: Path) -> None:
    lease = claimed(place)
    variant = place.with_name("variant")
    shutil.copytree(place, variant)
    assert orch("plan", "--yes", cwd=variant).returncode == 0
    home_of(place).jobs.renew(lease)  # raises LeaseLost if the job was cancelled
    assert {job.spec["training"]["total_steps"] for job in home_of(place).jobs.jobs() if job.name == FIRST} == {12}
    assert json.loads(orch("status", "--json", cwd=variant).stdout)["home"] == str(variant / "small.orch")


def test_a_plan_that_cancels_running_jobs_names_them_and_wants_yes(place: Path) -> None:
    lease = claimed(place)
    files = sorted((place / "small.orch").rglob("*"))
    sentence = refused(orch("plan", cwd=place), 2)
    assert f"cancels 1 job under way ({FIRST})" in sentence and "--yes" in sentence
    home_of(place).jobs.renew(lease)
    assert sorted((place / "small.orch").rglob("*")) == files, "nothing is put into the home before"
    assert orch("plan", "--yes", cwd=place).returncode == 0
    assert home_of(place).jobs.attempts(lease.job)[0].outcome == "cancelled"


def test_a_plan_that_sets_done_jobs_aside_names_some_of_them_and_wants_yes(place: Path) -> None:
    finish(home_of(place))
    sentence = refused(orch("plan", cwd=place), 2)
    assert "sets aside 8 done jobs (alexnet-tiny/seed0/benchmark/float16, " in sentence and "5 more" in sentence
    assert json.loads(orch("status", "--json", cwd=place).stdout)["jobs"]["done"] == 8
    assert orch("plan", "--yes", cwd=place).returncode == 0
    (place / "study.toml").write_text(STUDY)
    assert "(0 added, 8 kept, 10 cancelled)" in orch("plan", cwd=place).stdout


def test_a_job_that_was_given_back_half_way_is_under_way_too(place: Path) -> None:
    home, lease = home_of(place), claimed(place)
    home.jobs.renew(lease, checkpoint=Checkpoint(2, kept(home, "half of it")))
    home.jobs.release(lease)
    assert FIRST in refused(orch("plan", cwd=place), 2)


def test_a_plan_that_undoes_nothing_asks_nothing(place: Path) -> None:
    done = orch("plan", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "8 cancelled" in done.stdout


@pytest.mark.parametrize(("answer", "code", "state"), [("", 1, "running"), ("y", 0, "cancelled")])
def test_a_terminals_person_is_asked(place: Path, answer: str, code: int, state: str) -> None:
    lease = claimed(place)
    ended, shown = on_a_terminal("plan", cwd=place, answer=answer)
    assert ended == code, shown
    assert FIRST in shown
    assert home_of(place).jobs.job(lease.job).state == state


def test_a_dry_run_says_what_would_change_and_changes_nothing(place: Path) -> None:
    lease = claimed(place)
    done = orch("plan", "--dry-run", cwd=place)
    assert done.returncode == 0
    assert "(10 added, 0 kept, 8 cancelled); nothing was changed" in done.stdout
    assert f"cancels 1 job under way ({FIRST})" in done.stderr
    told = json.loads(orch("plan", "--dry-run", "--json", cwd=place).stdout)
    assert told["change"]["interrupted"] == [FIRST] and told["home"] == str(place / "small.orch")
    home_of(place).jobs.renew(lease)


def test_a_dry_run_tells_of_the_study_though_the_home_cannot_be_reached(place: Path) -> None:
    nobody = "postgresql://127.0.0.1:1/lab"
    done = orch("plan", "--dry-run", "--home", nobody, "--artifacts", "files", cwd=place)
    assert done.returncode == 0 and "would be 10 jobs" in done.stdout
    assert "Warning: What would change in the home is not known" in done.stderr


def test_another_study_is_refused_before_any_of_its_data_is_put_into_the_home(place: Path) -> None:
    files = sorted((place / "small.orch").rglob("*"))
    (place / "study.toml").write_text(STUDY.replace('"small"', '"other"').replace("shards = 2", "shards = 4"))
    assert "holds the study 'small'" in refused(orch("plan", "--home", "small.orch", cwd=place), 2)
    assert sorted((place / "small.orch").rglob("*")) == files


def test_cancelling_a_job_under_way_wants_yes_and_one_that_waits_does_not(place: Path) -> None:
    lease = claimed(place)
    sentence = refused(orch("cancel", FIRST, cwd=place), 2)
    assert f"cancels 8 jobs, among them 1 job under way ({FIRST})" in sentence
    home_of(place).jobs.renew(lease)
    assert "Cancelled 7 jobs." in orch("cancel", "alexnet-tiny/seed0/train/r00.s1", cwd=place).stdout
    assert "Cancelled 1 job." in orch("cancel", FIRST, "--yes", cwd=place).stdout
    assert home_of(place).jobs.job(lease.job).state is JobState.CANCELLED


def test_a_job_that_began_while_nobody_was_asked_is_not_cancelled(tmp_path: Path) -> None:
    """Between the look at the home and the plan, the upload of the shards may take minutes."""
    home = Home.open(publishing.publish(Study.parse(STUDY), tmp_path / "home", None).home)
    edited = make_plan(Study.parse(EDITED).with_lease_seconds(60))
    assert not home.jobs.preview(edited).disturbs
    lease = home.jobs.claim(WorkerInfo("worker"))
    assert lease is not None
    with pytest.raises(WorkAtStake, match="plan again"):
        home.jobs.publish(edited, cautious=True)
    home.jobs.renew(lease)
    assert home.jobs.preview(edited).interrupted == (FIRST,)


def test_what_a_plan_would_do_is_what_it_does(small_plan: Plan, tmp_path: Path) -> None:
    home = Home.create(tmp_path / "home")
    for plan in (small_plan, make_plan(Study.parse(EDITED).with_lease_seconds(60)), small_plan, small_plan):
        foreseen = home.jobs.preview(plan)
        assert home.jobs.publish(plan) == foreseen
