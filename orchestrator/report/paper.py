"""What the AlexNet/ViT paper reported, as data, and the sentences that must stand beside it.

Ours is in `orchestrator.report.rows`; nothing here is computed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

DATASET = "cifar10"
"""The paper's figures say something about this data set only."""

HARDWARE_NOTE = (
    "The paper's latencies were taken on other hardware, with other software and an unstated protocol: "
    "they are shown for orientation and must not be divided by ours. Its accuracies can be compared, with "
    "care: only alexnet-paper, alexnet-residual-paper and vit-paper are its networks."
)

SIZE_NOTE = (
    "The paper reports that pruning shrinks AlexNet from 282.2 to 94.2 MB. That is not pruning: 282.2 MB "
    "is a checkpoint with the optimizer's two slots per weight, 94.2 MB the same weights without them "
    "(282.2 is three times 94.2, to rounding). This report therefore states parameters, bytes of weights, "
    "bytes of the file and bytes of the compressed file separately, and none of them counts optimizer "
    "state."
)


@dataclass(frozen=True)
class PaperResult:
    """One line of the paper's tables; None where it gives no figure."""

    model: str
    """The paper's name for it."""
    method: str
    """In our words: float32, float16, dynamic-int8, prune."""
    top1: float | None = None
    top5: float | None = None
    latency_ms: float | None = None
    """One prediction by the converted (TFLite) model."""
    keras_latency_ms: float | None = None
    """One prediction by the Keras model."""
    same_network: bool = False
    """Whether ours is the paper's own network and not just one of the same family."""

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "method": self.method,
            "top1": self.top1,
            "top5": self.top5,
            "latency_ms": self.latency_ms,
            "keras_latency_ms": self.keras_latency_ms,
        }


_RESULTS = {
    ("alexnet", "float32"): PaperResult("AlexNet", "float32", 0.5386, 0.8949, 52.96, 22.6),
    ("alexnet", "float16"): PaperResult("AlexNet", "float16", latency_ms=48.08),
    ("alexnet", "dynamic-int8"): PaperResult("AlexNet", "dynamic-int8", 0.5381, 0.8964, 39.0),
    ("alexnet-residual", "float32"): PaperResult("AlexNet, residual", "float32", 0.5478, 0.9030, 36.5),
    ("alexnet-residual", "prune"): PaperResult("AlexNet, residual", "prune", 0.5478, 0.9027, 19.3),
    ("vit", "float32"): PaperResult("ViT", "float32", 0.6497, 0.9686),
}


def find(dataset: str, model: str, method: str) -> PaperResult | None:
    """The paper's line for this model's family and method; None if it has none, or for another data set."""
    if dataset != DATASET:
        return None
    found = _RESULTS.get((_family(model), method))
    return found and dataclasses.replace(found, same_network=model in _ITS_NETWORKS)


_ITS_NETWORKS = ("alexnet-paper", "alexnet-residual-paper", "vit-paper")


def _family(model: str) -> str:
    # The longest first: every residual AlexNet's name also begins with "alexnet".
    families = ("alexnet-residual", "alexnet", "vit")
    return next((family for family in families if model == family or model.startswith(f"{family}-")), "")
