"""Dockerfiles read for what they say: stages and what each takes over, copies, installs, what is started.

The rules are those of the Dockerfile reference.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dockerfile_parse import DockerfileParser  # type: ignore[import-untyped]


@dataclass
class Stage:
    """One `FROM` and what follows it."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def values(self, instruction: str) -> list[str]:
        return [value for name, value in self.instructions if name == instruction]


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    parser = DockerfileParser(fileobj=io.BytesIO(dockerfile.read_bytes()))
    return [(each["instruction"], each["value"]) for each in parser.structure if each["instruction"] != "COMMENT"]


def stages(dockerfile: Path) -> dict[str, Stage]:
    """By name, in the file's order; a stage without a name is called by its number, as `--from` and `--target` do."""
    found: dict[str, Stage] = {}
    for instruction, value in instructions(dockerfile):
        if instruction == "FROM":
            base, *named = [word for word in value.split() if not word.startswith("--")]
            name = named[1] if len(named) == 2 and named[0].upper() == "AS" else str(len(found))
            found[name] = Stage(name, base)
        elif found:
            next(reversed(found.values())).instructions.append((instruction, value))
    return found


def lineage(dockerfile: Path, target: str | None = None) -> Stage:
    """A stage with all that it takes over from the stages it is built on; by default the last one."""
    known = stages(dockerfile)
    stage = known[target or next(reversed(known))]
    if stage.base not in known:
        return stage
    below = lineage(dockerfile, stage.base)
    return Stage(stage.name, below.base, below.instructions + stage.instructions)


def targets(dockerfile: Path) -> list[str]:
    """The stages that no other stage is built on: what gets built and run."""
    known = stages(dockerfile)
    bases = {stage.base for stage in known.values()}
    return [name for name in known if name not in bases]


def copied(stage: Stage) -> list[str]:
    """What `COPY` takes from the context."""
    sources = []
    for value in stage.values("COPY") + stage.values("ADD"):
        words = shlex.split(value)
        if not any(word.startswith("--from=") for word in words):
            sources += [word for word in words if not word.startswith("--")][:-1]
    return sources


def pip_installs(stage: Stage) -> list[str]:
    return [run for run in stage.values("RUN") if "pip install" in run]


def extras(stage: Stage) -> set[str]:
    """The extras of this project that the stage installs, as `pip install ".[these]"` names them."""
    named = re.findall(r"\.\[([\w\-,]+)\]", " ".join(pip_installs(stage)))
    return {extra for group in named for extra in group.split(",")}


def last(stage: Stage, instruction: str) -> list[str]:
    """The words of the ENTRYPOINT or CMD that counts; none if there is none."""
    values = stage.values(instruction)
    return _words(values[-1]) if values else []


def excluded(path: str, ignore_file: Path) -> bool:
    """Whether a `.dockerignore` keeps a path of the context from the engine: the last pattern that fits decides."""
    parents = [path, *map(str, PurePosixPath(path).parents)][:-1]
    outcome = False
    for line in ignore_file.read_text(encoding="utf-8").splitlines():
        pattern = line.strip().strip("/")
        if not pattern or pattern.startswith("#"):
            continue
        if any(re.fullmatch(_as_regex(pattern.removeprefix("!")), candidate) for candidate in parents):
            outcome = not pattern.startswith("!")
    return outcome


def _as_regex(pattern: str) -> str:
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(pieces.get(piece, re.escape(piece)) for piece in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))


def _words(value: str) -> list[str]:
    """An ENTRYPOINT or CMD in its JSON form: the other form puts a shell in between, which gets the signals."""
    parsed = json.loads(value)
    assert isinstance(parsed, list)
    return [str(word) for word in parsed]
