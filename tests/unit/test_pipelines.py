"""What a study's `compress` may name, and what it means."""

from __future__ import annotations

from typing import Any

import pytest

from models.compression import pipelines
from models.compression.pipelines import Transform, UnknownPipeline


def parse(method: str, **options: Any) -> pipelines.Pipeline:
    return pipelines.parse(method, options, None, None)


def test_a_method_alone_is_an_export_without_a_transform() -> None:
    assert parse("dynamic-int8") == pipelines.Pipeline((), "dynamic-int8")


def test_transforms_alone_are_exported_as_float32() -> None:
    pipeline = parse("slim+prune")
    assert [transform.method for transform in pipeline.transforms] == ["slim", "prune"]
    assert pipeline.export == "float32"


def test_a_chain_ends_in_its_export() -> None:
    assert parse("prune+cluster+dynamic-int8").export == "dynamic-int8"


def test_qat_writes_its_own_file() -> None:
    assert parse("slim+qat").export == "qat"


def test_each_transform_has_every_key_of_its_kind_and_no_other() -> None:
    slim, prune = parse("slim+prune", keep_parameters=0.25, sparsity=0.9).transforms
    assert slim == Transform(
        "slim", {"keep_parameters": 0.25, "keep_multiply_adds": None, "criterion": "taylor"}, pipelines.EPOCHS, None
    )
    assert prune.options == {"sparsity": 0.9, "layers": ("dense", "conv")}


def test_slim_keeps_half_of_the_parameters_where_no_budget_is_given() -> None:
    (slim,) = parse("slim").transforms
    assert slim.options["keep_parameters"] == 0.5
    (slim,) = parse("slim", keep_multiply_adds=0.3).transforms
    assert slim.options["keep_parameters"] is None


@pytest.mark.parametrize(
    ("method", "options", "sentence"),
    [
        ("float17", {}, "did you mean 'float16'"),
        ("slim+", {}, "allowed are float32"),
        ("dynamic-int8+float16", {}, "dynamic-int8 writes the file, so it stands last"),
        ("qat+dynamic-int8", {}, "qat writes an int8 file itself"),
        ("prune+slim", {}, "write 'slim+prune'"),
        ("prune+prune-2:4", {}, "prunes twice"),
        ("slim+slim", {}, "one of its parts twice"),
        ("prune+qat", {}, "would undo prune"),
        ("slim", {"sparsity": 0.5}, "sparsity belongs to prune and tfmot-prune, which 'slim' has not"),
        ("prune+cluster", {"clusters": 2}, "cluster after a pruning needs 3 clusters"),
        ("distil", {}, "distil needs the key 'teacher'"),
    ],
)
def test_what_is_no_pipeline_is_refused_with_the_reason(method: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnknownPipeline) as refused:
        parse(method, **options)
    assert sentence in str(refused.value)


def test_a_fine_tunings_length_without_a_fine_tuning_is_refused() -> None:
    with pytest.raises(UnknownPipeline, match="trains nothing"):
        pipelines.parse("float16", {}, 2, None)
