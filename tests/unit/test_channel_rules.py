from __future__ import annotations

import subprocess
import sys

from models.compression.channel_rules import unknown_types


def test_the_types_whose_channels_slimming_leaves_alone_are_named_once() -> None:
    types = ["Conv2D", "GroupNormalization", "Dense", "ops.Matmul", "GroupNormalization", "mine.Attention"]
    assert unknown_types(types) == ("GroupNormalization", "mine.Attention")


def test_telling_them_loads_neither_tensorflow_nor_keras() -> None:
    script = (
        "import sys, models.compression.channel_rules; print(sorted({'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "[]\n"
