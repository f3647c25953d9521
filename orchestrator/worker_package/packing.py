"""The wheel that travels with a study: the installed package as one file, the same bytes wherever it is made.

A notebook's cell fetches it from the study's folder and refuses it unless its SHA-256 is the one in the cell.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from orchestrator.installation import distribution

_PACKAGES = ("models", "orchestrator", "workers")

# The earliest that a ZIP archive can tell, and rights that depend on nobody's umask.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_RIGHTS = 0o100644 << 16
_UNIX = 3

_WHEEL = b"Wheel-Version: 1.0\nGenerator: orch\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build(directory: Path) -> Path:
    """Write the wheel (PEP 427) of the Orch that is running; returns its path.

    Its entries are sorted and not compressed: what zlib makes of the same bytes differs from version to version.
    """
    installed = metadata.distribution(distribution.NAME)
    wheel = directory / f"{_stem(installed)}-py3-none-any.whl"
    contents = {**_code(), **_information(installed)}
    record = f"{_stem(installed)}.dist-info/RECORD"
    contents[record] = _record(contents, record)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr, entry.create_system = _RIGHTS, _UNIX
            archive.writestr(entry, content)
    return wheel


def _stem(installed: metadata.Distribution) -> str:
    """How the names of a wheel and of its information begin: a hyphen would divide the name (PEP 427)."""
    return f"{distribution.NAME.replace('-', '_')}-{installed.version}"


def _code() -> dict[str, bytes]:
    return {name: path.read_bytes() for package in _PACKAGES for name, path in _files(package)}


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """What a package is made of, by the names that it has in a wheel."""
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is installed as a directory"
    root = Path(spec.submodule_search_locations[0])
    for path in root.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".pyo"):
            yield f"{package}/{path.relative_to(root).as_posix()}", path


def _information(installed: metadata.Distribution) -> dict[str, bytes]:
    place = f"{_stem(installed)}.dist-info"
    told = {name: installed.read_text(name) for name in ("METADATA", "entry_points.txt")}
    return {f"{place}/WHEEL": _WHEEL, **{f"{place}/{name}": text.encode() for name, text in told.items() if text}}


def _record(contents: dict[str, bytes], record: str) -> bytes:
    """Every file with its digest and size; its own line has neither."""
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in sorted(contents.items())]
    return ("\n".join([*lines, f"{record},,"]) + "\n").encode()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
