"""The coordinator's notebook, run in a real kernel: from nothing to a planned study, its workers and its report."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from orchestrator.coordinator_notebook import document
from orchestrator.errors import ExitCode
from orchestrator.google_drive import signin
from orchestrator.google_drive.connection import ROOT_URL_VARIABLE
from orchestrator.home import Home
from orchestrator.jobs import JobState
from orchestrator.study import Study
from orchestrator.worker_package import publication
from orchestrator.worker_package.snippet import Notebook
from tests.support.drive import Account, DriveServer
from tests.support.object_store import ObjectServer
from tests.support.object_store.server import ACCESS_KEY, SECRET_KEY
from tests.support.object_store.signed_in import environment_of, url_in
from tests.support.processes import PATIENCE_SECONDS, heed_signals, orch, refused, wait_until

INSTALL, STUDY, SHOW = "install", "study", "show"
SMALL = {"DATASET": "synthetic", "MODELS": "alexnet-tiny", "METHODS": "float32"}
COLAB = 'def authenticate_user():\n    print("signed in with Colab")\n'
USERDATA = """
import json, pathlib
def get(name):
    return json.loads((pathlib.Path(__file__).parents[2] / "secrets.json").read_text())[name]
"""
KAGGLE = """
import json, pathlib
class UserSecretsClient:
    def get_secret(self, name):
        return json.loads((pathlib.Path(__file__).parent / "secrets.json").read_text())[name]
    get_gcloud_credential = lambda self: self.get_secret("")
"""


class Kernel:
    """A notebook that is open, in a kernel of its own."""

    def __init__(self, notebook: Any, place: Path, environment: dict[str, str]) -> None:
        self._notebook = notebook
        self._client = NotebookClient(
            self._notebook, timeout=int(PATIENCE_SECONDS), kernel_name="python3", allow_errors=True
        )
        self._place, self._environment = place, environment

    @contextmanager
    def opened(self) -> Iterator[Kernel]:
        with self._client.setup_kernel(env=self._environment, cwd=str(self._place)):
            yield self

    def source(self, cell: str) -> str:
        (found,) = (each for each in self._notebook.cells if each.id == cell)
        return str(found.source)

    def run(self, cell: str, **form: object) -> Cell:
        """Run one of the notebook's cells, with other values in its form."""
        return self.execute(filled(self.source(cell), form))

    def execute(self, source: str) -> Cell:
        self._notebook.cells.append(nbformat.v4.new_code_cell(source))
        self._client.execute_cell(self._notebook.cells[-1], len(self._notebook.cells) - 1)
        return Cell(self._notebook.cells.pop().outputs)

    def pid(self) -> int:
        return int(self.execute("import os; print(os.getpid())").well().printed)


class Cell:
    """What a cell has left below it."""

    def __init__(self, outputs: list[Any]) -> None:
        self.printed = "".join(each.text for each in outputs if each.output_type == "stream")
        self.html = "".join(each.data.get("text/html", "") for each in outputs if each.output_type == "display_data")
        self.errors = [each for each in outputs if each.output_type == "error"]

    def well(self) -> Cell:
        assert self.errors == [], (self.printed, self.errors)
        return self

    def refusal(self) -> str:
        """The one sentence with which it ended."""
        assert [error.ename for error in self.errors] == ["SystemExit"], self.errors
        told = str(self.errors[0].evalue)
        assert told and "\n" not in told and "Traceback" not in self.printed
        return told


def read(kind: Notebook) -> Any:
    notebook = nbformat.reads(text_of(kind), nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    return notebook


@cache
def text_of(kind: Notebook) -> str:
    return document.text(kind, "gdrive:")


def filled(source: str, form: dict[str, object]) -> str:
    for name, value in form.items():
        begin = source.index(f"\n{name} = ") + 1
        end = source.index("  #@param", begin)
        source = f"{source[:begin]}{name} = {value!r}{source[end:]}"
    return source


@pytest.fixture
def environment(drive: DriveServer, ann: Account, tmp_path: Path) -> dict[str, str]:
    """A notebook service's, with its modules imitated; Ann is signed in, and there is no package index."""
    modules = tmp_path / "modules"
    (modules / "google" / "colab").mkdir(parents=True)
    (modules / "google" / "colab" / "__init__.py").touch()
    (modules / "google" / "colab" / "auth.py").write_text(COLAB)
    (modules / "google" / "colab" / "userdata.py").write_text(USERDATA)
    (modules / "kaggle_secrets.py").write_text(KAGGLE)
    (modules / "secrets.json").write_text("{}")
    left_out = ("ORCH_", "PYTEST", "GOOGLE", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {
        **kept,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(modules),
        "PIP_NO_INDEX": "1",
        "TMPDIR": str(tmp_path),
        ROOT_URL_VARIABLE: drive.url,
        signin.TOKEN_FILE_VARIABLE: str(ann.token_file(tmp_path / "token")),
    }


@pytest.fixture
def opened(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    """Opens notebooks in the same directory, each in a kernel of its own."""
    with_kernels: list[Any] = []

    def open_notebook(kind: Notebook = Notebook.COLAB) -> Kernel:
        context = Kernel(read(kind), tmp_path, environment).opened()
        with_kernels.append(context)
        return context.__enter__()

    yield open_notebook
    for context in with_kernels:
        context.__exit__(None, None, None)


def folders(drive: DriveServer) -> list[str]:
    return [file.id for file in drive.files() if file.name.endswith("(Orch)") and not file.trashed]


def the_home(drive: DriveServer) -> str:
    (folder,) = folders(drive)
    return f"gdrive://{folder}"


def claimed(home: Home) -> list[str]:
    home.jobs.refresh()
    return [job.name for job in home.jobs.jobs() if job.state is JobState.RUNNING]


def test_in_three_cells_a_study_lies_in_a_new_folder_and_the_printed_cell_gives_a_worker_its_first_job(
    opened: Callable[..., Kernel],
    drive: DriveServer,
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packages = set(Path(sys.prefix).glob("lib/python*/site-packages/*"))
    notebook = opened()
    assert "Run the first cell first." in notebook.run(SHOW).refusal()
    assert "Run the first cell first." in notebook.run(STUDY).refusal()
    assert "signed in with Colab" in notebook.run(INSTALL).well().printed
    planned = notebook.run(STUDY, **SMALL).well().printed
    home = the_home(drive)
    assert (
        f"Planned tiny in {home}: " in planned and f'HOME = "{home}"' in planned and "one account a person" in planned
    )
    shown = notebook.run(SHOW).well().html
    assert shown.startswith("<iframe sandbox=") and "<h1>tiny</h1>" in unescape(shown)

    notebook.run(INSTALL).well()
    again = notebook.run(STUDY, **SMALL).well().printed
    assert "0 added" in again and the_home(drive) == home
    assert set(Path(sys.prefix).glob("lib/python*/site-packages/*")) == packages

    monkeypatch.setenv(signin.TOKEN_FILE_VARIABLE, environment[signin.TOKEN_FILE_VARIABLE])
    assert publication.found(home, "tiny").home == home, "the Orch that lies there is this one, byte by byte"
    worker = again.split("-" * 100 + "\n")[1]
    with (
        (tmp_path / "worker").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", worker],
            env=environment,
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=heed_signals,
        ) as process,
    ):
        try:
            (table,) = drive.files("jobs")
            before = table.version  # which tells of a swap at no cost of a request
            wait_until(lambda: table.version > before or process.poll() is not None, "the first claimed job")
            assert claimed(Home.open(home)), (tmp_path / "worker").read_text()
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def test_a_directory_needs_no_sign_in_and_what_no_study_can_be_is_refused_in_a_sentence(
    opened: Callable[..., Kernel], drive: DriveServer, tmp_path: Path
) -> None:
    notebook = opened(Notebook.KAGGLE)
    assert "keep a sign-in as the secret ORCH_GOOGLE" in notebook.run(INSTALL).refusal()
    assert "Run the first cell first." in notebook.run(SHOW).refusal()
    notebook.run(INSTALL, HOME="s3").well()
    hostile = "\"'<script>alert(1)</script>"
    assert notebook.run(STUDY, **SMALL | {"MODELS": hostile}).refusal().startswith("MODELS has")
    assert not (tmp_path / "s3").exists() and not (tmp_path / "study-of-the-form.toml").exists()
    planned = notebook.run(STUDY, **SMALL).well().printed
    assert f"Planned tiny in {tmp_path / 's3'}" in planned and "\x1b" not in planned
    assert planned.strip().endswith('add(python, "orch-train[notebook]"); work(python)')
    assert Study.load(tmp_path / "study-of-the-form.toml").dataset == "synthetic"
    assert folders(drive) == []


@pytest.mark.parametrize("kind", [Notebook.COLAB, Notebook.KAGGLE])
def test_in_a_bucket_a_study_is_planned_and_shown_with_the_keys_among_the_notebooks_secrets(
    kind: Notebook, opened: Callable[..., Kernel], environment: dict[str, str], object_server: ObjectServer
) -> None:
    home = url_in(object_server)
    notebook = opened(kind)
    assert "Keep AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY as secrets" in notebook.run(INSTALL, HOME=home).refusal()
    (Path(environment["PYTHONPATH"]) / "secrets.json").write_text(json.dumps(environment_of(object_server)))
    notebook.run(INSTALL, HOME=home).well()
    planned = notebook.run(STUDY, **SMALL).well().printed
    assert f"Planned tiny in {home}: " in planned and f'HOME = "{home}"' in planned
    worker = planned.split("-" * 100 + "\n")[1]
    assert f"HOME = '{home}'" in worker and object_server.url in worker
    assert SECRET_KEY not in planned and ACCESS_KEY not in planned
    assert "<h1>tiny</h1>" in unescape(notebook.run(SHOW).well().html)
    left = notebook.execute('import os; print([name for name in os.environ if name.startswith("AWS_")])').well()
    assert left.printed == "[]\n"


def test_an_orch_that_is_damaged_is_not_installed(environment: dict[str, str], tmp_path: Path) -> None:
    source = next(str(cell.source) for cell in read(Notebook.COLAB).cells if cell.id == INSTALL)
    begin = source.index('WHEEL = """') + 200
    for damaged in (
        source.replace("SHA256 = '", "SHA256 = 'f", 1),
        f"{source[:begin]}{'A' if source[begin] != 'A' else 'B'}{source[begin + 1 :]}",
        f"{source[:begin]}?{source[begin + 1 :]}",
        re.sub(r'(?s)WHEEL = """.*?"""', 'WHEEL = ""', source),
    ):
        assert "is damaged; have it written anew" in refused_by_python(damaged, environment, tmp_path)
    old = "import sys; sys.version_info = (3, 10, 12)\n"
    assert refused_by_python(old + source, environment, tmp_path) == "Orch needs Python 3.11 or newer.\n"
    assert list(tmp_path.glob("orch-coordinator-*")) == []


def refused_by_python(source: str, environment: dict[str, str], place: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-"], input=source, env=environment, cwd=place, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@pytest.mark.slow
def test_a_worker_in_the_notebook_itself_takes_a_job_of_a_directory_and_gives_it_back_when_interrupted(
    opened: Callable[..., Kernel], tmp_path: Path
) -> None:
    notebook = opened(Notebook.KAGGLE)
    notebook.run(INSTALL, HOME="home").well()
    printed = notebook.run(STUDY, **SMALL, EPOCHS=400).well().printed
    home = Home.open(tmp_path / "home")

    kernel = notebook.pid()

    def interrupt() -> None:
        wait_until(lambda: bool(claimed(home)), "the first claimed job")
        os.kill(kernel, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    worked = notebook.execute(printed.strip().splitlines()[-1]).well()
    assert "alexnet-tiny" in worked.html
    assert claimed(home) == []


def test_the_command_writes_a_notebook_and_says_how_large_it_is(tmp_path: Path) -> None:
    done = orch("snippet", "--coordinator", "--kaggle", "--home", "study", "--notebook", "c.ipynb", cwd=tmp_path)
    assert done.returncode == 0 and re.search(r"Wrote c.ipynb \(0\.\d MB, with this Orch in it\)", done.stdout)
    assert (tmp_path / "c.ipynb").stat().st_size < 1_000_000
    printed = orch("snippet", "--coordinator", "--kaggle", "--home", "study", cwd=tmp_path)
    assert printed.stdout == (tmp_path / "c.ipynb").read_text() and "MB" in printed.stderr
    install = nbformat.reads(printed.stdout, nbformat.NO_CONVERT).cells[1]
    assert "\nHOME = 'study'  #@param" in install.source and "kaggle_secrets" in install.source
    assert json.loads(printed.stdout)["nbformat_minor"] == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--shell",), "in a shell there is orch plan"),
        (("--home", "postgresql://ann:secret@host/db"), "HOME is postgresql://ann@host/db"),
        (("--home", "gdrive://<script>"), "is no folder's id"),
        (("--home", "s3://KEY:secret@bucket"), "keys are never part of it"),
        (("--notebook", "no/such/place.ipynb"), "cannot be written"),
    ],
)
def test_what_no_notebook_can_be_made_of_is_refused(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    assert told in refused(orch("snippet", "--coordinator", *arguments, cwd=tmp_path), ExitCode.USAGE)
