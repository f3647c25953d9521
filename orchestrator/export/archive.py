"""A zip archive whose bytes follow from its files alone, with their checksums in it."""

from __future__ import annotations

import hashlib
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self

CHECKSUMS = "SHA256SUMS"
"""What `sha256sum -c` reads."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip archive knows: the time at which it was made would be other bytes each time."""
_MODE = 0o644 << 16
_COPIED_BYTES = 1 << 20


class Archive:
    """An archive that is being written: files are added in any order, and stand in it in that order.

    Nothing is compressed: weights hardly give way, and what deflate makes of the rest depends on the version of zlib.
    """

    def __init__(self, stream: BinaryIO, root: str) -> None:
        """Args:
        root: the directory that everything is in, so that unpacking strews nothing.
        """
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED)
        self._root = PurePosixPath(root)
        self._checksums: dict[str, str] = {}

    def add_text(self, name: str, text: str) -> None:
        content = text.encode()
        self._zip.writestr(self._entry(name, len(content)), content)
        self._checksums[name] = hashlib.sha256(content).hexdigest()

    def add_file(self, name: str, file: Path) -> None:
        """A file of any size, copied piece by piece.  Raises OSError if it cannot be read."""
        with file.open("rb") as source, self._zip.open(self._entry(name, file.stat().st_size), "w") as target:
            digest = hashlib.sha256()
            while piece := source.read(_COPIED_BYTES):
                digest.update(piece)
                target.write(piece)
        self._checksums[name] = digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the checksums, in the order of the names, and the archive's directory; after a failure no checksums."""
        if kind is not None:
            with suppress(OSError, ValueError):
                self._zip.close()
            return
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(self._checksums.items()))
        self._zip.writestr(self._entry(CHECKSUMS, len(lines)), lines)
        self._zip.close()

    def _entry(self, name: str, size: int) -> zipfile.ZipInfo:
        assert name not in self._checksums, f"{name} is added once"
        entry = zipfile.ZipInfo(str(self._root / name), _EPOCH)
        entry.create_system, entry.external_attr = 3, _MODE  # as on Unix, wherever it is written
        entry.file_size = size
        return entry
