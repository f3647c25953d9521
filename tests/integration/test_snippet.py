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
from orchestrator.drive.client import ROOT_URL_VARIABLE, DriveClient
from orchestrator.snippet import Notebook, Travelling, cell
from tests.drive import Account, DriveServer
from tests.drive.signed_in import (
    fixture_ann,  # noqa: F401
    fixture_client,  # noqa: F401
    fixture_drive,  # noqa: F401
)
from tests.processes import PATIENCE_SECONDS, wait_until

WORKER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("given back", flush=True), os._exit(0)))
print("a worker of", sys.argv[1:], "signed in by", os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"), flush=True)
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

    @contextmanager
    def run(self, text: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """As a notebook's kernel runs a cell; ended with all that it started when a test fails."""
        with subprocess.Popen(
            [sys.executable, "-u", "-c", text],
            env={**self.environment, **more},
            cwd=self.place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Whoever starts the tests in the background may have them ignore it, which is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def told(self, text: str) -> tuple[int, str]:
        with self.run(text) as process:
            printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, printed


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
    assert list(session.place.rglob("workers")) == []


def test_a_folder_that_the_account_may_not_see_is_told(session: Session, travelling: Travelling) -> None:
    unknown = Travelling(travelling.study, travelling.home, "nothing", travelling.sha256)
    code, told = session.told(cell(unknown, Notebook.COLAB))
    assert code != 0
    assert "sign in as an account that the study's folder is shared with" in told
    assert "Traceback" not in told


def test_an_interrupted_cell_lets_the_worker_give_its_job_back(session: Session, travelling: Travelling) -> None:
    with session.run(cell(travelling, Notebook.COLAB), WAIT="yes") as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not any("a worker of" in line for line in lines):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, printed
    assert "given back" in printed


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
