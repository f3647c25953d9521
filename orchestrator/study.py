"""The file a person writes, validated: what to train, how to split it, what to compare.

Turning a study into jobs lives in `orchestrator.planning.planner`; the ready-made studies in `orchestrator.presets`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from models import datasets, inference_runtimes
from models.architectures import catalog
from models.compression import methods
from models.recipes import Augmentation, Recipe
from orchestrator.errors import StudyError


def _listed(known: tuple[str, ...]) -> str:
    return ", ".join(known)


def _known_dataset(name: str) -> str:
    if not datasets.is_known(name):
        raise ValueError(f"allowed are {_listed(datasets.NAMES)}")
    return name


def _known_architecture(name: str) -> str:
    if not catalog.is_known(name):
        raise ValueError(f"allowed are {_listed(catalog.names())} and package.module:function")
    return name


def _known_method(name: str) -> str:
    if not methods.is_known(name):
        raise ValueError(f"allowed are {_listed(methods.names())}")
    return name


def _known_runtime(name: str) -> str:
    if name not in inference_runtimes.names():
        raise ValueError(f"allowed are {_listed(inference_runtimes.names())}")
    return name


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=100)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class AugmentationChanges(_Section):
    """What a study changes of a recipe's augmentation; None keeps the recipe's value."""

    crop_padding: Annotated[int, Field(ge=0)] | None = None
    flip: bool | None = None
    cutout: Annotated[int, Field(ge=0)] | None = None
    mixup: Annotated[float, Field(ge=0, le=10)] | None = None
    cutmix: Annotated[float, Field(ge=0, le=10)] | None = None
    randaugment: Annotated[int, Field(ge=0, le=4)] | None = None
    magnitude: Annotated[int, Field(ge=1, le=10)] | None = None
    erasing: Annotated[float, Field(ge=0, le=1)] | None = None
    repeats: Annotated[int, Field(ge=1, le=16)] | None = None

    def applied(self, augmentation: Augmentation) -> Augmentation:
        return Augmentation(**{**augmentation.__dict__, **self.model_dump(exclude_none=True)})


class RecipeChanges(_Section):
    """What a study changes of an architecture's recipe; None keeps the recipe's value."""

    optimizer: Literal["adamw", "sgd", "lion", "muon"] | None = None
    learning_rate: PositiveFloat | None = None
    schedule: Literal["cosine", "constant", "one-cycle", "step"] | None = None
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    gradient_clip: PositiveFloat | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    batch_size: PositiveInt | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    augmentation: AugmentationChanges = AugmentationChanges()

    def applied(self, recipe: Recipe) -> Recipe:
        changes = self.model_dump(exclude_none=True, exclude={"augmentation"})
        return recipe.replace(**changes, augmentation=self.augmentation.applied(recipe.augmentation))


class ModelSection(_Section):
    """One `[[models]]`: an architecture, what is changed of its recipe, and how it is compressed."""

    architecture: Annotated[str, AfterValidator(_known_architecture)]
    name: Name = ""
    """How the model is called in the job table and the report; the architecture's name by default."""
    compress: tuple[Annotated[str, AfterValidator(_known_method)], ...] = ("float32",)
    recipe: RecipeChanges = RecipeChanges()

    @property
    def resulting_recipe(self) -> Recipe:
        """The architecture's recipe, as changed; a person's own, which may not be importable here, has the default."""
        own = ":" in self.architecture
        return self.recipe.applied(Recipe() if own else catalog.get(self.architecture).recipe)

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_architecture(cls, values: Any) -> Any:
        if isinstance(values, dict) and "name" not in values:
            return {**values, "name": re.sub(r"[^A-Za-z0-9_-]", "-", str(values.get("architecture", "")))}
        return values

    @field_validator("compress", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("compress")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))


class TrainingSection(_Section):
    """`[training]`: how the visits to the shards are arranged."""

    mode: Literal["relay", "average"] = "relay"
    """"relay": one network goes from shard to shard; "average": one for each shard at once, merged in every round."""
    epochs: PositiveInt = 60
    """Passes over the whole training set."""
    epochs_per_visit: PositiveInt = 2
    """Passes over a shard each time a job visits it."""
    threads: PositiveInt = 2
    """Cores a step computes with on a CPU.  The bits of the result depend on it, so the study says it."""
    device: Literal["auto", "any", "gpu"] = "auto"
    """Which workers train: "auto" leaves the larger architectures to those with a GPU."""
    # Average mode only, from here on.
    outer: Literal["mean", "nesterov"] = "mean"
    """What a merge makes of the replicas' mean: the merged weights, or a gradient for Nesterov's momentum (DiLoCo)."""
    outer_learning_rate: PositiveFloat = 0.7
    outer_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    inner_optimizer: Literal["keep", "reset"] = "keep"
    """Whether a shard's next visit goes on with the optimizer's moments of its last one."""

    @model_validator(mode="after")
    def _whole_visits(self) -> Self:
        if self.epochs % self.epochs_per_visit:
            raise ValueError(f"epochs ({self.epochs}) must be a multiple of epochs_per_visit ({self.epochs_per_visit})")
        return self


class BenchmarkSection(_Section):
    """`[benchmark]`: at which batch sizes and numbers of threads latency is measured, and in which runtimes."""

    batch_sizes: tuple[PositiveInt, ...] = Field(default=(1, 32), min_length=1)
    threads: tuple[PositiveInt, ...] = Field(default=(1, 2), min_length=1)
    runtimes: tuple[Annotated[str, AfterValidator(_known_runtime)], ...] = Field(
        default=(inference_runtimes.LITERT,), min_length=1
    )
    """What runs the networks; each is given those that it can be, and compared with its own float32."""

    @field_validator("batch_sizes", "threads", "runtimes", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("batch_sizes", "threads", "runtimes")
    @classmethod
    def _each_once(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(value))


class LeasesSection(_Section):
    """`[leases]`: when a silent worker has lost its job, and how often a failing job is tried."""

    seconds: Annotated[float, Field(ge=1, le=86400)] | None = None
    """None leaves it to the home: how long a renewal may take differs from kind to kind."""
    tries: PositiveInt = 3


class Study(_Section):
    """A whole study.  Everything but `name`, `dataset` and one model has a default."""

    name: Name
    dataset: Annotated[str, AfterValidator(_known_dataset)]
    train_images: PositiveInt | None = None
    """Use only so many training images, the same number of every class; None is all."""
    test_images: PositiveInt | None = None
    shards: PositiveInt = 5
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    training: TrainingSection = TrainingSection()
    models: tuple[ModelSection, ...] = Field(min_length=1)
    benchmark: BenchmarkSection = BenchmarkSection()
    leases: LeasesSection = LeasesSection()

    @field_validator("seeds", "models", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(value))

    @field_validator("models")
    @classmethod
    def _names_differ(cls, value: tuple[ModelSection, ...]) -> tuple[ModelSection, ...]:
        names = [model.name for model in value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two models are called {repeated[0]!r}; give one of them another `name`")
        return value

    def with_lease_seconds(self, seconds: float) -> Study:
        """This study, with leases of so many seconds."""
        return self.model_copy(update={"leases": self.leases.model_copy(update={"seconds": seconds})})

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Read and check a study file.

        Raises:
            StudyError: there is no such file, it is not TOML, or it says something that is not allowed.
        """
        path = Path(path)
        try:
            # Windows' editors begin a file with a mark that TOML does not know.
            text = path.read_text(encoding="utf-8-sig")
        except (FileNotFoundError, IsADirectoryError):
            raise StudyError(f"There is no study file {path}; `orch init` writes one.") from None
        except UnicodeDecodeError:
            raise StudyError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
        except OSError as error:
            raise StudyError(f"{path} cannot be read: {error.strerror}.") from None
        return cls.parse(text, source=str(path))

    @classmethod
    def parse(cls, text: str, source: str = "the study") -> Study:
        """Check the text of a study; `source` is what an error calls it.  Raises StudyError."""
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise StudyError(f"{source} is not valid TOML: {error}.") from None
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise StudyError(_sentence(error.errors()[0], text, source)) from None


def _sentence(error: ErrorDetails, text: str, source: str) -> str:
    """One sentence from pydantic's first complaint: where, what was found, what is allowed."""
    path = [part for part in error["loc"] if part != "function-after"]
    line = _line_of(path, text)
    where = f"{source}, line {line}" if line else source
    key = _key(path)
    found = error["input"]
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}; {_what_was_meant(path)}"
    if error["type"] == "missing":
        return f"{where}: the key {key!r} is missing."
    reason = error["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    if isinstance(found, dict | list | tuple) or not key:
        return f"{where}: {key + ': ' if key else ''}{reason}."
    return f"{where}: {key} = {found!r} is not allowed: {reason}."


def _key(path: list[int | str]) -> str:
    """`('models', 1, 'compress', 0)` -> `models[1].compress[0]`, counted from 0 as in the file's order."""
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _what_was_meant(path: list[int | str]) -> str:
    section: type[BaseModel] = Study
    for part in path[:-1]:
        if isinstance(part, str):
            section = _SECTIONS.get(part, section)
    names = list(section.model_fields)
    close = difflib.get_close_matches(str(path[-1]), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"allowed are {', '.join(names)}."


_SECTIONS: dict[str, type[BaseModel]] = {
    "training": TrainingSection,
    "models": ModelSection,
    "benchmark": BenchmarkSection,
    "leases": LeasesSection,
    "recipe": RecipeChanges,
    "augmentation": AugmentationChanges,
}


def _line_of(path: list[int | str], text: str) -> int | None:
    """The line on which a key stands, found by its table's header and its name; None if it is not written there.

    tomllib keeps no positions; a key inside an inline table is found on the line of that table.
    """
    lines = text.splitlines()
    start = 0
    names = [part for part in path if isinstance(part, str)]
    index = next((part for part in path if isinstance(part, int)), 0)
    if len(names) > 1 or (names and names[0] in ("models",)):
        pattern = re.compile(rf"^\s*\[+\s*{re.escape(names[0])}\s*\]+")
        headers = [number for number, line in enumerate(lines) if pattern.match(line)]
        if not headers:
            return None
        start = headers[min(index, len(headers) - 1)]
    for name in reversed(names):
        for number in range(start, len(lines)):
            if re.match(rf"^\s*(\S+\.)?\"?{re.escape(name)}\"?\s*=", lines[number]):
                return number + 1
            if number > start and lines[number].lstrip().startswith("["):
                break
    return start + 1 if names and start else None
