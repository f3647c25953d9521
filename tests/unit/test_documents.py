"""What the documents say is so: keys, defaults, recipes, presets, commands, paths and links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import BaseModel

from models import datasets, inference_runtimes
from models.architectures import catalog
from models.compression import methods, pipelines
from models.recipes import Recipe
from orchestrator import presets
from orchestrator.planning.planned_jobs import train_images
from orchestrator.planning.planner import make_plan
from orchestrator.study import (
    AugmentationChanges,
    BenchmarkSection,
    CompressSection,
    DistilSection,
    LeasesSection,
    ModelSection,
    RecipeChanges,
    Study,
    TrainingSection,
)
from tests.support.command_lines import commands_in, unknown_words

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
STUDY_PAGE = ROOT / "docs/study.md"
OVERVIEW = ROOT / "docs/overview.md"
OVERVIEW_WORDS = 1000
SECTIONS: dict[str, type[BaseModel]] = {
    "The study": Study,
    "[training]": TrainingSection,
    "[[models]]": ModelSection,
    "[models.recipe]": RecipeChanges,
    "[models.distil]": DistilSection,
    "[models.recipe.augmentation]": AugmentationChanges,
    "[benchmark]": BenchmarkSection,
    "[leases]": LeasesSection,
}
PACKAGES = ("models", "orchestrator", "workers", "tests")
EACH_DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
EACH_SECTION = pytest.mark.parametrize("section", SECTIONS)


def tokens(document: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(document.read_text(encoding="utf-8"))


def inline(document: Path) -> Iterator[Token]:
    for token in tokens(document):
        yield from token.children or []


def code_spans(document: Path) -> list[str]:
    return [token.content for token in inline(document) if token.type == "code_inline"]


def fences(document: Path, language: str | None = None) -> list[str]:
    return [token.content for token in tokens(document) if token.type == "fence" and language in (None, token.info)]


def headings(document: Path) -> list[str]:
    parsed = tokens(document)
    return [plain(after.content) for before, after in pairwise(parsed) if before.type == "heading_open"]


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def plain(cell: str) -> str:
    return cell.strip().strip("`")


def table(heading: str) -> list[dict[str, str]]:
    """The first table under a heading of the study's page: a row each, cells by the names of their columns."""
    text = STUDY_PAGE.read_text(encoding="utf-8")
    (start,) = [match.end() for match in re.finditer(r"^## (.+)$", text, re.MULTILINE) if plain(match[1]) == heading]
    under = re.split(r"^## ", text[start:], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip().strip("|").split(" | ") for line in under.splitlines() if line.startswith("|")]
    names, rows = [plain(name) for name in lines[0]], lines[2:]
    assert all(len(row) == len(names) for row in rows), f"a row of the table under {heading} has other columns"
    return [dict(zip(names, map(str.strip, row), strict=True)) for row in rows]


def value(cell: str) -> Any:
    """`5` in a cell is the value that TOML gives it; words outside of code are for the reader alone."""
    return tomllib.loads(f"value = {cell[1:-1]}")["value"] if re.fullmatch(r"`[^`]+`", cell) else None


@EACH_SECTION
def test_every_key_of_a_study_is_documented_and_no_other(section: str) -> None:
    assert [plain(row["key"]) for row in table(section)] == list(SECTIONS[section].model_fields)


@EACH_SECTION
def test_the_documented_defaults_are_those_of_the_program(section: str) -> None:
    fields = SECTIONS[section].model_fields
    for row in table(section):
        key, cell = plain(row["key"]), row["default"]
        default = fields[key].get_default()
        assert (cell == "required") == fields[key].is_required(), f"{key} is documented as {cell}"
        if (documented := value(cell)) is not None:
            assert documented == (list(default) if isinstance(default, tuple) else default), f"{key} = {default}"
        else:
            assert not isinstance(default, int | float | tuple), f"the default of {key}, {default}, is not documented"


def test_every_key_of_a_pipeline_is_documented_with_the_default_of_its_transforms() -> None:
    rows = {plain(row["key"]): row["default"] for row in table("Transforms and pipelines")}
    assert list(rows) == list(CompressSection.model_fields)
    defaults = {key: default for kind in pipelines.KINDS.values() for key, default in kind.defaults.items()}
    defaults |= {"epochs": pipelines.EPOCHS, "keep_parameters": pipelines.KEEP_PARAMETERS}
    defaults |= {"ship": CompressSection.model_fields["ship"].default}
    documented = {key: found for key, cell in rows.items() if (found := value(cell)) is not None}
    assert documented == {
        key: list(it) if isinstance(it, tuple) else it for key, it in defaults.items() if it is not None
    }


def test_the_recipe_of_every_architecture_is_documented_as_it_is() -> None:
    recipes = {name: catalog.get(name).recipe for name in catalog.names()} | {"your own": Recipe()}
    rows = {plain(row.pop("architecture")): row for row in table("The recipes of the built-in architectures")}
    assert rows.keys() == recipes.keys()
    for name, recipe in recipes.items():
        values = {**vars(recipe), **vars(recipe.augmentation)}
        del values["augmentation"]
        assert rows[name] == {key: "off" if it is None else f"`{toml(it)}`" for key, it in values.items()}, name


def test_the_images_that_every_architecture_takes_are_documented_as_they_are() -> None:
    rows = {plain(row["architecture"]): row for row in table("Images that the built-in architectures take")}
    assert list(rows) == list(catalog.names())
    for name, row in rows.items():
        architecture = catalog.get(name)
        told = [row["pixels high and wide, at least"], row["channels"]]
        assert told == [str(architecture.smallest_side), str(architecture.channels or "any")], name


def toml(it: Any) -> str:
    return str(it).lower() if isinstance(it, bool) else str(it)


def test_the_presets_are_documented_as_they_are() -> None:
    rows = {plain(row["preset"]): row for row in table("Presets")}
    assert tuple(rows) == presets.NAMES
    for name, row in rows.items():
        study = Study.parse(presets.text(name))
        plan = make_plan(study)
        images = train_images(study, plan.description)
        figures = [images, study.shards, study.training.epochs, len(plan.jobs)]
        assert [int(row[column]) for column in ("training images", "shards", "epochs", "jobs")] == figures, name
        assert re.findall(r"`(.+?)`", row["models"]) == [model.name for model in study.models], name


@pytest.mark.parametrize(
    "name", [*datasets.NAMES, *methods.names(), *inference_runtimes.names(), "package.module:function"]
)
def test_what_a_key_may_be_given_is_documented(name: str) -> None:
    assert f'"{name}"' in STUDY_PAGE.read_text(encoding="utf-8")


@EACH_DOCUMENT
def test_every_example_of_a_study_can_be_planned(document: Path) -> None:
    examples = [example for example in fences(document, "toml") if "name" in tomllib.loads(example)]
    assert len(examples) >= 2 or document != STUDY_PAGE, "the study's page has a smallest and a complete example"
    for example in examples:
        study = Study.parse(example, source=f"an example in {document.name}")
        # The page that names a function for the data is followed to the letter by a test of its own.
        some = datasets.describe("synthetic") if datasets.is_code(study.dataset) else None
        assert make_plan(study, some).jobs


@EACH_DOCUMENT
def test_every_command_line_names_a_command_and_options_that_there_are(document: Path) -> None:
    shell = [line for block in fences(document) for line in block.replace("\\\n", " ").splitlines()]
    for words in [words for line in (*shell, *code_spans(document)) for words in commands_in(line)]:
        assert not unknown_words(words), f"{' '.join(words)}: there is no {unknown_words(words)[0]}"


@EACH_DOCUMENT
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for token in inline(document):
        link = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if not link or re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), f"{link} leads nowhere"
        if fragment:
            assert fragment in map(anchor, headings(target)), f"{link}: no heading of {target.name} is called so"


@EACH_DOCUMENT
def test_every_path_that_is_named_exists(document: Path) -> None:
    directories = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for span in code_spans(document):
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", span) or "/" not in span:
            continue
        if span.partition("/")[0] in directories or re.search(r"\.(py|md|toml|ya?ml|Dockerfile)$", span):
            assert (ROOT / span).exists(), f"there is no {span}"


@EACH_DOCUMENT
def test_every_module_and_name_of_ours_that_is_named_exists(document: Path) -> None:
    for span in code_spans(document):
        if re.fullmatch(rf"({'|'.join(PACKAGES)})(\.\w+)+", span):
            assert_is_ours(span)


def test_a_newcomer_reads_the_overview_in_ten_minutes() -> None:
    assert len(OVERVIEW.read_text(encoding="utf-8").split()) < OVERVIEW_WORDS


def assert_is_ours(dotted: str) -> None:
    """A module of ours, or a name that the text of one defines; nothing is imported, because much loads TensorFlow."""
    path, names = ROOT, dotted.split(".")
    while names and ((path / names[0]).is_dir() or (path / f"{names[0]}.py").is_file()):
        path = path / names.pop(0)
    if not names:
        return
    module = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
    defined = rf"^(class|def) {names[0]}\b|^{names[0]}\b.*="
    assert re.search(defined, module.read_text(encoding="utf-8"), re.MULTILINE), f"there is no {dotted}"
