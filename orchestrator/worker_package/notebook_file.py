"""A notebook as a file: the JSON of nbformat 4.5, which Colab, Kaggle and Jupyter open.

https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook; ids are unique in it."""

    id: str
    source: str
    is_code: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        kind = "code" if self.is_code else "markdown"
        common = {"cell_type": kind, "id": self.id, "metadata": dict(self.metadata)}
        run: dict[str, Any] = {"execution_count": None, "outputs": []} if self.is_code else {}
        return {**common, **run, "source": self.source.splitlines(keepends=True)}


def text(cells: Sequence[Cell], *, with_gpu: bool) -> str:
    """The file's text.

    Args:
        with_gpu: whether Colab shall start the notebook on a machine with a GPU.
    """
    document = {
        "cells": [cell.to_json() for cell in cells],
        "metadata": {
            **({"accelerator": "GPU"} if with_gpu else {}),
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1) + "\n"
