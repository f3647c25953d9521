from __future__ import annotations

import pytest

from orchestrator.report import paper


@pytest.mark.parametrize(
    ("model", "method", "top1"),
    [
        ("alexnet-paper", "float32", 0.5386),
        ("alexnet-tiny", "dynamic-int8", 0.5381),
        ("alexnet-residual-paper", "float32", 0.5478),
        ("alexnet-residual", "prune", 0.5478),
        ("vit", "float32", 0.6497),
    ],
)
def test_a_model_stands_beside_its_family_in_the_paper(model: str, method: str, top1: float) -> None:
    found = paper.find("cifar10", model, method)

    assert found is not None and found.top1 == top1


@pytest.mark.parametrize(
    ("dataset", "model", "method"),
    [("cifar100", "vit", "float32"), ("cifar10", "vit", "int4"), ("cifar10", "vitamin", "float32")],
)
def test_what_the_paper_did_not_measure_stands_alone(dataset: str, model: str, method: str) -> None:
    assert paper.find(dataset, model, method) is None


def test_a_smaller_model_of_the_family_is_not_taken_for_the_papers_network() -> None:
    same = {
        model: found.same_network
        for model in ("vit-paper", "vit-tiny")
        if (found := paper.find("cifar10", model, "float32"))
    }
    assert same == {"vit-paper": True, "vit-tiny": False}
