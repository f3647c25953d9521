"""`orch` as a person uses it: what it prints, what it ends with, and that bad input damages nothing."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from orchestrator.home import Home
from orchestrator.jobtable.backends import sqlite
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.jobtable.schema import tables
from tests.conftest import SMALL
from tests.support.cifar10_batches import write_batches
from tests.support.processes import orch, orch_undrawn, refused


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(SMALL)
    return tmp_path


def test_help_names_every_command(tmp_path: Path) -> None:
    told = orch("--help", cwd=tmp_path)
    assert told.returncode == 0
    for command in ("init", "plan", "worker", "status", "report", "logs", "retry", "cancel", "demo"):
        assert f" {command} " in told.stdout


@pytest.mark.parametrize("command", ["init", "plan", "worker", "status", "report", "logs", "retry", "cancel", "demo"])
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    told = orch(command, "--help", cwd=tmp_path)
    assert told.returncode == 0
    assert "Usage:" in told.stdout and "--help" in told.stdout


def test_without_a_command_it_says_what_is_next_in_this_directory(tmp_path: Path) -> None:
    def told() -> str:
        said = orch(cwd=tmp_path)
        assert said.returncode == 0
        assert len(said.stdout.splitlines()) <= 5
        return said.stdout

    assert "orch init" in told()
    (tmp_path / "study.toml").write_text(SMALL)
    assert "orch plan study.toml" in told()
    assert orch("plan", cwd=tmp_path).returncode == 0
    assert "orch worker" in told()


def test_importing_the_command_line_loads_no_tensorflow() -> None:
    script = "import sys, orchestrator.cli; print(sorted({'tensorflow', 'keras', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def test_planning_and_reporting_load_no_tensorflow() -> None:
    script = (
        "import sys, orchestrator.planning.publishing, orchestrator.commands.report, orchestrator.commands.demo; "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def test_init_then_plan_then_status(tmp_path: Path) -> None:
    assert orch("init", "--preset", "tiny", cwd=tmp_path).returncode == 0
    study = tmp_path / "study.toml"
    study.write_text(study.read_text().replace('"cifar10"', '"synthetic"').replace("train_images = 20000 ", ""))
    study.write_text(study.read_text().replace("test_images = 2000", "test_images = 500"))
    planned = orch("plan", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "20 jobs over 2 shards (20 added, 0 kept)" in planned.stdout
    told = orch("status", cwd=tmp_path)
    assert "0 of 20 jobs done" in told.stdout and "vit-tiny" in told.stdout


def test_init_does_not_write_over_a_study(place: Path) -> None:
    assert "exists already" in refused(orch("init", cwd=place), 2)
    assert (place / "study.toml").read_text() == SMALL
    assert orch("init", "--force", cwd=place).returncode == 0


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_full_disk_leaves_no_half_of_a_study_file(tmp_path: Path, force: tuple[str, ...]) -> None:
    """The kernel refuses files over 100 bytes: what a full disk does to a study of a thousand."""
    study = tmp_path / "study.toml"
    if force:
        study.write_text(SMALL)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("orch")), "init", *force],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert "cannot be written" in refused(done, 2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_init_makes_no_directory_that_was_mistyped(tmp_path: Path) -> None:
    assert "No such file or directory" in refused(orch("init", "stduies/study.toml", cwd=tmp_path), 2)
    assert list(tmp_path.iterdir()) == []


def test_init_writes_what_a_link_leads_to_and_nothing_over_a_device(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(SMALL)
    (tmp_path / "study.toml").symlink_to("real.toml")
    assert orch("init", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "study.toml").is_symlink() and "tiny" in (tmp_path / "real.toml").read_text()
    os.mkfifo(tmp_path / "pipe")
    assert "no file" in refused(orch("init", "pipe", "--force", cwd=tmp_path), 2)


def test_status_as_json_has_the_promised_shape(place: Path) -> None:
    orch("plan", cwd=place)
    told = json.loads(orch("status", "--json", cwd=place).stdout)
    assert {"study", "home", "jobs", "models", "workers", "eta_seconds"} <= told.keys()
    assert told["jobs"] == {
        "total": 8, "blocked": 7, "ready": 1, "running": 0, "done": 0, "quarantined": 0, "cancelled": 0,
    }  # fmt: skip
    (model,) = told["models"]
    assert {"name", "step", "steps", "loss", "eta_seconds"} <= model.keys()


def test_plan_as_json_says_what_changed_and_a_dry_run_changes_nothing(place: Path) -> None:
    told = json.loads(orch("plan", "--dry-run", "--json", cwd=place).stdout)
    assert (told["jobs"], told["change"]) == (8, None)
    assert sorted(path.name for path in place.iterdir()) == ["study.toml"]
    told = json.loads(orch("plan", "--json", cwd=place).stdout)
    undisturbed = {"cancelled": 0, "interrupted": [], "set_aside": []}
    assert told["change"] == {"added": 8, "kept": 0, "revived": 0, **undisturbed}
    told = json.loads(orch("plan", "--json", cwd=place).stdout)
    assert told["change"] == {"added": 0, "kept": 8, "revived": 0, **undisturbed}


def test_a_lease_that_is_short_for_its_home_is_told(place: Path) -> None:
    for done in (orch("plan", "--dry-run", cwd=place), orch("plan", cwd=place), orch("plan", "--dry-run", cwd=place)):
        assert done.returncode == 0
    assert "Warning: A lease of 5 s is short for" in done.stderr and "for 60 s, or give 30 or more" in done.stderr
    (place / "study.toml").write_text(SMALL.replace("seconds = 5\n", ""))
    assert orch("plan", cwd=place).stderr == ""
    home = Home.open(place / "small.orch")
    study = home.jobs.study()
    assert study is not None and study.document["leases"]["seconds"] == home.leases.usual == 60
    assert home.leases.least >= 3 * sqlite.BUSY_SECONDS, "two renewals may fail"


def test_report_before_any_benchmark_says_so_and_as_json_is_empty(place: Path) -> None:
    orch("plan", cwd=place)
    told = json.loads(orch("report", "--json", cwd=place).stdout)
    assert (told["study"], told["rows"], told["history"]["attempts"]) == ("small", [], 0)
    assert orch_undrawn("report", cwd=place).returncode == 0
    assert (place / "small.orch" / "report" / "report.html").is_file()


def test_cancel_then_plan_brings_the_jobs_back(place: Path) -> None:
    orch("plan", cwd=place)
    assert "Cancelled 8 jobs." in orch("cancel", "alexnet-tiny/seed0/train/r00.s0", cwd=place).stdout
    assert "8 asked for again" in orch("plan", cwd=place).stdout


def test_logs_of_a_job_nobody_has_claimed(place: Path) -> None:
    orch("plan", cwd=place)
    told = orch("logs", "alexnet-tiny/seed0/train/r00.s0", cwd=place)
    assert told.returncode == 0 and "ready" in told.stdout


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("shards = 2", "shard = 2", "unknown key 'shard'; did you mean 'shards'"),
        ("shards = 2", 'shards = "2"', "shards = '2' is not allowed"),
        ("shards = 2", "shards = 0", "shards = 0 is not allowed"),
        ("shards = 2", "shards = 300", "use fewer shards"),
        ('"alexnet-tiny"', '"alexnet-huge"', "'alexnet-huge' is not allowed"),
        ('"float16"', '"float8"', "'float8' is not allowed"),
        ("batch_sizes = [1]", "batch_sizes = [[1]]", "benchmark.batch_sizes[0]"),
        ("seconds = 5", "seconds = inf", "leases.seconds"),
        ('"synthetic"', '"npz:none.npz"', "none.npz"),
    ],
)
def test_a_wrong_study_is_refused_and_no_home_is_made(place: Path, old: str, new: str, names: str) -> None:
    (place / "study.toml").write_text(SMALL.replace(old, new))
    assert names in refused(orch("plan", cwd=place), 2)
    assert sorted(path.name for path in place.iterdir()) == ["study.toml"]


def test_a_wrong_study_leaves_the_home_as_it_was(place: Path) -> None:
    orch("plan", cwd=place)
    before = orch("status", "--json", "--jobs", cwd=place).stdout
    (place / "study.toml").write_text(SMALL.replace("shards = 2", "shards = 0"))
    refused(orch("plan", cwd=place), 2)
    after = orch("status", "--json", "--jobs", cwd=place).stdout
    assert {**json.loads(after), "now": 0} == {**json.loads(before), "now": 0}


@pytest.mark.parametrize("command", [("status",), ("report",), ("logs", "x"), ("retry", "x"), ("cancel", "x")])
def test_a_home_that_does_not_exist_is_told_with_what_to_do(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "orch plan" in refused(orch(*command, cwd=tmp_path), 4)
    assert "orch plan" in refused(orch(*command, "--home", "nowhere.orch", cwd=tmp_path), 4)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_without_a_home_ends_with_4(tmp_path: Path) -> None:
    assert "orch plan" in refused(orch("worker", "--home", "nowhere.orch", cwd=tmp_path), 4)


def test_a_home_of_a_newer_schema_is_refused_and_left_alone(place: Path) -> None:
    orch("plan", cwd=place)
    database = place / "small.orch" / "jobs.db"
    newer = update(tables.study).values(schema_version=tables.VERSION + 1)
    with closing(SqliteBackend(database)) as opened:
        opened.transact(lambda connection: connection.execute(newer))
    for command in ("status", "plan", "worker"):
        assert "upgrade Orch" in refused(orch(command, cwd=place), 4)


def test_a_home_on_a_service_of_a_later_version_is_told(place: Path) -> None:
    assert "azure" in refused(orch("plan", "--home", "azure://bucket/study", cwd=place), 2)


def test_a_plan_that_was_killed_before_its_tables_were_made_is_planned_again(place: Path) -> None:
    (place / "small.orch").mkdir()
    (place / "small.orch" / "jobs.db").touch()
    assert "orch plan" in refused(orch("status", "--home", "small.orch", cwd=place), 4)
    assert orch("plan", cwd=place).returncode == 0


def test_a_shard_that_is_gone_is_made_again_by_planning_again(place: Path) -> None:
    orch("plan", cwd=place)
    home = Home.open(place / "small.orch")
    shard = next(iter(home.jobs.data().values()))
    home.artifacts.delete(shard)
    assert orch("plan", cwd=place).returncode == 0
    home.artifacts.fetch(shard, place / "shard")


def test_planning_again_finds_the_home_that_was_named_before(place: Path) -> None:
    orch("plan", "--home", "elsewhere", cwd=place)
    assert json.loads(orch("plan", "--json", cwd=place).stdout)["change"]["kept"] == 8
    assert not (place / "small.orch").exists()


def test_a_home_that_no_path_can_name_is_told(place: Path) -> None:
    assert "cannot be" in refused(orch("status", "--home", "x" * 300, cwd=place), 4)


def test_a_worker_name_that_is_no_name_is_told(place: Path) -> None:
    orch("plan", cwd=place)
    assert "cannot be called" in refused(orch("worker", "--name", "my/worker", cwd=place), 2)


def test_an_unknown_job_is_told(place: Path) -> None:
    orch("plan", cwd=place)
    assert "'nothing' is no job of this study" in refused(orch("retry", "nothing", cwd=place), 2)


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    told = orch("status", "--debug", cwd=tmp_path)
    assert told.returncode == 1 and "Traceback" in told.stderr


def test_a_second_study_does_not_move_into_a_home_that_is_taken(place: Path) -> None:
    orch("plan", "--home", "home", cwd=place)
    (place / "study.toml").write_text(SMALL.replace('"small"', '"other"'))
    assert "holds the study 'small'" in refused(orch("plan", "--home", "home", cwd=place), 2)


def test_two_plans_at_once_make_one_plan(place: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        runs = list(threads.map(lambda _: orch("plan", "--json", cwd=place), range(2)))
    assert [run.returncode for run in runs] == [0] * 2, [run.stderr for run in runs]
    changes = [json.loads(run.stdout)["change"] for run in runs]
    assert sum(change["added"] for change in changes) == 8
    assert sum(change["kept"] for change in changes) == 8
    jobs = Home.open(place / "small.orch").jobs.jobs()
    assert len(jobs) == len({job.id for job in jobs}) == 8


def own_data(place: Path, **changes: np.ndarray) -> None:
    """A study of a person's own images, 60 of three classes."""
    labels = np.arange(60) % 3
    images = np.full((60, 8, 8, 3), 200, np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels, **changes}
    np.savez(place / "mine.npz", **arrays)  # type: ignore[arg-type]
    study = SMALL.replace('"synthetic"', '"npz:mine.npz"').replace("train_images = 400\ntest_images = 100\n", "")
    (place / "study.toml").write_text(study.replace("seconds = 5\n", ""))


def test_images_that_cannot_be_trained_on_are_refused_in_a_sentence_about_them(place: Path) -> None:
    own_data(place, x_train=np.zeros((60, 3, 8, 8), np.uint8))
    assert "channels seem to come first" in refused(orch("plan", cwd=place), 2)
    own_data(place, y_train=np.array([1_500_000_000, *range(59)]))
    assert "more than the 60 training images" in refused(orch("plan", cwd=place), 2)
    small = np.full((60, 5, 5, 3), 200, np.uint8)
    own_data(place, x_train=small, x_test=small)
    assert "alexnet-tiny needs images of at least 7x7 pixels" in refused(orch("plan", cwd=place), 2)
    assert not (place / "small.orch").exists()


def test_what_is_strange_about_a_persons_data_is_told_by_plan_and_by_every_report(place: Path) -> None:
    own_data(place, y_train=1 + np.arange(60) % 3, y_test=1 + np.arange(60) % 3)
    for done in (orch("plan", "--dry-run", cwd=place), orch("plan", cwd=place)):
        assert done.returncode == 0 and "Warning: No image has the label 0" in done.stderr
    assert "the labels seem to count from 1" in " ".join(orch_undrawn("report", cwd=place).stdout.split())
    own_data(place)
    assert orch("plan", "--yes", cwd=place).stderr == ""
    assert "count from 1" not in " ".join(orch_undrawn("report", cwd=place).stdout.split())


TAKEN_FOR_OFFICIAL = """
import json, sys
from models.datasets import cifar10
from orchestrator import cli
cifar10.BATCH_MD5 = json.loads(sys.argv.pop(1))
cli.main()
"""


def test_a_damaged_batch_is_named_and_no_home_is_made(place: Path) -> None:
    (place / "study.toml").write_text(SMALL.replace('"synthetic"', '"cifar10"'))
    digests = json.dumps(write_batches(place / "batches", images=100))
    command = [sys.executable, "-P", "-c", TAKEN_FOR_OFFICIAL, digests, "plan", "--data", str(place / "batches")]
    plan = partial(subprocess.run, command, cwd=place, capture_output=True, text=True)
    batch = place / "batches" / "data_batch_3"
    whole = batch.read_bytes()
    for damaged in (whole[:100_000], whole[:-5_000] + bytes(4) + whole[-4_996:]):
        batch.write_bytes(damaged)
        assert "data_batch_3" in refused(plan(), 1)
        assert not (place / "small.orch").exists()
    batch.write_bytes(whole)
    assert plan().returncode == 0


def test_a_data_set_that_cannot_be_had_is_one_sentence_with_what_to_do(place: Path) -> None:
    """No directory, no Keras cache, and a proxy that refuses: a machine without the data and without a network."""
    (place / "study.toml").write_text(SMALL.replace('"synthetic"', '"cifar10"'))
    environment = {name: value for name, value in os.environ.items() if name != "ORCH_DATA"}
    nowhere = {"HOME": str(place / "home"), "KERAS_HOME": str(place / "keras"), "XDG_CACHE_HOME": str(place / "cache")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("orch")), "plan"],
        cwd=place,
        env={**environment, **nowhere, "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
    )
    assert "ORCH_DATA" in refused(done, 1)
    assert not (place / "small.orch").exists()


def test_a_full_disk_while_shards_are_written_is_told_and_planning_again_mends_it(place: Path) -> None:
    """The kernel refuses files over 300 kB: what a full disk does to a shard of 600 kB."""

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    done = subprocess.run(
        [str(Path(sys.executable).with_name("orch")), "plan"],
        cwd=place,
        env={**os.environ, "TMPDIR": "/dev/shm"} if Path("/dev/shm").is_dir() else None,
        capture_output=True,
        text=True,
        preexec_fn=small_files_only,
    )
    assert "could not be" in refused(done, 1)
    assert orch("plan", cwd=place).returncode == 0
    home = Home.open(place / "small.orch")
    for artifact in home.jobs.data().values():
        home.artifacts.fetch(artifact, place / "checked")
