"""What a contributor is told is so: names of targets, tests and files, and one list of static checks."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUESTIONS = 10


def answers() -> list[str]:
    rows = PAGE.partition("\n## Ten questions of a newcomer\n")[2]
    return re.findall(r"^\| .+\? \| (.+) \|$", rows, re.MULTILINE)


def recipe(target: str) -> list[str]:
    """What `make` would run."""
    printed = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return printed.splitlines()


def test_every_question_of_a_newcomer_is_answered_by_files_that_there_are() -> None:
    assert len(answers()) == QUESTIONS
    for answer in answers():
        files = re.findall(r"`(\w+(?:/\w+)+\.py)`", answer)
        assert files and all((ROOT / file).is_file() for file in files), answer


def test_what_an_answer_calls_a_function_is_one() -> None:
    for answer in answers():
        for name, file in re.findall(r"`(\w+)` in `(\w+(?:/\w+)+\.py)`", answer):
            assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), answer


def test_every_target_that_is_named_can_be_made() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)`", PAGE))
    assert {"check", "test-fast", "test", "test-slow", "coverage"} <= named
    assert all(recipe(target) for target in named)


def test_every_test_that_is_given_as_an_example_exists() -> None:
    examples = re.findall(r"(tests/\S+\.py)::(\w+)", PAGE)
    assert examples
    for file, name in examples:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_static_checks_are_the_same_wherever_they_are_run() -> None:
    checks = recipe("check")
    in_ci = re.search(r"^static_checks\(\) \{\n(.+?)\n\}", (ROOT / ".ci/run").read_text(), re.MULTILINE | re.DOTALL)
    assert in_ci and [line.strip() for line in in_ci[1].splitlines()] == checks
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].replace(" --force-exclude", "") for hook in repository["hooks"]]
    assert hooks == [check.removesuffix(" .") for check in checks], "a hook is given the files, and not the directory"


def test_the_changelog_has_what_is_coming_and_the_version_that_this_is() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert versions[:2] == ["Unreleased", project["version"]]
