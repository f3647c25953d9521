"""A network in tensorflow-model-optimization's wrappers, and its variables by the names that a state has.

The wrapped network's own weights keep the builder's names, `model/...`, whatever the wrappers call them; what the
wrappers add, as masks, centroids and ranges, is `tuning/LAYER/NAME`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from models.compression.legacy.keyed_dropout import KeyedDropout, keyed
from models.compression.narrowing import cloned
from models.failures import PermanentFailure
from models.pruning import Kernel, Pruning
from models.recipes import Training
from models.training.trainer import MODEL, weight_path

TUNING = "tuning/"
"""Prefix of what the wrappers add to a state."""

Variables = dict[str, Any]


class CannotTune(PermanentFailure, ValueError):
    """tensorflow-model-optimization cannot do this to the network; says why in one sentence."""


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A network that is ready to be tuned."""

    model: Any
    variables: Variables
    """All that a state holds of it, by key."""
    derived: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """Weights `model/...` that follow from the variables, as those of clustered kernels do."""
    end_epoch: Callable[[], None] = lambda: None
    """What is to be done after the last step of every pass over the images."""


class _OutputQuantized(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]
    """What a layer without weights gives is int8; tfmot has this config for its own layers alone."""

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        del layer
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        del layer
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        pass

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        del layer
        quantizers = tfmot.quantization.keras.quantizers
        return [quantizers.MovingAverageQuantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)]

    def get_config(self) -> dict[str, Any]:
        return {}


def wrap(method: str, network: Any, training: Training, options: Mapping[str, Any]) -> Wrapped:
    """The same network in the wrappers of `method`.

    Args:
        network: of legacy Keras, with the weights that it begins with.
        options: `sparsity` and `layers` of "tfmot-prune", `clusters`, `layers` and `keep_zeros` of
            "cluster".

    Raises:
        CannotTune: the network has layers that the method cannot do, or whose randomness no state could hold.
        CannotPrune: the layers that are asked for are not there.
    """
    plain = _with_keyed_dropout(network, training.seed)
    if method == "tfmot-prune":
        return _pruned(plain, training, options)
    if method == "cluster":
        return _clustered(plain, options)
    assert method == "qat", f"{method!r} is not tensorflow-model-optimization's"
    return _quantized(plain)


def _with_keyed_dropout(network: Any, seed: int) -> Any:
    numbers = {layer.name: number for number, layer in enumerate(network.layers)}

    def remade(layer: Any) -> Any:
        if type(layer) is tf_keras.layers.Dropout:
            return keyed(layer, seed, numbers[layer.name])
        return type(layer).from_config(layer.get_config())

    plain = _cloned(network, remade)
    random = tf_keras.__internal__.layers.BaseRandomLayer
    for module in plain.submodules:
        if isinstance(module, random) and getattr(module, "rate", None) != 0:
            raise CannotTune(
                f"The layer {module.name!r} draws numbers that no checkpoint in legacy Keras could hold; leave this "
                "method out, or use Dropout layers in the network."
            )
    return plain


def _cloned(network: Any, remade: Callable[[Any], Any]) -> Any:
    """The network with other layers, and with its weights: a wrapper may look at them when it is built."""
    clone = cloned(tf_keras, network, remade)
    for layer in clone.layers:
        theirs = network.get_layer(getattr(layer, "layer", layer).name)
        if theirs.weights:
            getattr(layer, "layer", layer).set_weights(theirs.get_weights())
    return clone


def _pruned(plain: Any, training: Training, options: Mapping[str, Any]) -> Wrapped:
    pruning = Pruning(options["sparsity"], tuple(options["layers"]))
    shares = {kernel.layer: share for kernel, share in pruning.chosen(_kernels(plain)).items()}
    updates = pruning.update_steps(training.total_steps)
    # A whole number of intervals apart: tfmot would end with less otherwise.
    end = max(updates[-1], updates[0] + updates.step)
    sparsity = tfmot.sparsity.keras

    def remade(layer: Any) -> Any:
        own = type(layer).from_config(layer.get_config())
        if layer.name not in shares:
            return own
        decay = sparsity.PolynomialDecay(0.0, shares[layer.name], updates[0], end, frequency=updates.step)
        return sparsity.prune_low_magnitude(own, pruning_schedule=decay)

    model = _cloned(plain, remade)
    callback = sparsity.UpdatePruningStep()
    callback.set_model(model)
    callback.on_train_begin()
    return Wrapped(model, _variables(model, plain), end_epoch=lambda: callback.on_epoch_end(batch=None))


def _clustered(plain: Any, options: Mapping[str, Any]) -> Wrapped:
    # Which layers it is done to is said as for a pruning, whose sparsity plays no part here.
    chosen = {kernel.layer for kernel in Pruning(0.5, tuple(options["layers"])).chosen(_kernels(plain))}
    clustering = tfmot.clustering.keras

    def remade(layer: Any) -> Any:
        if layer.name not in chosen:
            return type(layer).from_config(layer.get_config())
        own = type(layer).from_config(layer.get_config())
        # The centroids are found when the wrapper is built, so the weights are there before.
        own.build(layer.input_shape)
        own.set_weights(layer.get_weights())
        return clustering.cluster_weights(
            own,
            number_of_clusters=options["clusters"],
            cluster_centroids_init=clustering.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=options["keep_zeros"],
        )

    model = cloned(tf_keras, plain, remade)
    for layer in model.layers:
        theirs = plain.get_layer(getattr(layer, "layer", layer).name)
        if theirs.weights and theirs.name not in chosen:
            layer.set_weights(theirs.get_weights())
    variables = _variables(model, plain)
    derived = {}
    for layer in model.layers:
        for name in getattr(layer, "original_clusterable_weights", ()):
            key = f"{MODEL}{layer.layer.name}/{name}"
            variables[f"{TUNING}{layer.name}/{name}"] = variables.pop(key)
            derived[key] = _nearest_centroids(layer, name)
            if layer.preserve_sparsity:
                variables |= _kept_zeros(layer, name)
    return Wrapped(model, variables, derived)


def _kept_zeros(layer: Any, name: str) -> Variables:
    """Which weights are zero, and which centroid is theirs, as variables that a state holds.

    The wrapper finds both when it is built, of weights that are others when a tuning goes on.
    """
    for found in (layer.sparsity_masks, layer.zero_idx):
        found[name] = tf.Variable(found[name], trainable=False)
    prefix = f"{TUNING}{layer.name}/{name}"
    return {f"{prefix}_mask": layer.sparsity_masks[name], f"{prefix}_zero": layer.zero_idx[name]}


def _nearest_centroids(layer: Any, name: str) -> Callable[[], Any]:
    """What a kernel is when its clustering is stripped."""
    algorithm, weights = layer.clustering_algorithms[name], layer.original_clusterable_weights[name]

    def stripped() -> Any:
        kept = weights
        if layer.preserve_sparsity:
            # As the wrapper begins each call: what an optimizer's step has moved is zero again.
            centroids, zero = layer.cluster_centroids[name], layer.zero_idx[name]
            centroids.assign(tf.tensor_scatter_nd_update(centroids, [[zero]], [0.0]))
            kept = weights * layer.sparsity_masks[name]
        return algorithm.get_clustered_weight(algorithm.get_pulling_indices(kept), kept)

    return stripped


def _quantized(plain: Any) -> Wrapped:
    quantization = tfmot.quantization.keras

    def annotated(layer: Any) -> Any:
        own = type(layer).from_config(layer.get_config())
        if isinstance(layer, KeyedDropout):
            return own  # nothing is left of it in a file
        config = _OutputQuantized() if _stands_alone(layer) else None
        return quantization.quantize_annotate_layer(own, quantize_config=config)

    with quantization.quantize_scope({"_OutputQuantized": _OutputQuantized, "KeyedDropout": KeyedDropout}):
        try:
            model = quantization.quantize_apply(_cloned(plain, annotated))
        except (RuntimeError, ValueError) as error:
            raise CannotTune(f"qat cannot quantize this network ({error}); use dynamic-int8.") from error
    return Wrapped(model, _variables(model, plain))


def _stands_alone(layer: Any) -> bool:
    """Whether tfmot needs to be told what becomes of a layer: of a normalisation unless a convolution goes before."""
    layers = tf_keras.layers
    if isinstance(layer, layers.BatchNormalization):
        before = layer.inbound_nodes[0].inbound_layers
        return not isinstance(before, layers.Conv2D | layers.DepthwiseConv2D)
    return isinstance(layer, layers.Rescaling)


def _kernels(network: Any) -> list[Kernel]:
    """The kernels that can be wrapped, from the network's input to its logits."""
    layers = tf_keras.layers
    found = []
    for layer in network.layers:
        # Exactly these classes: a depthwise convolution is a kind of Conv2D.
        kind = {layers.Dense: "dense", layers.Conv2D: "conv"}.get(type(layer))
        if kind:
            found.append(Kernel(weight_path(layer.kernel), layer.name, kind, tuple(layer.kernel.shape)))
    return found


def _variables(model: Any, plain: Any) -> Variables:
    """Every variable by its key."""
    variables: Variables = {}
    for layer in model.layers:
        inner = getattr(layer, "layer", layer)
        theirs = plain.get_layer(inner.name).weights if inner.name in {each.name for each in plain.layers} else []
        if inner is layer and len(theirs) == len(layer.weights):
            variables |= {MODEL + weight_path(mine): own for mine, own in zip(theirs, layer.weights, strict=True)}
            continue
        paths = {_name(weight): MODEL + weight_path(weight) for weight in theirs}
        for weight in {id(weight): weight for weight in layer.weights}.values():
            key = paths.get(_name(weight), f"{TUNING}{layer.name}/{_name(weight)}")
            assert key not in variables, f"two weights of {layer.name} are called {_name(weight)!r}"
            variables[key] = weight
    return variables


def _name(variable: Any) -> str:
    return weight_path(variable).rpartition("/")[2]
