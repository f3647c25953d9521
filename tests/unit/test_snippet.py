"""The cell is for anybody to read and paste: it says what it does, whose Orch it runs, and holds no secret."""

from __future__ import annotations

import ast
import json
from dataclasses import replace

import pytest

from orchestrator.worker_package.publication import Travelling
from orchestrator.worker_package.snippet import SECRET, Notebook, as_notebook, cell

TRAVELLING = Travelling("alexnet-vs-vit", "gdrive://FOLDER", "WHEEL", "ab" * 32)


@pytest.mark.parametrize("notebook", [Notebook.COLAB, Notebook.KAGGLE])
def test_the_cell_is_python_that_names_study_home_and_wheel(notebook: Notebook) -> None:
    text = cell(TRAVELLING, notebook)
    compile(text, "cell", "exec")
    for told in (TRAVELLING.study, TRAVELLING.home, TRAVELLING.wheel, TRAVELLING.sha256):
        assert told in text
    assert "{{" not in text


@pytest.mark.parametrize("notebook", list(Notebook))
def test_whatever_stands_in_a_folder_the_cell_holds_it_as_text_and_runs_none_of_it(notebook: Notebook) -> None:
    """The patterns that keep such values out stand elsewhere: this is the second wall."""
    hostile = 'x"\nimport os; os._exit(7)\nORCH\n"'
    text = cell(Travelling("study", hostile, hostile, hostile), notebook)
    python = text.removeprefix("python3 - <<'ORCH'\n").removesuffix("ORCH\n")
    statements = ast.parse(python).body
    assigned = [node for node in statements if isinstance(node, ast.Assign)]
    assert ast.literal_eval(assigned[0].value) == hostile
    assert "os._exit(7)" not in {
        ast.unparse(node) for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)
    }
    assert "\nORCH\n" not in python


def test_a_worker_may_run_the_code_that_the_cell_names_and_no_other() -> None:
    assert "\nCODE = []" in cell(TRAVELLING, Notebook.COLAB)
    text = cell(replace(TRAVELLING, code=frozenset({"cd" * 32})), Notebook.COLAB)
    compile(text, "cell", "exec")
    assert f"\nCODE = ['{'cd' * 32}']" in text and '*(f"--code={each}" for each in CODE)' in text


def test_each_notebook_signs_in_in_its_own_way() -> None:
    texts = {notebook: cell(TRAVELLING, notebook) for notebook in Notebook}
    assert "google.colab" in texts[Notebook.COLAB] and "kaggle" not in texts[Notebook.COLAB]
    assert SECRET in texts[Notebook.KAGGLE] and "google.colab" not in texts[Notebook.KAGGLE]
    assert texts[Notebook.SHELL].startswith("python3 - <<'ORCH'\n")
    assert texts[Notebook.SHELL].endswith("\nORCH\n")


def test_a_notebook_has_an_explanation_the_terms_and_the_cell() -> None:
    document = json.loads(as_notebook(TRAVELLING, Notebook.COLAB))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    about, code = document["cells"]
    assert (about["cell_type"], code["cell_type"]) == ("markdown", "code")
    assert len({about["id"], code["id"]}) == 2
    assert code["outputs"] == [] and code["execution_count"] is None
    told = "".join(about["source"])
    assert TRAVELLING.study in told and "one account a person" in told and "free tier may not" in told
    assert "".join(code["source"]) == cell(TRAVELLING, Notebook.COLAB)
