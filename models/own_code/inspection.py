"""What is wrong with a person's own code, as far as that can be known without running it: from its syntax tree."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.own_code.bundle import Bundle, Module
from models.own_code.errors import OwnCodeFault
from models.own_code.reference import Reference

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(bundle: Bundle, reference: Reference, folder: Path, call: str, **named: Any) -> None:
    """Check that the code is Python, that all of it travels, and that the function is there and can be called.

    Args:
        folder: the study's.
        call: how it will be called, as a person would write it.
        named: with which keywords; a call with any has the Keras to build with before them.

    Raises:
        OwnCodeFault: names file and line.
    """
    trees = {name: _parsed(module) for name, module in bundle.modules.items()}
    for name, tree in trees.items():
        _check_imports(bundle, name, tree, folder)
    own = bundle.name_of(reference.path)
    assert own is not None, "the file that is named is in its own bundle"
    _check_function(trees[own], reference, call, named)


def _parsed(module: Module) -> ast.Module:
    try:
        return ast.parse(module.source, module.file)
    except SyntaxError as error:
        raise OwnCodeFault(f"{module.file}, line {error.lineno}: {error.msg}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise OwnCodeFault(f"{module.file} cannot be read as Python: {error}.") from error


# --- what it imports ---


def _check_imports(bundle: Bundle, name: str, tree: ast.Module, folder: Path) -> None:
    module = bundle.modules[name]
    for node in ast.walk(tree):
        where = f"{module.file}, line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ImportFrom) and node.level:
            _check_relative(bundle, name, node, where)
        for absolute in _absolute(node):
            if _lies_beside(folder, absolute):
                raise OwnCodeFault(
                    f"{where}: {absolute} lies beside the study and is not found where workers run; keep what belongs "
                    f"together in a folder with an __init__.py, and import it with a dot, as in `from . import "
                    f"{absolute}`."
                )


def _absolute(node: ast.AST) -> Iterator[str]:
    """The packages that a statement imports by their whole names."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield node.module.partition(".")[0]


def _lies_beside(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _check_relative(bundle: Bundle, name: str, node: ast.ImportFrom, where: str) -> None:
    """Raises OwnCodeFault if `from .somewhere import something` leads out of what travels."""
    if not bundle.modules[""].is_package:
        raise OwnCodeFault(
            f"{where}: a dot before an import means the package around the file, and {bundle.modules[''].file} is in "
            "none; put an __init__.py beside it, in a folder of their own."
        )
    parts = name.split(".")
    inside = len(parts) - node.level + (1 if bundle.modules[name].is_package else 0)
    if inside < 1:
        raise OwnCodeFault(f"{where}: {'.' * node.level} leads out of the package.")
    target = ".".join([*parts[:inside], *([node.module] if node.module else [])])
    if target not in bundle.modules:
        raise OwnCodeFault(f"{where}: the package has no module {target.removeprefix('.')}.")


# --- the function ---


def _check_function(tree: ast.Module, reference: Reference, call: str, named: Mapping[str, Any]) -> None:
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    function = functions.get(reference.function)
    if function is not None:
        _check_signature(function, reference, call, named)
    elif reference.function not in _bound(tree):
        close = difflib.get_close_matches(reference.function, functions, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(functions) or 'no function at all'}."
        raise OwnCodeFault(f"{reference.path} has no function {reference.function!r}; {hint}")


def _bound(tree: ast.Module) -> set[str]:
    """Every name that may mean something in a module: what makes them is not run, so nothing is known of it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update((alias.asname or alias.name).partition(".")[0] for alias in aliases)
            case ast.FunctionDef(name=name) if node not in tree.body:
                names.add(name)
    return names


def _check_signature(function: _Function, reference: Reference, call: str, named: Mapping[str, Any]) -> None:
    where = f"{reference.path}, line {function.lineno}"
    if isinstance(function, ast.AsyncFunctionDef):
        raise OwnCodeFault(f"{where}: {function.name} is a coroutine; write `def` without `async`.")
    if function.decorator_list:
        return  # which may have made another signature of it
    try:
        _signature(function.args).bind(*([None] if named else []), **named)
    except TypeError as error:
        raise OwnCodeFault(f"{where}: {function.name} is called as {call}, and that cannot be: {error}.") from error


def _signature(arguments: ast.arguments) -> inspect.Signature:
    """What `inspect.signature` would say of the function; of defaults only that there are some."""
    kind = inspect.Parameter
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    parameters = [
        kind(
            argument.arg,
            kind.POSITIONAL_ONLY if number < len(arguments.posonlyargs) else kind.POSITIONAL_OR_KEYWORD,
            default=kind.empty if number < required else None,
        )
        for number, argument in enumerate(positional)
    ]
    if arguments.vararg:
        parameters.append(kind(arguments.vararg.arg, kind.VAR_POSITIONAL))
    parameters += [
        kind(argument.arg, kind.KEYWORD_ONLY, default=kind.empty if default is None else None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        parameters.append(kind(arguments.kwarg.arg, kind.VAR_KEYWORD))
    return inspect.Signature(parameters)
