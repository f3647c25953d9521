"""The architectures by name: how each is built and how it is trained.

A name is one of the built-in ones, or a builder of a person's own: `FILE.py:FUNCTION`, whose code travels, or
`package.module:function`, which is imported from where the worker runs.  Importing this
module loads neither TensorFlow nor Keras: a builder gets the `keras` namespace handed in.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.architectures import alexnet, cct, own_network, transformer, vit
from models.own_code import importing, reference
from models.recipes import Augmentation, Recipe

Builder = Callable[..., Any]
"""`build(keras, image_shape=(32, 32, 3), classes=10)`, with float32 pixels 0..255 in and logits out."""

OWN = "FILE.py:FUNCTION and package.module:function"
"""How a person's own are named, for a sentence."""

_USERS_OWN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Architecture:
    """A network that can be trained: its name, its builder, and the recipe that suits it."""

    name: str
    build: Builder
    recipe: Recipe
    wants_gpu: bool = False
    """Training it on a CPU takes days."""
    attends: bool = False
    """Whether it is a transformer: its tokens attend to each other."""
    smallest_side: int = 1
    """Pixels that an image must be high and wide at least: of a smaller one its poolings, or patches, leave nothing."""
    side_multiple: int = 1
    """Of which both sides must be multiples: patches that are cut out of a shifted image leave no rest."""
    channels: int | None = None
    """How many an image must have; None takes any number."""


class UnknownArchitecture(ValueError):
    """The name is neither built in nor a function that can be imported."""


def names() -> tuple[str, ...]:
    """The built-in names."""
    return tuple(_ARCHITECTURES)


def is_known(name: str) -> bool:
    """Whether a study may ask for it: a built-in name, or the shape of a person's own; imports nothing."""
    own = reference.parse(name)
    return name in _ARCHITECTURES or (own.digest is None if own else _USERS_OWN.fullmatch(name) is not None)


def get(name: str) -> Architecture:
    """The architecture of that name; a person's own comes with the default recipe.

    Raises:
        UnknownArchitecture: in one sentence that lists what is allowed.
        OwnCodeFault, Exception: what a person's own code raises as it is imported.
    """
    if name in _ARCHITECTURES:
        return _ARCHITECTURES[name]
    if (own := reference.parse(name)) is not None:
        return Architecture(name, _of_own_code(own), Recipe())
    if _USERS_OWN.fullmatch(name):
        return Architecture(name, _imported(name), Recipe())
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownArchitecture(f"There is no architecture {name!r}; allowed are {', '.join(names())}, {OWN}.{hint}")


def load(keras: Any, path: Path) -> Any:
    """A network saved as `.keras`, in safe mode, with the layers that this package has registered.

    `path` is a file that `Model.save` wrote; nothing in it is executed.
    """
    transformer.register_layers(keras)
    return keras.saving.load_model(path, safe_mode=True, compile=False)


def _of_own_code(own: reference.Reference) -> Builder:
    if not importing.is_installed(own):
        raise UnknownArchitecture(f"The code of {own} has not come with the job; plan the study again.")
    return own_network.builder(own)


def _imported(name: str) -> Builder:
    module, _, function = name.partition(":")
    try:
        builder = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UnknownArchitecture(f"The architecture {name!r} cannot be imported: {error}.") from error
    if not callable(builder):
        raise UnknownArchitecture(f"The architecture {name!r} is a {type(builder).__name__}; it must be a function.")
    return builder  # type: ignore[no-any-return]


# SGD's decay is the learning rate's share too, and Nesterov's momentum of 0.9 does not amplify it:
# 5e-3 here is the 5e-4 of L2 regularisation in the literature.
_CONVOLUTIONS = Recipe(
    optimizer="sgd",
    learning_rate=0.1,
    warmup_fraction=0.1,
    weight_decay=5e-3,
    gradient_clip=None,
    batch_size=128,
    augmentation=Augmentation(crop_padding=4, flip=True, cutout=8),
)
_PATCHES = Recipe(augmentation=Augmentation(crop_padding=4, flip=True, cutout=8))
# After Hassani et al.: their schedule and decay, their mixing of images; no more operations than short trainings bear.
_TOKENS = Recipe(
    weight_decay=0.06,
    ema=0.999,
    augmentation=Augmentation(crop_padding=4, flip=True, cutmix=1.0, randaugment=2),
)
# As the keras.io example trains its ViT (AdamW, constant 1e-3, decay 1e-4, batches of 256), with flips alone.
_PAPER = Recipe(
    learning_rate=1e-3,
    schedule="constant",
    warmup_fraction=0.0,
    weight_decay=1e-4,
    gradient_clip=None,
    label_smoothing=0.0,
    batch_size=256,
    augmentation=Augmentation(crop_padding=0, flip=True),
)
_TINY = Recipe(batch_size=64, label_smoothing=0.0, augmentation=Augmentation(crop_padding=2, flip=True))


def _large(
    name: str,
    build: Builder,
    recipe: Recipe,
    *,
    attends: bool = False,
    smallest_side: int = 1,
    side_multiple: int = 1,
    channels: int | None = None,
) -> Architecture:
    return Architecture(
        name,
        build,
        recipe,
        wants_gpu=True,
        attends=attends,
        smallest_side=smallest_side,
        side_multiple=side_multiple,
        channels=channels,
    )


_ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture("alexnet-tiny", alexnet.alexnet_tiny, _TINY.replace(learning_rate=5e-3), smallest_side=7),
        _large("alexnet-small", alexnet.alexnet_small, _CONVOLUTIONS, smallest_side=8),
        _large("alexnet", alexnet.alexnet, _CONVOLUTIONS, smallest_side=8),
        _large("alexnet-residual-small", alexnet.alexnet_residual_small, _CONVOLUTIONS, smallest_side=8),
        _large("alexnet-residual", alexnet.alexnet_residual, _CONVOLUTIONS, smallest_side=8),
        Architecture("vit-tiny", vit.vit_tiny, _TINY.replace(learning_rate=2e-3), attends=True, smallest_side=8),
        _large("vit-small", vit.vit_small, _PATCHES, attends=True, smallest_side=4),
        _large("vit", vit.vit, _PATCHES, attends=True, smallest_side=4),
        _large("vit-spt-small", vit.vit_spt_small, _TOKENS, attends=True, smallest_side=4, side_multiple=4),
        _large("vit-spt", vit.vit_spt, _TOKENS, attends=True, smallest_side=4, side_multiple=4),
        _large("cct-small", cct.cct_small, _TOKENS, attends=True),
        _large("cct", cct.cct, _TOKENS, attends=True),
        # Without batch normalisation 1e-4 learns faster: loss 2.06 after 64 steps of 64, against 2.20 at 1e-3.
        _large("alexnet-paper", alexnet.alexnet_paper, _PAPER.replace(learning_rate=1e-4), smallest_side=15),
        _large(
            "alexnet-residual-paper",
            alexnet.alexnet_residual_paper,
            _PAPER.replace(learning_rate=1e-4),
            smallest_side=29,
        ),
        # Its normalisation has a mean for each of CIFAR-10's three channels.
        _large("vit-paper", vit.vit_paper, _PAPER, attends=True, smallest_side=6, channels=3),
    )
}
