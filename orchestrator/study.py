"""The file a person writes, validated: what to train, how to split it, what to compare.

Turning a study into jobs lives in `orchestrator.planning.planner`; the ready-made studies in `orchestrator.presets`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from models import datasets, inference_runtimes
from models.architectures import catalog
from models.compression import methods, pipelines
from models.compression.pipelines import Pipeline
from models.recipes import Augmentation, Recipe
from orchestrator.errors import StudyError
from orchestrator.study_refusals import sentence


def _listed(known: tuple[str, ...]) -> str:
    return ", ".join(known)


def _known_dataset(name: str) -> str:
    if not datasets.is_known(name):
        raise ValueError(f"allowed are {_listed(datasets.NAMES)}")
    return name


def _known_architecture(name: str) -> str:
    if not catalog.is_known(name):
        raise ValueError(f"allowed are {_listed(catalog.names())}, {catalog.OWN}")
    return name


def _known_runtime(name: str) -> str:
    if name not in inference_runtimes.names():
        raise ValueError(f"allowed are {_listed(inference_runtimes.names())}")
    return name


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=100)]
RowName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+=:,-]*$", max_length=60)]
Share = Annotated[float, Field(gt=0, lt=1)]
Layers = Annotated[tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...], Field(min_length=1)]
TWIN = "twin-"
"""How the names of dense twins begin: the networks that are fine-tuned as long as others, and not changed."""

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


class CompressSection(_Section):
    """One entry of `compress`: a pipeline, and what is said about its transforms; None is a transform's own default."""

    method: str
    """A method or transform, or several of them joined by `+`."""
    name: RowName = ""
    """How the report calls the row; the method by default."""
    epochs: PositiveInt | None = None
    learning_rate: PositiveFloat | None = None
    keep_parameters: Share | None = None
    keep_multiply_adds: Share | None = None
    criterion: Literal["taylor", "magnitude"] | None = None
    teacher: Name | None = None
    temperature: Annotated[float, Field(gt=0, le=100)] | None = None
    soft_share: Annotated[float, Field(gt=0, le=1)] | None = None
    sparsity: Share | dict[str, Share] | None = None
    layers: Layers | None = None
    clusters: Annotated[int, Field(ge=2, le=256)] | None = None
    ship: Literal["tflite", "zst"] = "tflite"
    """Which file leaves the worker and is measured: LiteRT's own, or that packed with zstd."""

    @property
    def pipeline(self) -> Pipeline:
        """Raises ValueError (UnknownPipeline): there is no such one."""
        said = self.model_dump(exclude_none=True, exclude={"method", "name", "epochs", "learning_rate", "ship"})
        return pipelines.parse(self.method, said, self.epochs, self.learning_rate)

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_method(cls, values: Any) -> Any:
        if isinstance(values, dict) and "name" not in values:
            return {**values, "name": values.get("method")}
        return values

    @field_validator("layers", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _is_a_pipeline(self) -> Self:
        assert self.pipeline
        return self


def _entry(value: Any) -> Any:
    """A method's name alone is an entry with nothing said about it."""
    if not isinstance(value, str):
        return value
    pipelines.parse(value, {}, None, None)
    return {"method": value}


class DistilSection(_Section):
    """`[models.distil]`: whom a model follows from its first step on."""

    teacher: Name
    temperature: Annotated[float, Field(gt=0, le=100)] = 4.0
    soft_share: Annotated[float, Field(gt=0, le=1)] = 0.5


class ModelSection(_Section):
    """One `[[models]]`: an architecture, what is changed of its recipe, and how it is compressed."""

    architecture: Annotated[str, AfterValidator(_known_architecture)]
    name: Name = ""
    """How the model is called in the job table and the report; the architecture's name by default."""
    compress: tuple[Annotated[CompressSection, BeforeValidator(_entry)], ...] = Field(
        default=("float32",), validate_default=True
    )
    recipe: RecipeChanges = RecipeChanges()
    distil: DistilSection | None = None

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
    def _each_once(cls, value: tuple[CompressSection, ...]) -> tuple[CompressSection, ...]:
        different = [entry for number, entry in enumerate(value) if entry not in value[:number]]
        names = [entry.name for entry in different]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two entries are called {repeated[0]!r}; give one of them another `name`")
        if misleading := [each for each in different if each.name != each.method and methods.is_known(each.name)]:
            raise ValueError(f"{misleading[0].name!r} is another method; choose another `name`")
        if reserved := [name for name in names if name.startswith(TWIN)]:
            raise ValueError(f"{reserved[0]!r} is what a dense twin may be called; choose another `name`")
        return tuple(different)


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
    backend: Literal["tensorflow", "jax"] = "tensorflow"
    """What Keras trains and merges with.  The bits of the result depend on it."""
    device: Literal["auto", "any", "gpu", "tpu"] = "auto"
    """Which workers train: "auto" leaves the larger architectures to those with a GPU or, with JAX, a TPU."""
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

    @model_validator(mode="after")
    def _tpus_run_jax(self) -> Self:
        if self.device == "tpu" and self.backend != "jax":
            raise ValueError('device = "tpu" needs backend = "jax"')
        return self


class BenchmarkSection(_Section):
    """`[benchmark]`: at which batch sizes and numbers of threads latency is measured, and in which runtimes."""

    batch_sizes: tuple[PositiveInt, ...] = Field(default=(1, 32), min_length=1)
    threads: tuple[PositiveInt, ...] = Field(default=(1, 2), min_length=1)
    runtimes: tuple[Annotated[str, AfterValidator(_known_runtime)], ...] = Field(
        default=(inference_runtimes.LITERT,), min_length=1
    )
    """What runs the networks; each is given those that it can be, and compared with its own float32."""
    devices: Literal["one", "each"] = "one"
    """Whether what one worker has measured is measured on the devices of all others, too."""

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

    @model_validator(mode="after")
    def _teachers_come_first(self) -> Self:
        for number, model in enumerate(self.models):
            above = [each.name for each in self.models[:number]]
            fine_tuned = [(entry.teacher, [*above, model.name]) for entry in model.compress if entry.teacher]
            trained = [(model.distil.teacher, above)] if model.distil else []
            for teacher, known in (*fine_tuned, *trained):
                if teacher not in known:
                    raise ValueError(
                        f"the teacher {teacher!r} of {model.name!r} is not among the models that stand above it"
                    )
        return self

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
            raise StudyError(sentence(error.errors()[0], text, source, Study, _SECTIONS)) from None


_SECTIONS: dict[str, type[BaseModel]] = {
    "training": TrainingSection,
    "models": ModelSection,
    "compress": CompressSection,
    "distil": DistilSection,
    "benchmark": BenchmarkSection,
    "leases": LeasesSection,
    "recipe": RecipeChanges,
    "augmentation": AugmentationChanges,
}
