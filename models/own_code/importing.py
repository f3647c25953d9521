"""Running a person's own code: it is imported from memory, under a name that follows from its contents.

The name cannot be that of any other module, and nothing is added to the import path: what lies beside the code hides
nothing, and two versions of one file can be there at once.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from models.own_code.bundle import Bundle, Module
from models.own_code.errors import OwnCodeFault, UntrustedCode
from models.own_code.reference import Reference

_PREFIX = "orch_own_code_"


def install(content: bytes, digest: str, folder: Path | None = None) -> None:
    """Make the code of a bundle known to this process; nothing of it is run.

    Args:
        content: what `Bundle.to_bytes` gave.
        digest: of the code that is meant, from the reference that names it.
        folder: where its files are, if this is the machine that they are on: what `__file__` begins with.

    Raises:
        UntrustedCode: the content is not the one that is meant.
    """
    if hashlib.sha256(content).hexdigest() != digest:
        raise UntrustedCode(f"The code that came is not the one that is meant, whose SHA-256 is {digest}.")
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    _finder.bundles.setdefault(digest, (Bundle.from_bytes(content), folder))


def is_installed(reference: Reference) -> bool:
    return reference.digest in _finder.bundles


def function(reference: Reference) -> Callable[..., Any]:
    """The function that is named, of code that is installed; the first call runs the code.

    Raises:
        OwnCodeFault: there is no such function in it.
        Exception: whatever the code raises as it is imported; `place_of` says where.
    """
    assert reference.digest is not None, "only code with known contents is run"
    bundle, _ = _finder.bundles[reference.digest]
    name = bundle.name_of(reference.path)
    if name is None:
        raise OwnCodeFault(f"{reference.path} is not in the code that came with it; plan the study again.")
    module = importlib.import_module(f"{_PREFIX}{reference.digest}{name}")
    found = getattr(module, reference.function, None)
    if not callable(found):
        what = "no function" if found is None else f"a {type(found).__name__}, and no function, as"
        raise OwnCodeFault(f"{reference.path} has {what} {reference.function!r}.")
    return found  # type: ignore[no-any-return]


def place_of(error: BaseException) -> str | None:
    """The line of a person's own code in which an exception came up; None if it came from elsewhere."""
    if isinstance(error, SyntaxError) and error.filename in _finder.files:
        return f"{_finder.files[error.filename]}, line {error.lineno}"
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__", "")).startswith(_PREFIX):
            place = f"{_finder.files.get(frame.f_code.co_filename, frame.f_code.co_filename)}, line {line}"
    return place


def is_missing_package(error: BaseException) -> bool:
    """Whether the code wanted to import what is not installed here; another machine may have it."""
    return isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(_PREFIX)


def place_of_definition(reference: Reference) -> str:
    """The line in which the function begins, as far as it is known."""
    return place_of_code(function(reference)) or reference.path


def place_of_code(called: Any) -> str | None:
    """The line in which a function or method begins; None if it is no person's own."""
    code = getattr(called, "__code__", None)
    if not isinstance(code, CodeType) or code.co_filename not in _finder.files:
        return None
    return f"{_finder.files[code.co_filename]}, line {code.co_firstlineno}"


# ruff: noqa: ARG002 - what a loader and a finder are called with is Python's to say


class _Loader(ExecutionLoader):
    """Loads the modules of one bundle."""

    def __init__(self, module: Module, file: str) -> None:
        self._module = module
        self._file = file

    def get_source(self, fullname: str) -> str:
        return self._module.source

    def get_filename(self, fullname: str) -> str:
        return self._file

    def is_package(self, fullname: str) -> bool:
        return self._module.is_package

    def create_module(self, spec: ModuleSpec) -> None:
        """None leaves it to Python."""


class _Finder(MetaPathFinder):
    """Finds the modules of all bundles that are installed in this process."""

    def __init__(self) -> None:
        self.bundles: dict[str, tuple[Bundle, Path | None]] = {}
        self.files: dict[str, str] = {}
        """How a person knows the files that code objects name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        digest, dot, rest = fullname.removeprefix(_PREFIX).partition(".")
        bundle, folder = self.bundles.get(digest, (None, None)) if fullname.startswith(_PREFIX) else (None, None)
        module = None if bundle is None else bundle.modules.get(dot + rest)
        if module is None:
            return None
        # With the contents' name before it: Python keeps the lines of a file by its path, and would show another
        # version's.
        file = f"{digest[:12]}/{module.file}" if folder is None else str(folder / module.file)
        self.files[file] = module.file
        spec = spec_from_loader(fullname, _Loader(module, file), is_package=module.is_package)
        assert spec is not None, "a loader that can say whether it is a package has a spec"
        if module.is_package:
            # Else Python would look for its modules in a folder of that name, wherever it runs.
            spec.submodule_search_locations = []
        return spec


_finder = _Finder()
