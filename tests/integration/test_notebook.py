"""In a real notebook kernel: the worker's cell is one display, and a home shows how far its study is."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from orchestrator.commands.report import collect
from orchestrator.google_drive import signin
from orchestrator.google_drive.client import DriveClient
from orchestrator.google_drive.connection import ROOT_URL_VARIABLE
from orchestrator.home import Home
from orchestrator.study import Study
from orchestrator.worker_package.publication import Travelling
from orchestrator.worker_package.snippet import Notebook, cell
from tests.support.done_jobs import finish
from tests.support.drive import Account, DriveServer
from tests.support.processes import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
WORKER = """
import json, os, sys
assert os.environ["ORCH_PROGRESS_RECORDS"] == "1"
for number in range(300):
    said = {"worker": "colab-1", "job": "vit/a", "step": number, "steps": 300, "images_per_second": 1234.0}
    print(f"\\x1e{json.dumps(said)}", flush=True)
    print(f"12:00:00  colab-1  line {number} of a long day", flush=True)
"""
METADATA = "Metadata-Version: 2.1\nName: orch-train\nVersion: 0.1.0\nProvides-Extra: notebook\n"


def executed(source: str, place: Path, environment: dict[str, str]) -> list[Any]:
    """The outputs of a cell, as they would be kept in the notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=int(PATIENCE_SECONDS), kernel_name="python3").execute(
        env=environment, cwd=str(place)
    )
    outputs: list[Any] = notebook.cells[0].outputs
    return outputs


@pytest.fixture
def travelling(client: DriveClient) -> Travelling:
    """A worker package whose worker says a lot, beside the display that this Orch has."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        wheel.writestr("workers/__init__.py", "")
        wheel.writestr("workers/__main__.py", WORKER)
        wheel.write(ROOT / "workers" / "cell_display.py", "workers/cell_display.py")
        wheel.writestr("orch_train-0.1.0.dist-info/METADATA", METADATA)
        wheel.writestr(
            "orch_train-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
    file = client.new_id()
    client.create(file, "orch.whl", "root", content.getvalue(), {})
    return Travelling("a study", "gdrive://FOLDER", file, hashlib.sha256(content.getvalue()).hexdigest())


def test_a_long_day_of_a_worker_is_one_display_in_its_cell(
    travelling: Travelling, ann: Account, drive: DriveServer, tmp_path: Path
) -> None:
    modules = tmp_path / "modules"
    (modules / "google" / "colab").mkdir(parents=True)
    (modules / "google" / "colab" / "__init__.py").touch()
    (modules / "google" / "colab" / "auth.py").write_text("def authenticate_user(): pass\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(modules),
        "PIP_NO_INDEX": "1",
        "TMPDIR": str(tmp_path),
        ROOT_URL_VARIABLE: drive.url,
        signin.TOKEN_FILE_VARIABLE: str(ann.token_file(tmp_path / "token")),
    }
    outputs = executed(cell(travelling, Notebook.COLAB), tmp_path, environment)
    (display,) = (output for output in outputs if output.output_type == "display_data")
    assert len(outputs) <= 2, outputs  # beside it at most what pip says
    shown = display["data"]["text/html"]
    assert "line 299 of a long day" in shown and "line 5 of" not in shown and "292 earlier lines" in shown
    assert "line 299 of a long day" in display["data"]["text/plain"]
    assert len(shown) < 5_000


def test_a_home_shows_how_far_its_study_is(
    planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path
) -> None:
    home = planned_home(small_study)
    finish(home, 3)
    source = f"from orchestrator.home import Home\nHome.open({home.url!r})"
    (output,) = executed(source, tmp_path, {**os.environ, "PYTHONPATH": str(ROOT)})
    shown = output["data"]["text/html"]
    assert shown.startswith("<iframe sandbox=")
    assert "3 of 8 jobs done" in unescape(shown) and "<h1>small</h1>" in unescape(shown)
    assert "<script" not in shown


def test_the_results_of_a_study_show_their_report(planned_home: Callable[[Study], Home], small_study: Study) -> None:
    home = planned_home(small_study)
    finish(home)
    shown = collect(home)._repr_html_()
    assert shown.startswith("<iframe sandbox=") and "laptop with LiteRT" in unescape(shown)
    assert "<html" not in shown  # it is quoted whole


def test_a_home_that_cannot_be_read_is_a_sentence_in_a_notebook(
    planned_home: Callable[[Study], Home], small_study: Study
) -> None:
    home = planned_home(small_study)
    assert home.directory is not None
    home.jobs.close()
    (home.directory / "jobs.db").write_text("<script>")
    assert home._repr_html_().startswith("<p>The job table ")
