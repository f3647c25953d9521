"""The page of environment variables names those that the code knows, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/environment.md"
PACKAGES = ("models", "orchestrator", "workers")
ALL_CODE = (*PACKAGES, "tests", "benchmarks", "docker", ".ci")

KEY = r'("[A-Z]\w+"|[A-Za-z_]\w*)'
"""A variable's name, or what it is called in the code."""
LOOKED_UP = (
    re.compile(rf"\b(?:os\.environ|person)(?:\.(?:get|setdefault|pop)\(|\[)\s*{KEY}"),
    re.compile(rf"{KEY} (?:not )?in os\.environ\b"),
)


def documented() -> set[str]:
    """The code spans in the first column of the page's tables."""
    rows = re.findall(r"^\| (`.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def texts(*directories: str) -> Iterator[str]:
    for directory in directories:
        for path in (ROOT / directory).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path != Path(__file__):
                yield path.read_text(encoding="utf-8", errors="replace")


def orchs_own() -> set[str]:
    return {name for text in texts(*ALL_CODE) for name in re.findall(r"\bORCH_[A-Z0-9_]*[A-Z0-9]\b", text)}


def looked_up() -> set[str]:
    """What the packages read of the environment or set in it."""
    found = {name for text in texts(*PACKAGES) for name in looked_up_in(text)}
    assert len(found) > 10, "the code reads the environment in another way than this test knows"
    return found


def looked_up_in(text: str) -> Iterator[str]:
    for key in [key for way in LOOKED_UP for key in way.findall(text)]:
        if key.startswith('"'):
            yield key.strip('"')
        elif constant := re.search(rf'^{key} = "(\w+)"', text, re.MULTILINE):
            yield constant[1]
        else:  # a parameter: what the module calls that function with
            given = re.findall(r'\w\("([A-Z]+_[A-Z_]+)"\)', text)
            assert given, f"where the environment is asked for {key}, this test cannot tell which variable that is"
            yield from given


def of_a_runner() -> set[str]:
    """What the module names that makes a runner's environment."""
    (module,) = [text for text in texts("workers") if "\ndef runner_environment(" in text]
    return set(re.findall(r'"([A-Z][A-Z0-9_]+)"', module))


def test_every_variable_that_the_code_knows_is_documented_and_no_other() -> None:
    assert documented() == orchs_own() | looked_up() | of_a_runner()


@pytest.mark.parametrize(
    "line",
    [
        'os.environ.get("A_NAME", "")',
        'os.environ["A_NAME"] = "1"',
        'os.environ.setdefault("A_NAME", "1")',
        'if "A_NAME" in os.environ:',
        'if "A_NAME" not in os.environ:',
        '_IT = "A_NAME"\nos.environ.get(_IT)',
        'def at(it: str) -> str:\n    return os.environ[it]\nat("A_NAME")',
    ],
)
def test_however_a_variable_is_read_it_is_found(line: str) -> None:
    assert list(looked_up_in(line)) == ["A_NAME"]


def test_a_variable_whose_name_cannot_be_told_is_an_error() -> None:
    with pytest.raises(AssertionError, match="which variable that is"):
        list(looked_up_in("os.environ.get(name)"))
