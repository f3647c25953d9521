"""CIFAR's images from the official Python batches: found, checked by their MD5, downloaded if they are nowhere.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009.  The files are looked for in
a named directory, then where Keras and Orch keep them, then at their home page.  Which files there are stands in
`models.datasets.cifar10` and `models.datasets.cifar100`.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import pickle
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from models import user_directories
from models.datasets.errors import DatasetError, DatasetMissing
from models.datasets.splits import Split
from models.files import replace_file

_SECONDS_OF_SILENCE = 30
"""How long a download may stand still; without it a dead connection hangs for ever."""
_CHUNK_BYTES = 1 << 20

ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True)
class PythonBatches:
    """One of the two data sets, as its authors publish it for Python."""

    title: str
    folder: str
    """How the archive calls the folder that the batches are in."""
    archive_address: str
    archive_md5: str
    batch_md5: Mapping[str, str]
    """By the names of the files, in the order of their images; the test images come last."""
    test_batch: str
    labels: bytes
    """Under which key a batch has its labels."""

    def read(self, directory: Path | None, *, progress: ProgressCallback | None, download: bool) -> tuple[Split, Split]:
        """The training and the test images.

        Raises:
            DatasetMissing: the batches are not in the named directory (`directory`, else `ORCH_DATA`), or, with none
                named, neither on this machine nor to be downloaded.
            DatasetError: a batch in the named directory is truncated or altered.
        """
        named = directory or (Path(os.environ["ORCH_DATA"]) if os.environ.get("ORCH_DATA") else None)
        if named is not None:
            return self._read_folder(self._batches_folder(named))
        for folder in self._usual_folders():
            with suppress(DatasetError):  # nobody named this copy; a better one may be had
                return self._read_folder(folder)
        if not download:
            raise self._missing("it is not on this machine")
        return self._read_folder(self._download(progress))

    def _batches_folder(self, named: Path) -> Path:
        return named / self.folder if (named / self.folder).is_dir() else named

    def _usual_folders(self) -> Iterator[Path]:
        home = user_directories.home()
        if keras := os.environ.get("KERAS_HOME") or (home and home / ".keras"):
            yield Path(keras) / "datasets" / self.folder
            yield Path(keras) / "datasets" / f"{self.folder}-target" / self.folder
        if own := self._own_folder():
            yield own

    def _own_folder(self) -> Path | None:
        cache = user_directories.cache()
        return None if cache is None else cache / "orch" / self.folder

    def _read_folder(self, folder: Path) -> tuple[Split, Split]:
        batches = {name: self._read_batch(folder / name, md5) for name, md5 in self.batch_md5.items()}
        test = batches.pop(self.test_batch)
        return self._split(list(batches.values())), self._split([test])

    def _read_batch(self, path: Path, md5: str) -> Mapping[bytes, Any]:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DatasetMissing(
                f"{path} cannot be read ({error.strerror}); name the folder of the official {self.title} batches."
            ) from error
        if _md5(content) != md5:
            raise DatasetError(
                f"{path} is truncated or altered: its MD5 is not the official {md5}; get the batch again from "
                f"{self.archive_address}."
            )
        # A pickle may run any code; this one is safe to read only because its digest is the official file's.
        batch: Mapping[bytes, Any] = pickle.loads(content, encoding="bytes")
        return batch

    def _split(self, batches: list[Mapping[bytes, Any]]) -> Split:
        channels_first = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([np.asarray(batch[self.labels], np.int64) for batch in batches])
        return Split.whole(np.ascontiguousarray(channels_first.transpose(0, 2, 3, 1)), labels)

    def _download(self, progress: ProgressCallback | None) -> Path:
        """The folder that now holds the batches; each file appears whole, so two downloads at once do no harm."""
        folder = self._own_folder()
        if folder is None:
            raise self._missing("it is not on this machine, and there is no home directory to download it to")
        try:
            with tempfile.TemporaryFile() as archive:
                if self._fetch_archive(archive, progress) != self.archive_md5:
                    raise self._missing(f"what {self.archive_address} sent is truncated or altered")
                archive.seek(0)
                self._extract(archive, folder)
        except OSError as error:
            raise self._missing(f"it cannot be kept in {folder} ({error.strerror or error})") from error
        return folder

    def _fetch_archive(self, archive: IO[bytes], progress: ProgressCallback | None) -> str:
        """Returns the MD5 of what came.  Raises OSError if it cannot be kept, DatasetMissing if it does not come."""
        digest = hashlib.md5(usedforsecurity=False)
        for chunk, total in self._chunks():
            archive.write(chunk)
            digest.update(chunk)
            if progress is not None:
                progress(archive.tell(), total)
        return digest.hexdigest()

    def _chunks(self) -> Iterator[tuple[bytes, int]]:
        """The archive in parts, each with the number of bytes in all; 0 if that is not told."""
        try:
            with urllib.request.urlopen(self.archive_address, timeout=_SECONDS_OF_SILENCE) as answer:
                total = int(answer.headers.get("Content-Length") or 0)
                while chunk := answer.read(_CHUNK_BYTES):
                    yield chunk, total
        except (OSError, http.client.HTTPException) as error:
            raise self._missing(f"{self.archive_address} cannot be fetched ({error})") from error

    def _extract(self, archive: IO[bytes], folder: Path) -> None:
        """Only the batches, by their names: no path from the archive is ever written to."""
        with tarfile.open(fileobj=archive, mode="r:gz") as members:
            for name in self.batch_md5:
                batch = members.extractfile(f"{self.folder}/{name}")
                assert batch is not None, "the archive's digest is the official one, so its batches are files"
                replace_file(folder / name, batch.read())

    def _missing(self, reason: str) -> DatasetMissing:
        return DatasetMissing(
            f"{self.title} is not to be had: {reason}; put the official Python batches into a directory and name it "
            "with --data DIR or ORCH_DATA."
        )


def digest_of(batch_md5: Mapping[str, str]) -> str:
    """The data set's identity, as `Description` has it."""
    return hashlib.sha256("\n".join(batch_md5.values()).encode()).hexdigest()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
