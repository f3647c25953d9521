"""What is said of tensorflow-model-optimization's limits before anything is computed."""

from __future__ import annotations

from models.compression.legacy.limits import left_alone, other_optimizer, refusal
from models.recipes import Recipe


def test_qat_of_a_transformer_is_refused() -> None:
    assert "qat cannot quantize a transformer" in (refusal("qat", [], attends=True) or "")
    assert refusal("cluster", [], attends=True) is None


def test_qat_names_the_layer_that_it_cannot_quantize() -> None:
    assert refusal("qat", ["Conv2D", "Dense"], attends=False) is None
    assert "LayerNormalization" in (refusal("qat", ["Conv2D", "LayerNormalization"], attends=False) or "")


def test_what_clustering_and_pruning_leave_alone_is_said() -> None:
    assert "embeddings" in (left_alone("cluster", attends=True) or "")
    assert "embeddings" not in (left_alone("tfmot-prune", attends=False) or "embeddings")
    assert left_alone("qat", attends=False) is None


def test_only_muon_has_no_legacy_optimizer() -> None:
    assert "AdamW" in (other_optimizer(Recipe(optimizer="muon")) or "")
    assert other_optimizer(Recipe(optimizer="lion")) is None
