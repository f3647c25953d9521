"""A home on PostgreSQL as a person uses it: jobs in a database, files in a directory, and no password anywhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from orchestrator.errors import HomeError, UsageError
from orchestrator.home import Home
from orchestrator.jobtable.backends import postgresql
from orchestrator.planning.planner import Plan
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.command_lines import unknown_words
from tests.support.postgres_server import FOUND, fresh_database, postgres_server
from tests.support.processes import orch, orch_undrawn, refused

JOB = "alexnet-tiny/seed0/train/r00.s0"
PASSWORD = "open-sesame"


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(SMALL)
    return tmp_path


def planned(database: str, files: Path) -> Home:
    publish(Study.parse(SMALL), database, None, artifacts=files)
    return Home.open(database, files)


def test_a_lease_lasts_as_long_as_a_server_takes_to_restart_unless_the_study_says_how_long(
    tmp_path: Path, database: str
) -> None:
    unsaid = Study.parse(SMALL.replace("seconds = 5\n", ""))
    told = publish(unsaid, database, None, artifacts=tmp_path / "files")
    home = Home.open(database, tmp_path / "files")
    study = home.jobs.study()
    assert study is not None and study.document["leases"]["seconds"] == home.leases.usual == 120
    assert told.warnings == ()
    told = publish(Study.parse(SMALL), database, None, artifacts=tmp_path / "files")
    assert "short for postgresql://" in told.warnings[0]
    assert home.leases.least >= 3 * postgresql._PATIENCE["tcp_user_timeout"] / 1000, "two renewals may fail"


def altered(url: str, **parts: Any) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)


def test_a_planned_home_is_found_again_by_every_command(place: Path, database: str) -> None:
    told = orch("plan", "--home", database, "--artifacts", "files", cwd=place)
    assert "8 jobs over 2 shards (8 added, 0 kept)" in told.stdout, told.stderr
    assert len([path for path in (place / "files").rglob("*") if path.is_file()]) == 3
    assert json.loads(orch("status", "--json", cwd=place).stdout)["jobs"]["ready"] == 1
    assert "ready" in orch("logs", JOB, cwd=place).stdout
    assert "Cancelled 8 jobs." in orch("cancel", JOB, cwd=place).stdout
    assert "only a quarantined job" in orch("retry", JOB, cwd=place).stderr
    assert "8 asked for again" in orch("plan", cwd=place).stdout


def test_a_report_is_written_to_where_a_directory_would_be_the_home(tmp_path: Path, database: str) -> None:
    planned(database, tmp_path / "files")
    assert orch_undrawn("report", "--home", database, "--artifacts", "files", cwd=tmp_path).returncode == 0
    assert (tmp_path / "small.orch" / "report" / "report.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "small.orch"]


def test_the_environment_names_home_and_artifacts(tmp_path: Path, database: str) -> None:
    planned(database, tmp_path / "files")
    told = orch("status", "--json", cwd=tmp_path, ORCH_HOME=database, ORCH_ARTIFACTS="files")
    assert json.loads(told.stdout)["jobs"]["total"] == 8, told.stderr


@pytest.mark.parametrize("command", ["plan", "status", "worker"])
def test_a_home_whose_files_are_nowhere_is_told_with_what_to_do(place: Path, command: str) -> None:
    told = refused(orch(command, "--home", "postgresql://127.0.0.1:1/lab", cwd=place), 2)
    assert "--artifacts" in told and "ORCH_ARTIFACTS" in told


def test_artifacts_on_a_service_of_a_later_version_are_told() -> None:
    with pytest.raises(UsageError, match="Artifacts on azure"):
        Home.open("postgresql://127.0.0.1:1/lab", "azure://bucket/prefix")


@pytest.mark.parametrize("command", ["plan", "worker", "status", "report", "logs", "retry", "cancel"])
def test_every_command_that_takes_a_home_takes_its_artifacts(command: str) -> None:
    assert not unknown_words(["orch", command, "--home", "--artifacts"])


def test_a_directory_keeps_its_own_files(place: Path) -> None:
    assert "keeps its own files" in refused(orch("plan", "--artifacts", "files", cwd=place), 2)
    assert sorted(path.name for path in place.iterdir()) == ["study.toml"]


def test_a_worker_and_a_plan_that_are_given_the_files_of_another_home_are_refused(place: Path, database: str) -> None:
    planned(database, place / "files")
    for command in ("worker", "plan"):
        told = refused(orch(command, "--home", database, "--artifacts", "others", cwd=place), 4)
        assert "None of the data" in told and str(place / "others") in told
    assert not (place / "others").exists()


def test_a_shard_that_is_gone_is_made_again_by_planning_again(tmp_path: Path, database: str) -> None:
    home = planned(database, tmp_path / "files")
    shard = next(iter(home.jobs.data().values()))
    home.artifacts.delete(shard)
    planned(database, tmp_path / "files")
    home.artifacts.fetch(shard, tmp_path / "shard")


@pytest.mark.parametrize("command", ["status", "worker"])
def test_a_database_that_nothing_was_planned_in_is_told(tmp_path: Path, database: str, command: str) -> None:
    told = refused(orch(command, "--home", database, "--artifacts", "files", cwd=tmp_path), 4)
    assert "There is no home at postgresql://" in told and "orch plan" in told


def test_a_database_that_there_is_not_is_told(place: Path, postgres: str) -> None:
    url = altered(postgres, database="nobody-made-this")
    told = refused(orch("plan", "--home", url, "--artifacts", "files", cwd=place), 4)
    assert '"nobody-made-this" does not exist' in told and "createdb" in told
    assert sorted(path.name for path in place.iterdir()) == ["study.toml"]


def test_a_server_that_is_down_is_told(place: Path) -> None:
    told = refused(orch("plan", "--home", "postgresql://127.0.0.1:1/lab", "--artifacts", "files", cwd=place), 4)
    assert "refused" in told and "check that the server is up" in told


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/lab?connect_timeout=2"
        with pytest.raises(HomeError, match="timeout expired; check that the server is up"):
            Home.open(url, tmp_path)


@pytest.mark.parametrize("option", ["colour=red", "connect_timeout=soon"])
def test_a_parameter_that_the_server_library_does_not_know_is_told(tmp_path: Path, option: str) -> None:
    with pytest.raises(HomeError, match="cannot be used") as told:
        Home.open(f"postgresql://127.0.0.1:1/lab?{option}", tmp_path)
    assert option.partition("=")[0] in str(told.value)


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    """A server whose rules of admission a test may change, with the role `locked`, which has to give a password."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(FOUND, raising=False)
        with postgres_server() as url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE ROLE guest LOGIN")
                connection.execute("CREATE ROLE one_too_many LOGIN CONNECTION LIMIT 0")
                connection.execute("CREATE ROLE reader SUPERUSER LOGIN")
                connection.execute("ALTER ROLE reader SET default_transaction_read_only = on")
                connection.execute(f"CREATE ROLE locked SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
                _admit(connection, "local all locked scram-sha-256", "local all all trust")
            yield url


def _admit(connection: psycopg.Connection[tuple[str]], *rules: str) -> None:
    row = connection.execute("SHOW hba_file").fetchone()
    assert row is not None, "SHOW answers one row"
    rows = " UNION ALL ".join(f"SELECT '{rule}'" for rule in rules)
    connection.execute(f"COPY ({rows}) TO '{row[0]}'".encode())
    connection.execute("SELECT pg_reload_conf()")


def test_garbage_is_only_what_orch_has_put_there_itself(place: Path, database: str) -> None:
    told = orch("plan", "--home", database, "--artifacts", "files", cwd=place)
    assert told.returncode == 0, told.stderr
    ours = {path for path in (place / "files").rglob("*") if path.is_file()}
    theirs = [place / "files" / name for name in ("thesis.tex", f"ab/{'ab' * 32}", "photos/1.jpg")]
    garbage = place / "files" / "orch-artifacts" / "cd" / ("cd" * 32)
    for path in (*theirs, garbage):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("years of work")
    for path in (place / "files").rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert "--only-home" in refused(orch("gc", cwd=place), 2)
    assert "Deleted 1 file " in orch("gc", "--only-home", cwd=place).stdout
    assert {path for path in (place / "files").rglob("*") if path.is_file()} == {*ours, *theirs}


def test_a_home_whose_files_lie_where_an_older_orch_has_put_them_goes_on(place: Path, database: str) -> None:
    home = planned(database, place / "files")
    for path in (place / "files" / "orch-artifacts").glob("*"):
        path.rename(place / "files" / path.name)
    home.check_artifacts()
    for number, artifact in enumerate(home.jobs.data().values()):
        home.artifacts.fetch(artifact, place / str(number))
    assert publish(Study.parse(SMALL), database, None, artifacts=place / "files").repaired == ()
    home.jobs.close()


def test_a_password_is_in_nothing_that_is_printed_or_written(place: Path, own_server: str) -> None:
    with fresh_database(altered(own_server, username="locked", password=PASSWORD)) as secret:
        first = orch("plan", "--home", secret, "--artifacts", "files", cwd=place)
        assert "PGPASSWORD" in first.stderr
        commands = (("status", "--json"), ("report",), ("logs", JOB))
        runs = [first, *(orch_undrawn(*command, "--home", secret, cwd=place) for command in commands)]
        assert [run.returncode for run in runs] == [0] * 4
        for elsewhere in (("share", "ada@example.org"), ("snippet",)):
            runs.append(orch(*elsewhere, "--home", secret, cwd=place))
            assert "locked@" in refused(runs[-1], 2)
        runs.append(orch("status", cwd=place))
        assert "give the password in PGPASSWORD" in refused(runs[-1], 4)
        assert orch("status", cwd=place, PGPASSWORD=PASSWORD).returncode == 0
    assert not [run.args for run in runs if PASSWORD in run.stdout + run.stderr]
    written = [path for path in place.rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]


def test_a_user_who_may_not_make_tables_is_told_whom_to_ask(tmp_path: Path, own_server: str) -> None:
    with pytest.raises(HomeError, match="permission denied for schema public; ask its owner"):
        Home.create(altered(own_server, username="guest"), tmp_path)


@pytest.mark.parametrize(
    ("user", "advice"),
    [
        ("one_too_many", "too many connections .*; close some of its connections"),
        ("reader", "read-only transaction; it takes no writes"),
        ("nobody_knows", 'role "nobody_knows" does not exist; make it with createuser'),
    ],
)
def test_what_keeps_a_server_from_being_used_is_told_with_what_to_do(
    tmp_path: Path, own_server: str, user: str, advice: str
) -> None:
    with pytest.raises(HomeError, match=advice):
        Home.create(altered(own_server, username=user), tmp_path)


def test_a_standby_is_told(tmp_path: Path, database: str, small_plan: Plan) -> None:
    Home.create(database, tmp_path).jobs.close()
    read_only = make_url(database).update_query_dict({"options": "-c default_transaction_read_only=on"})
    home = Home.open(read_only.render_as_string(hide_password=False), tmp_path)
    with pytest.raises(HomeError, match="read-only"):
        home.jobs.publish(small_plan)
    home.jobs.close()


def test_without_psycopg_it_is_told_what_to_install(place: Path) -> None:
    (place / "psycopg.py").write_text("raise ModuleNotFoundError('a machine without psycopg')")
    address = ("--home", "postgresql://127.0.0.1:1/lab", "--artifacts", "files")
    for command in ("plan", "status", "worker"):
        done = orch(command, *address, cwd=place, PYTHONPATH=str(place))
        assert "pip install 'orch-train[postgres]'" in refused(done, 4)


@pytest.mark.parametrize(
    ("module", "absent"),
    [("orchestrator.cli", "sqlalchemy"), ("orchestrator.home", "psycopg"), ("workers.cli", "sqlalchemy")],
)
def test_who_asks_for_no_server_loads_no_driver(module: str, absent: str) -> None:
    script = f"import sys, {module}; print({absent!r} in sys.modules, 'psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False False\n"
