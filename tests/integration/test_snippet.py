"""The exact text of a cell, run where Colab's and Kaggle's modules are imitated and Orch is a wheel that tells."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.google_drive import signin
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.connection import ROOT_URL_VARIABLE
from orchestrator.worker_package.publication import Travelling
from orchestrator.worker_package.snippet import Notebook, cell
from tests.support.cell_sessions import Session, wheel
from tests.support.drive import Account, DriveServer, Fault
from tests.support.processes import PATIENCE_SECONDS, wait_until
from tests.support.repetitions import repetitions

COLAB = 'def authenticate_user():\n    print("signed in with Colab")\n'
KAGGLE = """
class UserSecretsClient:
    def get_secret(self, name):
        assert name == "ORCH_GOOGLE"
        return '{"type": "authorized_user"}'
"""


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
    file = client.new_id()
    client.create(file, "orch.whl", "root", wheel(), {})
    return Travelling("a study", "gdrive://FOLDER", file, hashlib.sha256(wheel()).hexdigest())


def test_on_colab_it_signs_in_and_starts_the_worker_of_the_home(session: Session, travelling: Travelling) -> None:
    code, told = session.told(cell(travelling, Notebook.COLAB))
    assert code == 0, told
    assert "signed in with Colab" in told
    assert "a worker of ['--home', 'gdrive://FOLDER', '--gpus', 'all'] signed in by None" in told


def test_on_kaggle_the_secret_becomes_a_file_for_the_worker_alone(session: Session, travelling: Travelling) -> None:
    code, told = session.told(cell(travelling, Notebook.KAGGLE))
    assert code == 0, told
    assert 'with {"type": "authorized_user"} in google.json of the mode 600' in told


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


def test_a_single_refusal_of_a_token_is_got_over_and_a_second_is_told(
    session: Session, travelling: Travelling, drive: DriveServer
) -> None:
    drive.faults.at(1, Fault.UNAUTHORIZED)
    code, told = session.told(without_pauses(cell(travelling, Notebook.COLAB)))
    assert code == 0, told
    drive.faults.every(lambda *_: True, Fault.UNAUTHORIZED)
    code, told = session.told(without_pauses(cell(travelling, Notebook.COLAB)))
    assert code != 0
    assert "401" in told and "sign in as an account" in told
    assert drive.faults.met == 3


def test_a_service_that_stays_in_trouble_is_told_and_leaves_no_sign_in_behind(
    session: Session, travelling: Travelling, drive: DriveServer
) -> None:
    drive.faults.every(lambda *_: True, Fault.CUT_IN_BODY)
    code, told = session.told(without_pauses(cell(travelling, Notebook.KAGGLE)))
    assert code != 0
    assert "Orch cannot be fetched" in told and "Traceback" not in told
    assert list(session.place.glob("orch-*")) == []


@pytest.mark.parametrize("number", repetitions([signal.SIGINT, signal.SIGHUP, signal.SIGTERM], often=[signal.SIGINT]))
def test_an_interrupted_cell_lets_the_worker_give_its_job_back(
    number: signal.Signals, session: Session, travelling: Travelling
) -> None:
    """By its person, by a terminal that is closed, or by an engine."""
    with session.run(cell(travelling, Notebook.KAGGLE), WAIT="yes") as process:
        session.until("a worker of")
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0, session.printed
    assert "given back" in session.printed and "Traceback" not in session.printed
    assert list(session.place.glob("orch-*")) == []


def test_a_cell_under_nohup_works_on_when_its_terminal_is_closed(session: Session, travelling: Travelling) -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    with session.run(ignoring + cell(travelling, Notebook.COLAB), WAIT="yes") as process:
        session.until("a worker of")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, session.printed
    assert session.printed.count("saving") == 1


def test_a_cell_leaves_nothing_behind_however_its_worker_ends(session: Session, travelling: Travelling) -> None:
    assert session.told(cell(travelling, Notebook.KAGGLE))[0] == 0
    assert list(session.place.glob("orch-*")) == []
    session.environment["FAIL"] = "yes"
    code, told = session.told(cell(travelling, Notebook.KAGGLE))
    assert code != 0 and "The worker ended with 1." in told
    assert list(session.place.glob("orch-*")) == []


def test_what_a_killed_session_left_is_removed_by_the_next_and_what_is_in_use_is_not(
    session: Session, travelling: Travelling
) -> None:
    text = cell(travelling, Notebook.COLAB)
    with session.run(text, WAIT="yes") as process:
        session.until("a worker of")
        (used,) = session.place.glob("orch-cell-*")
        process.kill()
        process.wait()
        # Its worker lives on and has the packages there; nothing may happen to them.
        other = Session(session.place / "other", session.environment)
        other.place.mkdir()
        assert other.told(text)[0] == 0
        assert (used / "venv").is_dir()
    wait_until(lambda: session.told(text)[0] == 0 and not used.exists(), "the removal of what nobody uses any more")


def test_the_notebook_signs_in_as_before_once_the_cell_has_ended(session: Session, travelling: Travelling) -> None:
    after = '\nprint("afterwards", os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"), signal.getsignal(signal.SIGTERM))'
    _, told = session.told(cell(travelling, Notebook.KAGGLE) + after)
    assert f"afterwards None {signal.SIG_DFL}" in told


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
    assert "pip is held to ['tensorflow==2.0', " in told


def test_no_token_is_printed_or_left(session: Session, travelling: Travelling, ann: Account) -> None:
    with session.run(cell(travelling, Notebook.KAGGLE), WAIT="yes"):
        session.until("a worker of")
        assert ann.token not in session.printed
        written = [path for path in session.place.glob("orch-*/**/*") if path.is_file()]
        assert written and not any(ann.token.encode() in path.read_bytes() for path in written)


def test_what_the_notebook_has_stays_as_it_is(session: Session, travelling: Travelling) -> None:
    """The worker's packages lie in a directory of their own."""
    before = set(Path(sys.prefix).glob("lib/python*/site-packages/*"))
    with session.run(cell(travelling, Notebook.COLAB), WAIT="yes"):
        session.until("a worker of")
        assert list(session.place.glob("orch-*/venv/lib/python*/site-packages/workers"))
    assert set(Path(sys.prefix).glob("lib/python*/site-packages/*")) == before
