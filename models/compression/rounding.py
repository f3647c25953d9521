"""The weights of methods that change numbers and no graph, for runtimes that are given a Keras network: NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def rounded(weights: Mapping[str, NDArray[Any]], method: str) -> dict[str, NDArray[Any]]:
    """Trained weights by name as `method` ("float32" or "float16") leaves them, each of its old dtype.

    "float16" rounds what has two axes or more, the kernels; biases and normalisation keep their bits, as in its LiteRT
    file.  There it rounds kernels after batch normalisation was folded into them, so that the two agree to float16's
    precision and not to the bit.
    """
    if method == "float32":
        return dict(weights)
    assert method == "float16", f"no weights of a Keras network follow from {method}"
    return {
        name: array.astype(np.float16).astype(array.dtype) if array.ndim > 1 else array
        for name, array in weights.items()
    }
