"""The exact text of a cell, run where Colab's and Kaggle's modules are imitated and Orch is a wheel that tells."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.drive import signin
from orchestrator.drive.client import DriveClient
from orchestrator.drive.connection import ROOT_URL_VARIABLE
from orchestrator.snippet import Notebook, cell
from orchestrator.travelling import Travelling
from tests.drive import Account, DriveServer, Fault
from tests.drive.signed_in import (
    fixture_ann,  # noqa: F401
    fixture_client,  # noqa: F401
    fixture_drive,  # noqa: F401
)
from tests.processes import PATIENCE_SECONDS, wait_until

WORKER = """
import os, pathlib, signal, sys, time
def say(text):  # in one system call: a handler may interrupt it
    os.write(1, f"{text}\\n".encode())
def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("saving")
    while "SLOW" in os.environ and not pathlib.Path(os.environ["SLOW"]).exists():
        time.sleep(0.02)
    say("given back")
    os._exit(0)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, end)
say(f"a worker of {sys.argv[1:]} signed in by {os.environ.get('GOOGLE_APPLICATION_CREDENTIALS')}")
if "WAIT" in os.environ:
    time.sleep(600)
"""
METADATA = "Metadata-Version: 2.1\nName: orch\nVersion: 0.1.0\nProvides-Extra: notebook\n"
COLAB = 'def authenticate_user():\n    print("signed in with Colab")\n'
KAGGLE = """
class UserSecretsClient:
    def get_secret(self, name):
        assert name == "ORCH_GOOGLE"
        return '{"type": "authorized_user"}'
"""


@dataclass
class Session:
    """A notebook's session, with the services' modules imitated."""

    place: Path
    environment: dict[str, str]

    @property
    def printed(self) -> str:
        return (self.place / "printed").read_text()

    @contextmanager
    def run(self, text: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """As a notebook's kernel runs a cell; ended with all that it started when a test fails."""
        with (
            (self.place / "printed").open("wb") as printed,
            subprocess.Popen(
                [sys.executable, "-u", "-c", text],
                env={**self.environment, **more},
                cwd=self.place,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Whoever starts the tests in the background may have them ignore it, which is inherited.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            ) as process,
        ):
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def until(self, awaited: str) -> None:
        wait_until(lambda: awaited in self.printed, awaited)

    def told(self, text: str) -> tuple[int, str]:
        with self.run(text) as process:
            code = process.wait(PATIENCE_SECONDS)
        return code, self.printed


@pytest.fixture
def session(ann: Account, drive: DriveServer, tmp_path: Path) -> Session:
    modules = tmp_path / "modules"
    (modules / "google" / "colab").mkdir(parents=True)
    (modules / "google" / "colab" / "__init__.py").touch()
    (modules / "google" / "colab" / "auth.py").write_text(COLAB)
    (modules / "kaggle_secrets.py").write_text(KAGGLE)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(modules),
        "PIP_NO_INDEX": "1",
        "TMPDIR": str(tmp_path),
        ROOT_URL_VARIABLE: drive.url,
        signin.TOKEN_FILE_VARIABLE: str(ann.token_file(tmp_path / "token")),
    }
    return Session(tmp_path, environment)


@pytest.fixture
def travelling(client: DriveClient) -> Travelling:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        wheel.writestr("workers/__init__.py", "")
        wheel.writestr("workers/__main__.py", WORKER)
        wheel.writestr("orch-0.1.0.dist-info/METADATA", METADATA)
        wheel.writestr("orch-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    file = client.new_id()
    client.create(file, "orch.whl", "root", content.getvalue(), {})
    return Travelling("a study", "gdrive://FOLDER", file, hashlib.sha256(content.getvalue()).hexdigest())


def test_on_colab_it_signs_in_and_starts_the_worker_of_the_home(session: Session, travelling: Travelling) -> None:
    code, told = session.told(cell(travelling, Notebook.COLAB))
    assert code == 0, told
    assert "signed in with Colab" in told
    assert "a worker of ['--home', 'gdrive://FOLDER'] signed in by None" in told


def test_on_kaggle_the_secret_becomes_a_file_for_the_worker_alone(session: Session, travelling: Travelling) -> None:
    code, told = session.told(cell(travelling, Notebook.KAGGLE))
    assert code == 0, told
    (file,) = session.place.glob("orch-*/google.json")
    assert f"signed in by {file}" in told
    assert file.read_text() == '{"type": "authorized_user"}'
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_orch_of_another_digest_is_not_run_and_not_unpacked(session: Session, travelling: Travelling) -> None:
    other = Travelling(travelling.study, travelling.home, travelling.wheel, "0" * 64)
    code, told = session.told(cell(other, Notebook.COLAB))
    assert code != 0
    assert "ask for a new cell" in told and "a worker of" not in told
    assert list(session.place.glob("orch-*")) == []


def test_a_refused_orch_leaves_no_sign_in_behind(session: Session, travelling: Travelling) -> None:
    other = Travelling(travelling.study, travelling.home, travelling.wheel, "0" * 64)
    code, told = session.told(cell(other, Notebook.KAGGLE))
    assert code != 0
    assert "ask for a new cell" in told
    assert list(session.place.glob("orch-*")) == []


def test_an_old_python_is_told_before_anything_is_done(session: Session, travelling: Travelling) -> None:
    code, told = session.told("import sys; sys.version_info = (3, 10, 12)\n" + cell(travelling, Notebook.COLAB))
    assert (code, told) == (1, "Orch needs Python 3.11 or newer.\n")


def test_whoever_is_not_signed_in_is_told_so_in_a_sentence(session: Session, travelling: Travelling) -> None:
    del session.environment[signin.TOKEN_FILE_VARIABLE]
    session.environment["NO_GCE_CHECK"] = "true"
    code, told = session.told(cell(travelling, Notebook.COLAB))
    assert code != 0
    assert "sign in again" in told and "Traceback" not in told


def test_a_machine_without_googles_packages_is_told_which(session: Session, travelling: Travelling) -> None:
    del session.environment[signin.TOKEN_FILE_VARIABLE]
    (session.place / "modules" / "google" / "__init__.py").touch()  # hides the google.auth that is installed
    code, told = session.told(cell(travelling, Notebook.COLAB))
    assert code != 0
    assert "pip install google-auth requests" in told and "Traceback" not in told


def test_a_folder_that_the_account_may_not_see_is_told(session: Session, travelling: Travelling) -> None:
    unknown = Travelling(travelling.study, travelling.home, "nothing", travelling.sha256)
    code, told = session.told(cell(unknown, Notebook.COLAB))
    assert code != 0
    assert "sign in as an account that the study's folder is shared with" in told
    assert "Traceback" not in told


def without_pauses(text: str) -> str:
    assert "(2, 8, 30, None)" in text
    return text.replace("(2, 8, 30, None)", "(0, 0, 0, None)")


def test_a_service_in_trouble_is_asked_again(session: Session, travelling: Travelling, drive: DriveServer) -> None:
    for number, fault in enumerate((Fault.RATE_LIMIT, Fault.CUT_IN_BODY, Fault.ERROR_BEFORE), start=1):
        drive.faults.at(number, fault)
    code, told = session.told(without_pauses(cell(travelling, Notebook.COLAB)))
    assert code == 0, told
    assert drive.faults.met == 3


def test_a_service_that_stays_in_trouble_is_told_and_leaves_no_sign_in_behind(
    session: Session, travelling: Travelling, drive: DriveServer
) -> None:
    drive.faults.every(lambda *_: True, Fault.CUT_IN_BODY)
    code, told = session.told(without_pauses(cell(travelling, Notebook.KAGGLE)))
    assert code != 0
    assert "Orch cannot be fetched" in told and "Traceback" not in told
    assert list(session.place.glob("orch-*")) == []


def test_an_interrupted_cell_lets_the_worker_give_its_job_back(session: Session, travelling: Travelling) -> None:
    with session.run(cell(travelling, Notebook.COLAB), WAIT="yes") as process:
        session.until("a worker of")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0, session.printed
    assert "given back" in session.printed and "Traceback" not in session.printed


def test_a_cell_that_is_interrupted_twice_still_waits_for_its_worker(session: Session, travelling: Travelling) -> None:
    saved = session.place / "saved"
    with session.run(cell(travelling, Notebook.COLAB), WAIT="yes", SLOW=str(saved)) as process:
        session.until("a worker of")
        os.killpg(process.pid, signal.SIGINT)  # as Jupyter and a terminal do: to all that the cell has started
        session.until("saving")
        os.killpg(process.pid, signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        saved.touch()
        assert process.wait(PATIENCE_SECONDS) == 0, session.printed
    assert "given back" in session.printed and "Traceback" not in session.printed


def test_pip_is_held_to_the_tensorflow_that_the_notebook_has(session: Session, travelling: Travelling) -> None:
    information = session.place / "modules" / "tensorflow-2.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorflow\nVersion: 2.0\n")
    code, told = session.told(cell(travelling, Notebook.COLAB))
    assert code == 0, told
    (held,) = session.place.glob("orch-*/held.txt")
    assert "tensorflow==2.0" in held.read_text().splitlines()


def test_no_token_is_printed_or_left(session: Session, travelling: Travelling, ann: Account) -> None:
    _, told = session.told(cell(travelling, Notebook.KAGGLE))
    assert ann.token not in told
    left = [path for path in session.place.glob("orch-*/**/*") if path.is_file()]
    assert left and not any(ann.token.encode() in path.read_bytes() for path in left)


def test_what_the_notebook_has_stays_as_it_is(session: Session, travelling: Travelling) -> None:
    """The worker's packages lie in a directory of their own."""
    before = set(Path(sys.prefix).glob("lib/python*/site-packages/*"))
    code, told = session.told(cell(travelling, Notebook.COLAB))
    assert code == 0, told
    wait_until(lambda: bool(list(session.place.glob("orch-*/venv/lib/python*/site-packages/workers"))), "the worker")
    assert set(Path(sys.prefix).glob("lib/python*/site-packages/*")) == before
