"""The form of the coordinator's notebook: a study follows from it, or a sentence that says what it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import presets
from orchestrator.coordinator_notebook.form import DATASETS, Form
from orchestrator.errors import StudyError
from orchestrator.planning.planner import make_plan
from orchestrator.study import Study


def study(**values: Any) -> Study:
    return Study.parse(Form.read({"preset": "tiny", **values}).study_file())


@pytest.mark.parametrize("preset", presets.NAMES)
def test_an_empty_form_is_the_preset(preset: str) -> None:
    empty = {"dataset": "", "models": "", "methods": "", "shards": 0, "epochs": 0}
    assert Form.read({"preset": preset, **empty}).study_file() == presets.text(preset)
    assert Form.read({"preset": preset}).study_file() == presets.text(preset)


def test_what_the_form_says_stands_in_the_study_and_all_else_is_the_presets() -> None:
    chosen = study(models="vit-tiny, cct", methods=" float32,slim+dynamic-int8", shards="3", epochs=8)
    assert [model.architecture for model in chosen.models] == ["vit-tiny", "cct"]
    assert {tuple(entry.method for entry in model.compress) for model in chosen.models} == {
        ("float32", "slim+dynamic-int8")
    }
    assert (chosen.shards, chosen.training.epochs, chosen.training.epochs_per_visit) == (3, 8, 2)
    assert (chosen.train_images, chosen.leases.tries) == (20000, 3)


def test_a_model_of_the_preset_keeps_its_methods_and_another_gets_the_usual_ones() -> None:
    chosen = study(preset="paper", models=["vit-paper", "cct"])
    of_the_preset = Study.parse(presets.text("paper")).models[-1]
    assert chosen.models[0] == of_the_preset
    assert [entry.method for entry in chosen.models[1].compress] == ["float32", "float16", "dynamic-int8"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_another_data_set_is_planned_with_the_images_that_it_has(dataset: str) -> None:
    assert make_plan(study(dataset=dataset)).study.dataset == dataset


HOSTILE = "\"'<script>alert(1)</script>\n[leases]\nseconds = 1"


@pytest.mark.parametrize("field", ["preset", "dataset", "models", "methods", "shards", "epochs"])
@pytest.mark.parametrize(
    "value", [HOSTILE, HOSTILE * 99, "\x1b[2J", True, 1.5, -1, {"a": 1}, [None], float("nan")], ids=ascii
)
def test_nonsense_is_refused_in_a_sentence_that_names_the_field(field: str, value: object) -> None:
    with pytest.raises(StudyError) as refused:
        study(**{field: value})
    told = str(refused.value)
    assert told.startswith(field.upper()) and told.endswith(".") and told.count("\n") == 0
    assert told.isprintable() and told.isascii() and len(told) < 400


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"epochs": 3}, "EPOCHS is 3; a visit takes 2"),
        ({"methods": "distil"}, "METHODS has 'distil': distil needs the key 'teacher'"),
        ({"models": "resnet"}, "the architectures are alexnet-tiny"),
        ({"shards": 10_000_000}, "SHARDS is 10000000"),
    ],
)
def test_a_choice_that_cannot_be_is_told(values: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError) as refused:
        study(**values)
    assert told in str(refused.value)
