"""The commands about Google Drive, as a person runs them."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from orchestrator.errors import ExitCode
from orchestrator.google_drive import signin
from orchestrator.home import Home
from tests.conftest import SMALL
from tests.support.drive import Account, DriveServer, Fault
from tests.support.drive.state import File
from tests.support.processes import orch, orch_undrawn

DAY = 86_400.0


class OAuth(BaseHTTPRequestHandler):
    """Google's sign-in: whoever is sent there agrees."""

    access_token = ""
    refresh_token = "1//refresh-of-ann"
    revoked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.send_response(302)
        self.send_header("location", f"{asked['redirect_uri'][0]}?code=a-code")
        self.end_headers()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        if self.path == "/revoke":
            self.revoked.extend(form["token"])
        told = {"access_token": self.access_token, "refresh_token": self.refresh_token, "expires_in": 3600}
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def place(ann: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a study, where Ann is signed in."""
    monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(ann.token_file(tmp_path / "token")))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    (tmp_path / "study.toml").write_text(SMALL.replace("[leases]\nseconds = 5\n", "[leases]\n"))
    return tmp_path


@dataclass(frozen=True)
class PlannedHome:
    """What `orch plan` has put into Ann's Drive and beside the study."""

    url: str
    place: Path
    root: str
    files: dict[str, File]
    notes: dict[str, str]


@pytest.fixture(scope="module")
def planned_before() -> list[PlannedHome]:
    """The one that the first test made, for those that follow."""
    return []


@pytest.fixture
def planned(place: Path, drive: DriveServer, ann: Account, planned_before: list[PlannedHome]) -> str:
    """The URL of a study's home on Drive."""
    if not planned_before:
        done = orch("plan", "--home", "gdrive:", "--json", cwd=place)
        assert done.returncode == 0, done.stderr
        notes = {path.name: path.read_text() for path in place.glob(".orch*")}
        files = copy.deepcopy(drive.state._files)
        planned_before.append(PlannedHome(json.loads(done.stdout)["home"], place, ann.root_id, files, notes))
    (home,) = planned_before
    ann.root_id, drive.state._files = home.root, copy.deepcopy(home.files)
    for name, text in home.notes.items():
        (place / name).write_text(text.replace(str(home.place), str(place)))
    return home.url


@pytest.fixture
def oauth(ann: Account, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[OAuth]]:
    """Google's sign-in on loopback, a client file for it, and a browser that follows where it is sent."""
    monkeypatch.delenv(signin.TOKEN_FILE_VARIABLE)
    browser = place / "browser.py"
    browser.write_text("import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {browser} %s &")
    handler = type("Handler", (OAuth,), {"access_token": ann.token, "revoked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv(signin.REVOKE_URL_VARIABLE, f"{url}/revoke")
    installed = {
        "client_id": "an-id",
        "client_secret": "not-so-secret",
        "auth_uri": f"{url}/auth",
        "token_uri": f"{url}/token",
        "redirect_uris": ["http://localhost"],
    }
    (place / "client_secrets.json").write_text(json.dumps({"installed": installed}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield handler
    server.shutdown()
    server.server_close()


def told(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str], code: ExitCode) -> str:
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr.startswith("orch: ") and "Traceback" not in done.stderr
    return done.stderr


def test_signed_in_with_the_browser_the_sign_in_is_for_its_person_alone(place: Path, oauth: type[OAuth]) -> None:
    printed = told(orch("login", cwd=place))
    assert "Signed in as ann@example.org" in printed
    assert oauth.refresh_token not in printed and oauth.access_token not in printed
    stored = place / "config" / "orch" / "google.json"
    assert stored.stat().st_mode & 0o777 == 0o600
    assert json.loads(stored.read_text())["refresh_token"] == oauth.refresh_token
    assert told(orch("login", "--sign-out", cwd=place)) == "Signed out.\n"
    assert not stored.exists()
    assert oauth.revoked == [oauth.refresh_token]
    assert told(orch("login", "--sign-out", cwd=place)) == "Nobody was signed in here.\n"


def test_without_an_oauth_client_it_is_told_where_one_is_made(place: Path) -> None:
    assert "console.cloud.google.com" in refused(orch("login", cwd=place), ExitCode.USAGE)


@pytest.mark.usefixtures("oauth")
def test_a_client_file_that_is_none_is_told(place: Path) -> None:
    (place / "client_secrets.json").write_text("<html>")
    assert "is no OAuth client" in refused(orch("login", cwd=place), ExitCode.USAGE)


@pytest.mark.usefixtures("oauth")
def test_a_network_that_ends_in_the_middle_of_a_sign_in_is_told(place: Path) -> None:
    client = json.loads((place / "client_secrets.json").read_text())
    client["installed"]["token_uri"] = "http://nowhere.invalid/token"
    (place / "client_secrets.json").write_text(json.dumps(client))
    assert "needs a sign-in" in refused(orch("login", cwd=place), ExitCode.SIGN_IN)


@pytest.mark.usefixtures("oauth")
def test_who_has_no_client_is_told_the_ways_to_sign_in_without_one(place: Path) -> None:
    (place / "client_secrets.json").unlink()
    assert "docs/google-drive.md" in refused(orch("login", cwd=place), ExitCode.USAGE)
    told = refused(orch("status", "--home", "gdrive://folder", cwd=place), ExitCode.SIGN_IN)
    for way in ("Nobody is signed in", "orch login", "gcloud", "GOOGLE_APPLICATION_CREDENTIALS", "a notebook"):
        assert way in told


def service_account(place: Path, token_url: str) -> Path:
    """A file as Google Cloud's console gives it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    told = {
        "type": "service_account",
        "client_email": "robot@project.iam.gserviceaccount.com",
        "private_key": pem,
        "token_uri": token_url,
    }
    (place / "key.json").write_text(json.dumps(told))
    return place / "key.json"


def test_a_sign_in_that_google_application_credentials_names_is_taken(
    place: Path, planned: str, oauth: type[OAuth]
) -> None:
    token_url = json.loads((place / "client_secrets.json").read_text())["installed"]["token_uri"]
    named = str(service_account(place, token_url))
    done = orch("status", "--home", planned, cwd=place, GOOGLE_APPLICATION_CREDENTIALS=named)
    assert "small" in told(done) and oauth.access_token not in done.stdout + done.stderr


@pytest.mark.usefixtures("oauth")
@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_credentials_that_cannot_be_used_are_named(place: Path, content: str | None) -> None:
    if content is not None:
        (place / "key.json").write_text(content)
    named = str(place / "key.json")
    done = orch("status", "--home", "gdrive://folder", cwd=place, GOOGLE_APPLICATION_CREDENTIALS=named)
    assert f"GOOGLE_APPLICATION_CREDENTIALS names {named}" in refused(done, ExitCode.SIGN_IN)


@pytest.mark.parametrize("home", [("--home", "gdrive:"), ()])
def test_before_the_first_plan_the_doctor_checks_the_sign_in_and_the_service_and_leaves_nothing(
    place: Path, drive: DriveServer, home: tuple[str, ...]
) -> None:
    printed = told(orch("doctor", *home, cwd=place))
    assert "!!" not in printed
    for found in (
        f"Orch {version('orch-train')}.",
        "Nothing is planned",
        "Signed in as ann@example.org",
        "stale version is refused",
        "one won",
    ):
        assert found in printed
    assert [file.name for file in drive.files()] == ["My Drive"]


@pytest.mark.usefixtures("oauth")
def test_the_doctor_tells_who_is_not_signed_in_and_minds_it_where_drive_is_asked_for(place: Path) -> None:
    assert "Nobody is signed in" in told(orch("doctor", cwd=place))
    done = orch("doctor", "--home", "gdrive:", cwd=place)
    assert (done.returncode, "!!  Nobody is signed in" in done.stdout) == (ExitCode.FAILED, True)


def test_the_doctor_checks_the_service_though_the_home_is_not_there(place: Path) -> None:
    gone = f"gdrive://{'A' * 33}"
    done = orch("doctor", "--home", gone, cwd=place)
    assert done.returncode == ExitCode.FAILED
    assert f"!!  There is no home at {gone}" in done.stdout and "ok  A swap of a stale version" in done.stdout


def test_a_home_on_drive_needs_a_sign_in(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signin.TOKEN_FILE_VARIABLE)
    assert "orch login" in refused(orch("plan", "--home", "gdrive:", cwd=place), ExitCode.SIGN_IN)


def test_a_token_file_that_is_not_there_is_a_sign_in_that_is_needed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, str(place / "nowhere"))
    assert "cannot be read" in refused(orch("plan", "--home", "gdrive:", cwd=place), ExitCode.SIGN_IN)


def test_a_planned_study_is_a_folder_that_the_next_commands_find(place: Path, planned: str, drive: DriveServer) -> None:
    assert planned.startswith("gdrive://")
    assert planned in (place / ".orch.toml").read_text()
    status = json.loads(told(orch("status", "--json", cwd=place)))
    assert (status["study"], status["home"], status["jobs"]["total"]) == ("small", planned, 8)
    (folder,) = drive.files("small (Orch)")
    assert folder.id == planned.removeprefix("gdrive://")
    assert [file.name.endswith(".whl") for file in drive.files() if folder.id in file.parents].count(True) == 1


def test_planned_again_everything_stays_and_nothing_is_uploaded(place: Path, planned: str, drive: DriveServer) -> None:
    before = {file.id for file in drive.files()}
    assert "8 kept" in told(orch("plan", cwd=place))
    assert {file.id for file in drive.files()} == before
    assert planned in (place / ".orch.toml").read_text()


def test_a_lease_on_drive_is_longer_unless_the_study_says_how_long(place: Path, planned: str) -> None:
    assert lease_seconds(planned) == 900.0
    (place / "study.toml").write_text(SMALL)
    done = orch("plan", cwd=place)
    assert "A lease of 5 s is short for gdrive://" in done.stderr and "for 900 s, or give 300 or more" in done.stderr
    assert lease_seconds(planned) == 5.0


def lease_seconds(home: str) -> float:
    study = Home.open(home).jobs.study()
    assert study is not None
    return float(study.document["leases"]["seconds"])


@pytest.mark.usefixtures("planned")
def test_another_account_sees_the_study_once_it_is_shared(place: Path, drive: DriveServer) -> None:
    ben = drive.account("ben@example.org")
    his = {signin.TOKEN_FILE_VARIABLE: str(ben.token_file(place / "ben"))}
    unshared = refused(orch("status", cwd=place, **his), ExitCode.UNREACHABLE)
    assert "that this account may see" in unshared and "orch share" in unshared and "orch plan" not in unshared
    assert "ben@example.org" in told(orch("share", "ben@example.org", cwd=place))
    assert "small" in told(orch("status", cwd=place, **his))
    assert "no Google account" in refused(orch("share", "nobody@example.org", cwd=place), ExitCode.FAILED)


@pytest.fixture
def eve(place: Path, drive: DriveServer) -> dict[str, str]:
    """The environment of somebody whom nothing is shared with by name."""
    account = drive.account("eve@example.org")
    return {signin.TOKEN_FILE_VARIABLE: str(account.token_file(place / "eve"))}


def test_whoever_has_the_address_reads_a_folder_that_is_open_to_readers_and_changes_nothing(
    place: Path, planned: str, drive: DriveServer, eve: dict[str, str]
) -> None:
    told(orch("share", "--readers", "--yes", cwd=place))
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    before = [(file.id, file.version) for file in drive.files()]
    assert "small" in told(orch("status", "--home", planned, cwd=elsewhere, **eve))
    told(orch_undrawn("report", "--home", planned, cwd=elsewhere, **eve))
    assert (elsewhere / "small.orch" / "report" / "report.html").is_file()
    first = "alexnet-tiny/seed0/train/r00.s0"
    assert first in told(orch("logs", first, "--home", planned, cwd=elsewhere, **eve))
    assert "orch share ACCOUNT" in refused(
        orch("cancel", first, "--home", planned, cwd=elsewhere, **eve), ExitCode.UNREACHABLE
    )
    assert "orch share ACCOUNT" in refused(
        orch("share", "--no-readers", "--home", planned, cwd=place, **eve), ExitCode.FAILED
    )
    assert [(file.id, file.version) for file in drive.files()] == before


def test_a_folder_is_closed_to_readers_again_and_stays_open_to_those_who_are_named(
    place: Path, planned: str, drive: DriveServer, eve: dict[str, str]
) -> None:
    ben = drive.account("ben@example.org")
    his = {signin.TOKEN_FILE_VARIABLE: str(ben.token_file(place / "ben"))}
    assert "was not open" in told(orch("share", "--no-readers", cwd=place))
    shared = told(orch("share", "--readers", "--yes", "ben@example.org", cwd=place))
    assert "ben@example.org may work" in shared and "--no-readers ends that" in shared
    assert "Only accounts" in told(orch("share", "--no-readers", cwd=place))
    assert "that this account may see" in refused(
        orch("status", "--home", planned, cwd=place, **eve), ExitCode.UNREACHABLE
    )
    assert "small" in told(orch("status", cwd=place, **his))


@pytest.mark.usefixtures("planned")
def test_a_folder_is_opened_to_readers_only_by_who_agrees_that_all_of_it_is_seen(
    place: Path, drive: DriveServer
) -> None:
    asked = refused(orch("share", "--readers", cwd=place), ExitCode.USAGE)
    assert "training images" in asked and "Nothing was changed; give --yes" in asked
    assert "--readers" in refused(orch("share", cwd=place), ExitCode.USAGE)
    assert {file.link_role for file in drive.files()} == {None}
    drive.state.publishes = False
    forbidden = refused(orch("share", "--readers", "--yes", cwd=place), ExitCode.FAILED)
    assert "organisation lets nobody outside" in forbidden and "orch share ACCOUNT" in forbidden


@pytest.mark.usefixtures("planned")
def test_a_request_that_was_tried_again_is_not_told(place: Path, drive: DriveServer) -> None:
    drive.faults.at(1, Fault.RATE_LIMIT)
    done = orch("status", cwd=place)
    assert "small" in told(done) and done.stderr == ""
    assert drive.faults.met == 1


def test_only_a_home_on_drive_is_shared_or_pasted(place: Path) -> None:
    told(orch("plan", "--home", "here.orch", cwd=place))
    for command in (("share", "ben@example.org"), ("snippet",)):
        assert "not on Google Drive" in refused(orch(*command, cwd=place), ExitCode.USAGE)


def test_the_cell_and_the_notebook_name_the_wheel_that_travels(place: Path, planned: str, drive: DriveServer) -> None:
    (wheel,) = [file for file in drive.files() if file.name.endswith(".whl")]
    done = orch("snippet", "--kaggle", cwd=place)
    cell = told(done)
    assert wheel.id in cell and planned in cell and "kaggle_secrets" in cell
    assert "One account per person" in done.stderr
    told(orch("snippet", "--notebook", "worker.ipynb", cwd=place))
    document = json.loads((place / "worker.ipynb").read_text())
    assert wheel.id in "".join(document["cells"][1]["source"])
    assert "one of" in refused(orch("snippet", "--kaggle", "--colab", cwd=place), ExitCode.USAGE)


@pytest.mark.usefixtures("planned")
def test_the_doctor_finds_a_good_service_good_and_leaves_nothing(place: Path, drive: DriveServer) -> None:
    before = {file.id for file in drive.files()}
    printed = told(orch("doctor", cwd=place))
    assert "!!" not in printed
    for found in ("Signed in as ann@example.org", "stale version is refused", "one won", "makes one file"):
        assert found in printed
    assert {file.id for file in drive.files()} == before


@pytest.mark.usefixtures("planned")
def test_the_doctor_finds_a_service_that_does_not_compare(place: Path, drive: DriveServer) -> None:
    drive.compares = False
    done = orch("doctor", cwd=place)
    assert done.returncode == ExitCode.FAILED
    assert "was NOT refused" in done.stdout and "believe that they won" in done.stdout


def test_the_doctor_looks_at_a_home_on_this_disk_too(place: Path) -> None:
    told(orch("plan", "--home", "here.orch", cwd=place))
    assert "All shards" in told(orch("doctor", cwd=place))
    for shard in (place / "here.orch" / "artifacts").glob("*/*"):
        shard.unlink()
    done = orch("doctor", cwd=place)
    assert (done.returncode, "are missing or damaged" in done.stdout) == (ExitCode.FAILED, True)


@pytest.mark.usefixtures("planned")
def test_garbage_is_what_is_old_unnamed_and_this_accounts(place: Path, drive: DriveServer) -> None:
    ben = drive.account("ben@example.org")
    named = {file.id for file in drive.files()}
    (artifacts,) = drive.files("artifacts")
    told(orch("share", "ben@example.org", cwd=place))
    with drive.state.lock:
        state, owner = drive.state, drive.state.accounts["ann@example.org"]
        young, his = (state.create(who, None, "ab" * 32, [artifacts.id], "", {}) for who in (owner, ben))
        state.create(owner, None, "cd" * 32, [artifacts.id], "", {})
        state.create(owner, None, "notes of her own", [artifacts.id], "", {})
        for file in drive.files():
            if file is not young:
                file.modified -= 2 * DAY
    assert "Would delete 1 file " in told(orch("gc", "--dry-run", cwd=place))
    assert "Deleted 1 file " in told(orch("gc", cwd=place))
    (hers,) = drive.files("notes of her own")
    assert {file.id for file in drive.files()} == {*named, young.id, his.id, hers.id}
    assert "small" in told(orch("status", cwd=place))


def test_garbage_on_this_disk_is_deleted_and_what_is_named_stays(place: Path) -> None:
    told(orch("plan", "--home", "here.orch", cwd=place))
    artifacts = place / "here.orch" / "artifacts"
    named = {path for path in artifacts.rglob("*") if path.is_file()}
    for left in (artifacts / "ab" / ("ab" * 32), artifacts / f".incoming-{'0' * 32}"):
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"left behind")
    for path in artifacts.rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert "Deleted 2 files" in told(orch("gc", cwd=place))
    assert {path for path in artifacts.rglob("*") if path.is_file()} == named


def test_a_storage_that_is_nearly_full_is_told_before_it_hurts(place: Path, planned: str, ann: Account) -> None:
    ann.quota_bytes = 1 << 40
    assert "Make room" not in told(orch("status", cwd=place))
    used: Any = json.loads(told(orch("status", "--json", cwd=place)))
    assert used["problems"] == [] and used["home"] == planned
    ann.quota_bytes = 1
    problems = json.loads(told(orch("status", "--json", cwd=place)))["problems"]
    assert len(problems) == 1
    assert "Make room" in problems[0] and "ann@example.org" in problems[0]
