"""What the methods of tensorflow-model-optimization cannot do, and what they leave alone, in a sentence each.

Plain data in and a sentence out, for whoever plans; nothing here loads TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.recipes import Recipe

METHODS = ("tfmot-prune", "cluster", "qat")

_QAT_LAYERS = frozenset(
    (
        *("InputLayer", "Rescaling", "Conv2D", "DepthwiseConv2D", "Dense", "BatchNormalization", "ReLU", "Activation"),
        *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"),
        *("Add", "Concatenate", "Flatten", "Reshape", "Dropout", "ZeroPadding2D"),
    )
)
"""Classes of Keras' layers with which an int8 file comes out of a network."""


def refusal(method: str, layer_types: Sequence[str], *, attends: bool) -> str | None:
    """Why this method cannot be done to a network, in one sentence; None if it can.

    Args:
        layer_types: the names of the classes of its layers, or nothing where only a catalogue is at hand.
        attends: whether it is a transformer.
    """
    if method != "qat":
        return None
    if attends:
        return (
            "qat cannot quantize a transformer: tensorflow-model-optimization makes no int8 file of its attention; "
            "use dynamic-int8."
        )
    if strangers := sorted(set(layer_types) - _QAT_LAYERS):
        return f"qat cannot quantize layers of the class {strangers[0]}; use dynamic-int8."
    return None


def left_alone(method: str, *, attends: bool) -> str | None:
    """What of a network this method does not change, in one sentence; None if it changes all that it is asked to."""
    if method not in ("tfmot-prune", "cluster"):
        return None
    others = "biases, normalisations, embeddings of positions" if attends else "biases, normalisations"
    return f"{method} changes the kernels of Conv2D and Dense layers: {others}, the first and the last layer stay."


def other_optimizer(recipe: Recipe) -> str | None:
    """Which optimizer takes the place of a recipe's that legacy Keras has not, in one sentence; None if it has it."""
    if recipe.optimizer != "muon":
        return None
    return "Legacy Keras has no Muon: AdamW, at the same learning rate and decay, takes its place."
