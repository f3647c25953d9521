"""The form of the notebook: what a person has chosen, checked, and the study file that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models import datasets
from models.architectures import catalog
from models.compression import pipelines
from orchestrator import presets
from orchestrator.errors import StudyError
from orchestrator.study import Study

DATASETS = ("cifar10", "cifar100", "synthetic")
"""Those that need no files of a person's own."""

_METHODS = ["float32", "float16", "dynamic-int8"]
"""What a model is given that the preset does not have: what every architecture can be."""

_MOST = 1_000_000
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Form:
    """What the form says about a study; None and nothing leave it to the preset."""

    preset: str
    dataset: str | None
    models: tuple[str, ...]
    """Architectures."""
    methods: tuple[str, ...]
    """Of compression, for every model."""
    shards: int | None
    epochs: int | None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Form:
        """Check the values of the notebook's variables, whatever a person has typed.  Raises StudyError."""
        preset = values.get("preset")
        if preset not in presets.NAMES:
            raise StudyError(f"PRESET is {_shown(preset)}; the presets are {', '.join(presets.NAMES)}.")
        form = cls(
            preset,
            _dataset(values.get("dataset")),
            _names("MODELS", values.get("models"), _check_architecture),
            _names("METHODS", values.get("methods"), _check_method),
            _number("SHARDS", values.get("shards")),
            _number("EPOCHS", values.get("epochs")),
        )
        form._check_epochs()
        return form

    def study_file(self) -> str:
        """The preset's file with what the form changes of it.  Raises StudyError: together it is no study."""
        import tomlkit  # the notebook has it; who only writes the notebook need not

        document: Any = tomlkit.parse(presets.text(self.preset))
        if self.dataset is not None:
            document["dataset"] = self.dataset
            _leave_out_more_images_than_there_are(document, datasets.describe(self.dataset))
        if self.shards is not None:
            document["shards"] = self.shards
        if self.epochs is not None:
            document["training"]["epochs"] = self.epochs
        if self.models:
            known = {model["architecture"]: model for model in document["models"]}
            chosen = tomlkit.aot()
            for name in self.models:
                chosen.append(known.get(name) or tomlkit.item({"architecture": name, "compress": _METHODS}))
            document["models"] = chosen
        if self.methods:
            for model in document["models"]:
                model["compress"] = list(self.methods)
        text = tomlkit.dumps(document)
        Study.parse(text, "The study of the form")
        return text

    def _check_epochs(self) -> None:
        visit = Study.parse(presets.text(self.preset)).training.epochs_per_visit
        if self.epochs is not None and self.epochs % visit:
            raise StudyError(
                f"EPOCHS is {self.epochs}; a visit takes {visit} in the preset {self.preset}: give a multiple of that."
            )


def _leave_out_more_images_than_there_are(document: Any, dataset: datasets.Description) -> None:
    for key, there in (("train_images", dataset.train_images), ("test_images", dataset.test_images)):
        if document.get(key, 0) > there:
            del document[key]


def _dataset(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if value not in DATASETS:
        raise StudyError(f"DATASET is {_shown(value)}; give one of {', '.join(DATASETS)}, or nothing.")
    return str(value)


def _names(variable: str, value: Any, check: Callable[[str, str], None]) -> tuple[str, ...]:
    """Names between commas, or a list of them; each once."""
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise StudyError(f"{variable} is {_shown(value)}; give names with commas between them, or nothing.")
    names = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    for name in names:
        check(variable, name)
    return names


def _check_architecture(variable: str, name: str) -> None:
    if name not in catalog.names():
        raise StudyError(f"{variable} has {_shown(name)}; the architectures are {', '.join(catalog.names())}.")


def _check_method(variable: str, name: str) -> None:
    try:
        pipelines.parse(name, {}, None, None)
    except pipelines.UnknownPipeline as error:
        raise StudyError(f"{variable} has {_shown(name)}: {str(error).removesuffix('.')}.") from None


def _number(variable: str, value: Any) -> int | None:
    """A number from 1 on; 0 and nothing are None."""
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        return None
    number = int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else text
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MOST:
        raise StudyError(f"{variable} is {_shown(value)}; give a whole number from 1 on, or 0 for the preset's.")
    return number or None


def _shown(value: Any) -> str:
    """As Python writes it, in ASCII and not too long."""
    told = ascii(value)
    return told if len(told) <= _LONGEST_SHOWN else f"{told[:_LONGEST_SHOWN]}..."
