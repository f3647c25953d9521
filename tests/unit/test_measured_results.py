"""docs/results.md says what was measured: its tables are made of the files beside it."""

from __future__ import annotations

from pathlib import Path

import compression
import gpu_tables
import paper_tables
import pytest
import recipes

from orchestrator.study import Study

DOCUMENTS = Path(__file__).parents[2] / "docs"
FILES = sorted((DOCUMENTS / "results").glob("*.jsonl"))
COMPRESSION = sorted((DOCUMENTS / "results").glob("compression-*.json"))
RECIPES = sorted((DOCUMENTS / "results").glob("recipes-*.json"))
PAPER = sorted((DOCUMENTS / "results").glob("paper-*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_table_of_a_file_stands_in_the_results(file: Path) -> None:
    told = (DOCUMENTS / "results.md").read_text(encoding="utf-8")
    assert file.name in told
    for table in gpu_tables.tables(gpu_tables.read([file])).split("\n\n"):
        assert table in told


@pytest.mark.parametrize("file", PAPER, ids=lambda file: file.stem)
def test_every_table_of_the_papers_study_stands_in_the_results(file: Path) -> None:
    told = (DOCUMENTS / "results.md").read_text(encoding="utf-8")
    assert file.name in told and file.with_suffix(".toml").name in told
    tables = paper_tables.tables(paper_tables.read(file))
    assert len(tables) == 4
    for table in tables:
        assert table in told


@pytest.mark.parametrize("file", PAPER, ids=lambda file: file.stem)
def test_the_study_that_is_kept_is_the_one_whose_results_are_kept(file: Path) -> None:
    study = Study.load(file.with_suffix(".toml"))
    report = paper_tables.read(file)
    assert report["study"] == study.name
    measured = {(row["model"], row["method"]) for row in report["rows"]}
    assert measured >= {(model.name, entry.name) for model in study.models for entry in model.compress}
    assert len(report["history"]["deaths"]) >= 3


@pytest.mark.parametrize("file", COMPRESSION, ids=lambda file: file.stem)
def test_the_table_of_what_compression_gave_stands_in_the_results(file: Path) -> None:
    told = (DOCUMENTS / "results.md").read_text(encoding="utf-8")
    report = paper_tables.read(file)
    assert file.name in told and file.with_suffix(".toml").name in told
    for model in Study.load(file.with_suffix(".toml")).models:
        rows = [row for row in report["rows"] if row["model"] == model.name]
        assert compression.table(rows) in told
        assert {row["method"] for row in rows} >= {entry.name for entry in model.compress}


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_table_of_what_recipes_gained_stands_in_the_results(file: Path) -> None:
    told = (DOCUMENTS / "results.md").read_text(encoding="utf-8")
    assert file.name in told and file.with_suffix(".toml").name in told and file.with_suffix(".svg").name in told
    accuracies = recipes.top1_of(paper_tables.read(file)["rows"], [recipes.PAPER, *recipes.CHANGES])
    assert {len(each) for each in accuracies.values()} == {len(recipes.SEEDS)}
    assert recipes.table(accuracies) in told
    assert len(Study.load(file.with_suffix(".toml")).models) == len(accuracies)


def test_a_failure_and_a_training_that_was_cut_off_are_told() -> None:
    failed = {"figure": "failed", "network": "cct", "way": "fit", "error": "TimeoutError()"}
    cut_off = {
        "figure": "accuracy",
        "network": "cct",
        "aim": 0.9,
        "epochs": 3,
        "cut_off": True,
        "training": {"recipe": {"optimizer": "muon", "schedule": "cosine"}},
        "top1": 0.5,
        "top1_interval": [0.4, 0.6],
        "top1_with_mirrored_image": 0.55,
        "seconds": 7.2,
    }
    printed = gpu_tables.tables([failed, cut_off])
    assert "| cct | fit | TimeoutError() |" in printed
    assert "| `cct` | 3, cut off | muon, cosine | 50.00 (40.00 to 60.00) | 55.00 | 90.0 | 7 |" in printed
