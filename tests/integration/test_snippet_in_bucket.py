"""The exact text of a cell for a study in an object store, run where Colab's and Kaggle's modules are imitated."""

from __future__ import annotations

import hashlib
import os
import tomllib
from pathlib import Path

import pytest

from orchestrator.worker_package.publication import Travelling
from orchestrator.worker_package.snippet import Notebook, as_notebook, cell
from tests.conftest import SMALL
from tests.support.cell_sessions import Session, wheel
from tests.support.object_store import Dialect, Fault, ObjectServer
from tests.support.object_store.server import ACCESS_KEY, SECRET_KEY
from tests.support.object_store.signed_in import MOSTLY_S3, client_of, environment_of, url_in
from tests.support.processes import orch

SHA256 = hashlib.sha256(wheel()).hexdigest()
KEY = f"worker/{SHA256}/orch.whl"
SECRETS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
COLAB = f"""
def get(name):
    return {SECRETS}[name]
"""
KAGGLE = f"""
class UserSecretsClient:
    def get_secret(self, name):
        return {{**{SECRETS}, "ORCH_GOOGLE": "{{}}"}}[name]
"""


@pytest.fixture
def session(object_server: ObjectServer, tmp_path: Path) -> Session:
    """Of a notebook that has no key but in its secrets."""
    modules = tmp_path / "modules"
    (modules / "google" / "colab").mkdir(parents=True)
    (modules / "google" / "colab" / "__init__.py").touch()
    (modules / "google" / "colab" / "userdata.py").write_text(COLAB)
    (modules / "google" / "colab" / "auth.py").write_text("def authenticate_user():\n    print('signed in')\n")
    (modules / "kaggle_secrets.py").write_text(KAGGLE)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(modules),
        "PIP_NO_INDEX": "1",
        "TMPDIR": str(tmp_path),
    }
    if object_server.state.dialect is Dialect.GCS:
        environment["STORAGE_EMULATOR_HOST"] = object_server.url
    return Session(tmp_path, environment)


@pytest.fixture
def travelling(object_server: ObjectServer) -> Travelling:
    client_of(object_server).put(KEY, wheel())
    settings = {"AWS_ENDPOINT_URL": object_server.url} if object_server.state.dialect is Dialect.S3 else {}
    return Travelling("a study", url_in(object_server), KEY, SHA256, settings=settings)


@pytest.mark.parametrize(("notebook", "dialect"), [(Notebook.COLAB, Dialect.S3), (Notebook.KAGGLE, Dialect.GCS)])
def test_it_fetches_orch_with_the_notebooks_secrets_and_starts_the_worker_of_the_home(
    notebook: Notebook, session: Session, travelling: Travelling
) -> None:
    text = cell(travelling, notebook)
    assert SECRET_KEY not in text and ACCESS_KEY not in text
    after = '\nprint("left behind:", [name for name in os.environ if name.startswith("AWS_")])'
    code, told = session.told(text + after)
    assert code == 0, told
    assert f"a worker of ['--home', '{travelling.home}', '--gpus', 'all']" in told
    assert "left behind: []" in told and SECRET_KEY not in told
    assert list(session.place.glob("orch-*")) == []


def test_on_hugging_face_the_owner_is_part_of_the_address(session: Session, object_server: ObjectServer) -> None:
    object_server.state.buckets["ann"] = {}
    with object_server.state.lock:
        object_server.state.put("ann", f"bucket/{KEY}", wheel(), {}, None)
    session.environment |= environment_of(object_server)
    code, told = session.told(cell(Travelling("a study", "hf://ann/bucket", KEY, SHA256), Notebook.COLAB))
    assert code == 0, told
    assert "a worker of ['--home', 'hf://ann/bucket'" in told


def test_an_orch_of_another_digest_is_not_run(session: Session, travelling: Travelling) -> None:
    other = Travelling("a study", travelling.home, KEY, "0" * 64, settings=travelling.settings)
    code, told = session.told(cell(other, Notebook.COLAB))
    assert code != 0
    assert "ask for a new cell" in told and "a worker of" not in told


def test_a_secret_that_is_missing_is_named(session: Session, travelling: Travelling) -> None:
    for module in ("google/colab/userdata.py", "kaggle_secrets.py"):
        lacking = (session.place / "modules" / module).read_text().replace("AWS_ACCESS_KEY_ID", "ANOTHER")
        (session.place / "modules" / module).write_text(lacking)
    for notebook in (Notebook.COLAB, Notebook.KAGGLE):
        code, told = session.told(cell(travelling, notebook))
        assert code != 0
        assert "Keep AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY as secrets" in told and "Traceback" not in told


def test_keys_that_are_not_taken_are_told_in_a_sentence(
    session: Session, travelling: Travelling, object_server: ObjectServer
) -> None:
    object_server.faults.every(lambda *_: True, Fault.FORBIDDEN)
    code, told = session.told(cell(travelling, Notebook.COLAB))
    assert code != 0
    assert "Orch cannot be fetched" in told and "check the keys" in told and "Traceback" not in told


def test_what_fetches_orch_is_what_the_worker_speaks_to_the_service_with(travelling: Travelling) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    wanted = {name.partition(">")[0] for name in project["optional-dependencies"]["objects"]}
    text = cell(Travelling("a study", "gs://bucket/one", KEY, SHA256), Notebook.COLAB)
    assert all(f"'{name}'" in text for name in wanted)
    assert "AWS_ACCESS_KEY_ID" in as_notebook(travelling, Notebook.COLAB)


@MOSTLY_S3
def test_a_planned_study_has_its_cell_and_only_from_the_orch_that_planned_it(
    object_server: ObjectServer, tmp_path: Path
) -> None:
    (tmp_path / "study.toml").write_text(SMALL)
    orch("plan", "--home", url_in(object_server), cwd=tmp_path)
    (published,) = [key for key in object_server.objects() if "/worker/" in key]
    for kind in ("--colab", "--kaggle", "--shell"):
        done = orch("snippet", kind, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert published.removeprefix("studies/one/") in done.stdout
        assert (object_server.url in done.stdout) is (object_server.state.dialect is Dialect.S3)
        assert SECRET_KEY not in done.stdout and ACCESS_KEY not in done.stdout
        assert "One account per person" in done.stderr
    hostile = orch("snippet", cwd=tmp_path, AWS_ENDPOINT_URL="http://ann:sesame@127.0.0.1:1")
    assert "sesame" not in hostile.stdout + hostile.stderr
    object_server.state.buckets["orch-tests"].pop(published)
    told = orch("snippet", cwd=tmp_path)
    assert (told.returncode, "does not travel with" in told.stderr) == (4, True)
