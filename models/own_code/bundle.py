"""A person's own code as one piece that travels: a file, or the whole package that the file belongs to.

A folder with an `__init__.py` is a package, and travels with all its modules; what else lies in it, or beside a file,
stays where it is.  Sources alone, as text: the same code has the same bytes on every system.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.own_code.errors import OwnCodeFault
from models.own_code.reference import Reference

_INIT = "__init__.py"
_LARGEST_BYTES = 2 << 20
"""Of source; more is rather a folder of something else."""
_MOST_MODULES = 500


@dataclass(frozen=True)
class Module:
    """One module of a bundle."""

    file: str
    """From the study's folder, with slashes: how errors call it."""
    source: str
    is_package: bool


@dataclass(frozen=True)
class Bundle:
    """All code that travels together."""

    modules: Mapping[str, Module]
    """By what follows the name under which the bundle is imported: "" is the file or the package itself, ".layers" a
    module in it."""

    def to_bytes(self) -> bytes:
        """The file that travels; the same modules give the same bytes."""
        modules = {name: [module.file, module.source, module.is_package] for name, module in self.modules.items()}
        return json.dumps(modules, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")

    @classmethod
    def from_bytes(cls, content: bytes) -> Bundle:
        """What `to_bytes` wrote; whether the content is the right one is for who reads it to check."""
        modules = json.loads(content.decode("utf-8", "surrogatepass"))
        return cls({name: Module(*values) for name, values in modules.items()})

    @property
    def digest(self) -> str:
        """SHA-256 of what travels, in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def name_of(self, path: str) -> str | None:
        """Which module a file is; None if it does not belong to the bundle."""
        return next((name for name, module in self.modules.items() if module.file == path), None)


def gather(folder: Path, reference: Reference) -> Bundle:
    """Read the code that a study names.

    Args:
        folder: the study's.

    Raises:
        OwnCodeFault: there is no such file, it cannot be read, or its package is too large.
    """
    path = folder / reference.path
    if not path.is_file():
        raise OwnCodeFault(f"There is no file {path}; {reference} names a file beside the study.")
    package = _package_of(folder, path)
    if package is None:
        return Bundle({"": _module(folder, path)})
    modules: dict[str, Module] = {}
    total = 0
    for file in _modules_in(package):
        module = _module(folder, file)
        total += len(module.source)
        if total > _LARGEST_BYTES or len(modules) == _MOST_MODULES:
            raise OwnCodeFault(
                f"{package} is a package with more than {_MOST_MODULES} modules or {_LARGEST_BYTES >> 20} MB of "
                "source; leave what the study does not need out of it."
            )
        modules[_name(file.relative_to(package))] = module
    return Bundle(modules)


def _package_of(folder: Path, file: Path) -> Path | None:
    """The outermost package around a file, below the study's folder."""
    package = None
    for parent in file.parents:
        if parent == folder or not (parent / _INIT).is_file():
            break
        package = parent
    return package


def _modules_in(package: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(package):
        here = Path(place)
        folders[:] = sorted(name for name in folders if name.isidentifier() and (here / name / _INIT).is_file())
        for name in sorted(files):
            if name.endswith(".py") and name.removesuffix(".py").isidentifier():
                yield here / name


def _name(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return "".join(f".{part}" for part in (parts[:-1] if relative.name == _INIT else parts))


def _module(folder: Path, file: Path) -> Module:
    shown = str(PurePosixPath(file.relative_to(folder)))
    try:
        source = importlib.util.decode_source(file.read_bytes())
    except OSError as error:
        raise OwnCodeFault(f"{shown} cannot be read: {error.strerror}.") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise OwnCodeFault(f"{shown} is not text in the encoding that it says, which is UTF-8 by default.") from error
    return Module(shown, source, file.name == _INIT)
