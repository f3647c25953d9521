"""A wrong study gives one sentence that says where, what was found and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import presets
from orchestrator.errors import ExitCode, StudyError
from orchestrator.study import Study

RIGHT = """name = "mine"
dataset = "cifar10"
shards = 5

[training]
epochs = 4

[[models]]
architecture = "alexnet-tiny"

[[models]]
architecture = "vit-tiny"
compress = ["float32", "float16"]
"""


def refusal(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        Study.parse(text, source="study.toml")
    assert caught.value.exit_code == ExitCode.USAGE
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_study_needs_only_a_name_a_dataset_and_a_model() -> None:
    study = Study.parse('name = "a"\ndataset = "cifar10"\n[[models]]\narchitecture = "vit"')
    assert (study.shards, study.seeds, study.training.epochs, study.leases.seconds) == (5, (0,), 60, None)
    assert study.models[0].name == "vit"
    assert [entry.name for entry in study.models[0].compress] == ["float32"]


@pytest.mark.parametrize("preset", presets.NAMES)
def test_every_preset_is_a_valid_study(preset: str) -> None:
    assert Study.parse(presets.text(preset)).models


@pytest.mark.parametrize("preset", presets.NAMES)
def test_a_preset_leaves_the_length_of_its_leases_to_the_home(preset: str) -> None:
    assert Study.parse(presets.text(preset)).leases.seconds is None


def test_a_tpu_is_refused_to_tensorflow_with_the_backend_that_can_use_one() -> None:
    told = refusal(RIGHT.replace("epochs = 4", 'epochs = 4\ndevice = "tpu"'))
    assert 'device = "tpu" needs backend = "jax"' in told


def test_an_unknown_runtime_is_refused_with_those_that_there_are() -> None:
    told = refusal(f'{RIGHT}[benchmark]\nruntimes = ["onnx"]\n')
    assert "'onnx' is not allowed: allowed are litert, tensorflow, onnxruntime" in told


def test_a_wrong_key_is_named_with_its_line_and_the_key_that_was_meant() -> None:
    assert refusal(RIGHT.replace("shards =", "shard =")) == (
        "study.toml, line 3: unknown key 'shard'; did you mean 'shards'?"
    )


def test_a_wrong_key_in_a_section_is_named_with_its_section() -> None:
    sentence = refusal(RIGHT.replace("epochs = 4", "epoch = 4"))
    assert sentence.startswith("study.toml, line 6: unknown key 'training.epoch'; did you mean 'epochs'")


def test_a_wrong_key_in_the_second_model_is_found_there() -> None:
    sentence = refusal(RIGHT.replace("compress =", "compres ="))
    assert sentence.startswith("study.toml, line 13: unknown key 'models[1].compres'")


def test_a_wrong_type_is_shown_with_what_was_found() -> None:
    assert refusal(RIGHT.replace("shards = 5", 'shards = "five"')).startswith(
        "study.toml, line 3: shards = 'five' is not allowed: "
    )


def test_zero_shards_are_refused() -> None:
    assert refusal(RIGHT.replace("shards = 5", "shards = 0")).startswith(
        "study.toml, line 3: shards = 0 is not allowed"
    )


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    sentence = refusal(RIGHT.replace("vit-tiny", "vitt"))
    assert sentence.startswith("study.toml, line 12: models[1].architecture = 'vitt' is not allowed")
    assert "alexnet-tiny" in sentence and "vit-tiny" in sentence


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    sentence = refusal(RIGHT.replace('"float16"', '"float17"'))
    assert "models[1].compress[1] = 'float17' is not allowed" in sentence
    assert "dynamic-int8" in sentence


def test_an_unknown_dataset_is_refused_with_the_known_ones() -> None:
    sentence = refusal(RIGHT.replace('"cifar10"', '"cifar11"'))
    assert sentence.startswith("study.toml, line 2: dataset = 'cifar11' is not allowed")
    assert "synthetic" in sentence


def test_a_missing_key_is_named() -> None:
    assert refusal(RIGHT.replace('dataset = "cifar10"\n', "")) == "study.toml: the key 'dataset' is missing."


def test_a_study_without_models_is_refused() -> None:
    assert "models" in refusal('name = "a"\ndataset = "cifar10"\nmodels = []\n')


def test_epochs_that_do_not_fill_their_visits_are_refused_with_both_numbers() -> None:
    sentence = refusal(RIGHT.replace("epochs = 4", "epochs = 5"))
    assert "epochs (5) must be a multiple of epochs_per_visit (2)" in sentence


def test_two_models_of_one_name_are_refused() -> None:
    assert "'alexnet-tiny'" in refusal(RIGHT.replace("vit-tiny", "alexnet-tiny"))


def test_a_name_with_a_slash_is_refused() -> None:
    assert "name = 'a/b' is not allowed" in refusal(RIGHT.replace('"mine"', '"a/b"'))


def test_what_is_not_toml_is_refused_with_its_line() -> None:
    assert "line 1" in refusal("name = \n")


def test_a_missing_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="orch init"):
        Study.load(tmp_path / "none.toml")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "study.toml"
    file.write_text(f"# für uns\n{RIGHT}", encoding=encoding)
    with pytest.raises(StudyError, match="is not UTF-8 text; save it as UTF-8"):
        Study.load(file)


def test_the_mark_with_which_windows_editors_begin_a_file_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(RIGHT, encoding="utf-8-sig")
    assert Study.load(file) == Study.parse(RIGHT)


def test_a_recipe_can_be_changed_in_part() -> None:
    study = Study.parse(RIGHT + "recipe = { batch_size = 32, augmentation = { flip = false } }\n")
    from models.recipes import Recipe

    changed = study.models[1].recipe.applied(Recipe(learning_rate=0.5))
    assert (changed.batch_size, changed.learning_rate, changed.augmentation.flip) == (32, 0.5, False)
    assert changed.augmentation.crop_padding == Recipe().augmentation.crop_padding
