"""`orch ui` over loopback: read by nobody but this machine's browsers, no more work than one who watches, and calm."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from markupsafe import Markup
from sqlalchemy import make_url

from orchestrator.google_drive import signin
from orchestrator.home import Home
from orchestrator.jobs import WorkerInfo
from orchestrator.jobtable.transactions.overview import Overview
from orchestrator.planning.planner import make_plan
from orchestrator.planning.publishing import publish
from orchestrator.progress import watching
from orchestrator.study import Study
from orchestrator.ui import live_report, reading
from tests.conftest import SMALL
from tests.support.done_jobs import finish
from tests.support.drive import Account, DriveServer
from tests.support.live_page import LivePage, orch_ui, served
from tests.support.postgres_server import fresh_database
from tests.support.processes import PATIENCE_SECONDS, orch, refused, wait_until
from tests.support.repetitions import repetitions

JOB = "alexnet-tiny/seed0/train/r00.s0"
EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def always_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test waits for no reading to get old, and for every one to come, however slow the machine."""
    monkeypatch.setattr(reading, "_FIRST_PATIENCE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(reading, "_PATIENCE_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(reading, "GOOD_FOR_SECONDS", 0.0)
    monkeypatch.setattr(reading, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(live_report, "_FEWEST_SECONDS", 0.0)


@pytest.fixture
def home(planned_home: Callable[[Study], Home], small_study: Study) -> Home:
    return planned_home(small_study)


@pytest.fixture
def page(home: Home) -> Iterator[LivePage]:
    with served(lambda: Home.open(home.url)) as found:
        yield found


@pytest.fixture(scope="module")
def idle_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePage]:
    """Of a home in which nothing happens."""
    url = publish(Study.parse(SMALL), tmp_path_factory.mktemp("idle") / "home", None).home
    with served(lambda: Home.open(url)) as found:
        yield found


# --- who may read it, and how ---


def test_the_page_is_one_file_that_loads_nothing(idle_page: LivePage) -> None:
    answer = idle_page.ask()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>small</h1>" in answer.text and "0 of 8 jobs done" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"]
)
def test_a_site_whose_name_was_turned_to_this_machine_reads_nothing(idle_page: LivePage, host: str) -> None:
    answer = idle_page.ask("/status", host=host.format(port=idle_page.port))
    assert answer.status in (400, 403) and "alexnet" not in answer.text


def test_localhost_is_a_name_of_this_machine(idle_page: LivePage) -> None:
    assert idle_page.ask("/status", host=f"localhost:{idle_page.port}").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_can_be_done_but_read(idle_page: LivePage, method: str) -> None:
    answer = idle_page.ask("/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_head_has_the_headers_of_the_page_and_no_page(idle_page: LivePage) -> None:
    whole, head = idle_page.ask("/report"), idle_page.ask("/report", "HEAD")
    assert (head.status, head.text, head.headers["Content-Type"]) == (200, "", whole.headers["Content-Type"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *[("/etc/passwd", 404), ("/../jobs.db", 404), ("/status?stage=nothing", 404), ("/status?state=<b>", 404)],
        *[("/status?page=x", 404), (f"/status?page={10**40}", 200), ("/status?page=-5", 200), ("/job", 404)],
        *[("/job?id=../../etc", 404), ("/job?id=%00", 404), ("/status?" + "a=1&" * 50, 400)],
    ],
)
def test_an_address_that_there_is_not_is_refused_and_quotes_nothing_as_markup(
    idle_page: LivePage, path: str, status: int
) -> None:
    answer = idle_page.ask(path)
    assert answer.status == status
    assert answer.status == 200 or answer.headers["Content-Type"].startswith("text/plain")


def test_an_address_that_is_none_is_refused(idle_page: LivePage) -> None:
    with socket.create_connection(("127.0.0.1", idle_page.port), timeout=5) as connection:
        connection.sendall(f"GET http://[ HTTP/1.1\r\nHost: 127.0.0.1:{idle_page.port}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_the_page_is_for_this_machine_alone(idle_page: LivePage) -> None:
    addresses = {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, idle_page.port), timeout=5).close()


# --- what it shows ---


def test_an_etag_stands_until_something_happens_and_not_for_the_time_of_day(home: Home, page: LivePage) -> None:
    lease = home.jobs.claim(WorkerInfo("w1", "host", "CPU"))
    assert lease is not None
    first = page.ask("/status")
    again = page.ask("/status", If_None_Match=first.etag)
    assert (again.status, again.text, again.etag) == (304, "", first.etag)
    assert float(again.headers["Orch-Home-Time"]) > float(first.headers["Orch-Home-Time"])
    home.jobs.renew(lease, {"step": 3, "steps": 6})
    moved = page.ask("/status", If_None_Match=first.etag)
    assert moved.status == 200 and "3 of 6" in moved.text
    assert page.ask("/status", If_None_Match=f'"other", W/{moved.etag}').status == 304


def test_jobs_are_shown_by_stage_and_state(home: Home, page: LivePage) -> None:
    finish(home, 1)
    done = page.ask("/status?state=done").text
    assert f'<span class="name">{JOB}</span>' in done and "train/r00.s1</span>" not in done
    assert "benchmark/float32</span>" in page.ask("/status?stage=benchmark").text
    assert "There is no such job." in page.ask("/status?state=quarantined").text


def test_a_job_opens_with_its_attempts_its_error_and_what_it_printed(home: Home, page: LivePage) -> None:
    finish(home, 1, printed=f"epoch 1\n{EVIL}")
    job = home.jobs.job(JOB)
    told = page.ask(f"/job?id={job.id}").text
    assert "worker</td>" in told and "epoch 1" in told and "&lt;script&gt;alert(1)" in told and EVIL not in told
    lease = home.jobs.claim(WorkerInfo(EVIL, EVIL, EVIL))
    assert lease is not None
    home.jobs.fail(lease, f"ValueError: {EVIL}", final=True)
    told = page.ask(f"/job?id={lease.job}").text
    assert "ValueError: &lt;script&gt;" in told and EVIL not in told
    assert EVIL not in page.ask("/").text + page.ask("/status").text


def test_a_log_that_cannot_be_fetched_is_told_of_beside_the_rest(home: Home, page: LivePage) -> None:
    finish(home, 1)
    assert home.directory is not None
    shutil.rmtree(home.directory / "artifacts")
    told = page.ask(f"/job?id={home.jobs.job(JOB).id}").text
    assert "What it printed cannot be fetched" in told and "worker</td>" in told


def test_the_report_follows_the_study_and_is_named_by_the_status(home: Home, page: LivePage) -> None:
    def report_tells(text: str) -> bool:
        page.ask("/status")
        return text in page.ask("/report").text

    wait_until(lambda: report_tells("No benchmark is done yet"), "a first report")
    before = page.ask("/report").etag
    assert page.ask("/status").headers["Orch-Report"] == before
    assert page.ask("/report", If_None_Match=before).status == 304
    finish(home)
    wait_until(lambda: report_tells("laptop with LiteRT"), "a report with what was measured")
    assert page.ask("/status").headers["Orch-Report"] != before
    assert "laptop with LiteRT" in page.ask("/").text


def test_a_report_fetches_no_file_twice(home: Home, tmp_path: Path) -> None:
    finish(home, 1)
    (artifact,) = (each for name, each in home.jobs.outputs(home.jobs.job(JOB).id).items() if name == "log")
    kept = tmp_path / "kept"
    kept.mkdir()
    store = live_report.FetchedOnce(home.artifacts, kept)
    store.fetch(artifact, tmp_path / "first")
    assert home.directory is not None
    shutil.rmtree(home.directory / "artifacts")
    store.fetch(artifact, tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_fault_in_the_report_is_told_on_the_page_and_where_the_command_runs(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    def faulty() -> Markup:
        raise ZeroDivisionError("of the report")

    made = live_report.LiveReport(faulty)
    seen = watching.look(home)
    wait_until(lambda: "This is a fault in Orch" in made.newest(seen).body, "the fault on the page")
    made.close()
    assert "ZeroDivisionError: of the report" in capsys.readouterr().err


# --- homes that go away, and homes elsewhere ---


def test_a_home_that_goes_away_is_said_and_goes_on_when_it_is_back(home: Home, page: LivePage, tmp_path: Path) -> None:
    page.ask("/status")
    home.jobs.close()
    assert home.directory is not None
    home.directory.rename(tmp_path / "elsewhere")
    away = page.ask("/status")
    assert away.status == 200 and "The home cannot be read" in away.text and "0 of 8 jobs done" in away.text
    assert JOB in away.text and "There is no such job" not in away.text, "the list stays as it was seen last"
    assert away.headers["Orch-Home-Time"] == page.ask("/status").headers["Orch-Home-Time"], "by which ages go on"
    assert "The home cannot be read" in page.ask("/").text
    shutil.copytree(tmp_path / "elsewhere", home.directory)  # another file of the same name
    finish(Home.open(home.url), 1)
    back = page.ask("/status")
    assert "The home cannot be read" not in back.text and "1 of 8 jobs done" in back.text


def test_a_slow_home_is_waited_for_until_it_was_seen_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PATIENCE_SECONDS", 0.01)
    opened, answers = Home.open(home.url), threading.Event()

    def slow() -> Overview:
        assert answers.wait(PATIENCE_SECONDS)
        return home.jobs.overview()

    monkeypatch.setattr(opened.jobs, "overview", slow)
    with served(lambda: opened) as page, ThreadPoolExecutor(1) as tab:
        monkeypatch.setattr(reading, "_FIRST_PATIENCE_SECONDS", 0.05)
        refused_page = page.ask("/")
        assert (refused_page.status, refused_page.text) == (503, "The home has not answered for 0 s.\n")
        monkeypatch.setattr(reading, "_FIRST_PATIENCE_SECONDS", PATIENCE_SECONDS)
        first = tab.submit(page.ask, "/status")
        answers.set()
        assert first.result().status == 200
        answers.clear()
        assert "The home has not answered for 0 s." in page.ask("/status").text
        answers.set()


def test_many_tabs_are_one_reading(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GOOD_FOR_SECONDS", 3600.0)
    looks: list[float] = []

    def counted(home: Home) -> Overview:
        looks.append(0.0)
        return home.jobs.overview()

    opened = Home.open(home.url)
    monkeypatch.setattr(opened.jobs, "overview", lambda: counted(home))
    with served(lambda: opened) as page:
        for _ in range(20):
            assert page.ask("/status").status == 200
    assert len(looks) == 1


def test_a_home_on_postgresql_is_shown(postgres: str, tmp_path: Path) -> None:
    with fresh_database(postgres) as database:
        publish(Study.parse(SMALL), database, None, artifacts=tmp_path / "files")
        with served(lambda: Home.open(database, tmp_path / "files")) as page:
            assert "0 of 8 jobs done" in page.ask("/status").text
            name = make_url(database).database
            with psycopg.connect(postgres, autocommit=True) as server:
                server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
                server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
                assert "The home cannot be read" in page.ask("/status").text
                server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
            assert "The home cannot be read" not in page.ask("/status").text


def test_a_home_on_drive_is_asked_no_more_than_by_one_who_watches(
    drive: DriveServer, ann: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(ann.token_file(tmp_path / "token")))
    url = publish(Study.parse(SMALL.replace("[leases]\nseconds = 5\n", "[leases]\n")), "gdrive:", None).home
    opened = Home.open(url)
    with served(lambda: opened) as page:
        wait_until(lambda: "small" in page.ask("/status").text, "a status")
        wait_until(lambda: "No benchmark is done yet" in page.ask("/report").text, "a report")
        before = len(drive.requests)
        for _ in range(30):
            page.ask("/status")
            page.ask("/report")
            page.ask("/")
        assert len(drive.requests) - before <= 2  # as one look, which is good for ten seconds


# --- many jobs ---


def test_thousands_of_jobs_are_shown_page_by_page(tmp_path: Path) -> None:
    study = Study.parse(SMALL.replace("[training]\nepochs = 2", "seeds = [0]\n[training]\nepochs = 990"))
    home = Home.create(tmp_path / "home")
    plan = make_plan(study)
    assert len(plan.jobs) > 1_900
    home.jobs.publish(plan)
    with served(lambda: home) as page:
        told = page.ask("/status?page=3").text
    assert told.count('<details class="job"') == 50 and len(told) < 60_000
    assert f"of {len(plan.jobs):,} jobs done" in told


# --- the command ---


@pytest.mark.parametrize("how", repetitions([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], often=[signal.SIGINT]))
def test_whoever_ends_the_command_ends_it_calmly_and_nothing_is_left(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with orch_ui("--home", home.url, "--port", "0", cwd=tmp_path) as (page, process):
        assert page.ask("/status").status == 200
        process.send_signal(how)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None and process.stderr.read() == ""
        assert process.stdout is not None and "the study goes on without it" in process.stdout.read()
    assert list((tmp_path / "temporary").glob("orch-ui-*")) == []


def test_a_port_that_is_taken_is_one_sentence(home: Home, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused(orch("ui", "--no-browser", "--port", str(port), "--home", home.url, cwd=tmp_path), 2)
    assert f"Port {port} is taken by another program; choose another with --port" in told


def test_a_home_that_is_not_there_is_refused_as_by_every_command(tmp_path: Path) -> None:
    assert "There is no home" in refused(orch("ui", "--no-browser", "--home", str(tmp_path / "no"), cwd=tmp_path), 4)


def test_the_page_is_written_once_too(home: Home, tmp_path: Path) -> None:
    finish(home)
    done = orch("status", "--html", tmp_path / "page.html", "--home", home.url, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    written = (tmp_path / "page.html").read_text()
    assert "8 of 8 jobs done" in written and "laptop with LiteRT" in written
    assert "data-live" not in written and "connect-src" not in written
    told = refused(orch("status", "--html", "/proc/page.html", "--home", home.url, cwd=tmp_path), 2)
    assert "cannot be written" in told


@pytest.mark.parametrize(
    "options",
    [("--watch", "--json"), ("--watch", "--jobs"), ("--watch", "--html", "x.html"), ("--html", "x", "--json")],
)
def test_options_that_do_not_go_together_are_told(tmp_path: Path, options: tuple[str, ...]) -> None:
    told = refused(orch("status", *options, cwd=tmp_path), 2)
    assert any(option in told for option in options if option.startswith("--"))
