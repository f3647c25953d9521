"""CIFAR-10 from its official Python batches.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009.  The files are looked for in
a named directory, then where Keras and Orch keep them, then at their home page.
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
from pathlib import Path
from typing import IO, Any

import numpy as np

from models import user_directories
from models.datasets.description import Description
from models.datasets.errors import DatasetError, DatasetMissing
from models.datasets.splits import Split
from models.files import replace_file

ARCHIVE_ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
FOLDER = "cifar-10-batches-py"
TEST_BATCH = "test_batch"
BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    TEST_BATCH: "40351d587109b95175f43aff81a1287e",
}

DESCRIPTION = Description(
    name="cifar10",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    image_shape=(32, 32, 3),
    train_images=50_000,
    test_images=10_000,
    digest=hashlib.sha256("\n".join(BATCH_MD5.values()).encode()).hexdigest(),
    smallest_class=5_000,
)

_SECONDS_OF_SILENCE = 30
"""How long a download may stand still; without it a dead connection hangs for ever."""
_CHUNK_BYTES = 1 << 20

ProgressCallback = Callable[[int, int], None]


def read(
    directory: Path | None = None, *, progress: ProgressCallback | None = None, download: bool = True
) -> tuple[Split, Split]:
    """The training and the test images.

    Raises:
        DatasetMissing: the batches are not in the named directory (`directory`, else `ORCH_DATA`), or, with none
            named, neither on this machine nor to be downloaded.
        DatasetError: a batch in the named directory is truncated or altered.
    """
    named = directory or (Path(os.environ["ORCH_DATA"]) if os.environ.get("ORCH_DATA") else None)
    if named is not None:
        return _read_folder(_batches_folder(named))
    for folder in _usual_folders():
        with suppress(DatasetError):  # nobody named this copy; a better one may be had
            return _read_folder(folder)
    if not download:
        raise _missing("it is not on this machine")
    return _read_folder(_download(progress))


def _batches_folder(named: Path) -> Path:
    return named / FOLDER if (named / FOLDER).is_dir() else named


def _usual_folders() -> Iterator[Path]:
    home = user_directories.home()
    if keras := os.environ.get("KERAS_HOME") or (home and home / ".keras"):
        yield Path(keras) / "datasets" / FOLDER
        yield Path(keras) / "datasets" / f"{FOLDER}-target" / FOLDER
    if own := _own_folder():
        yield own


def _own_folder() -> Path | None:
    cache = user_directories.cache()
    return None if cache is None else cache / "orch" / FOLDER


def _read_folder(folder: Path) -> tuple[Split, Split]:
    batches = {name: _read_batch(folder / name, md5) for name, md5 in BATCH_MD5.items()}
    test = batches.pop(TEST_BATCH)
    return _split(list(batches.values())), _split([test])


def _read_batch(path: Path, md5: str) -> Mapping[bytes, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetMissing(
            f"{path} cannot be read ({error.strerror}); name the folder of the official CIFAR-10 batches."
        ) from error
    if _md5(content) != md5:
        raise DatasetError(
            f"{path} is truncated or altered: its MD5 is not the official {md5}; get the batch again from "
            f"{ARCHIVE_ADDRESS}."
        )
    # A pickle may run any code; this one is safe to read only because its digest is the official file's.
    batch: Mapping[bytes, Any] = pickle.loads(content, encoding="bytes")
    return batch


def _split(batches: list[Mapping[bytes, Any]]) -> Split:
    channels_first = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([np.asarray(batch[b"labels"], np.int64) for batch in batches])
    return Split.whole(np.ascontiguousarray(channels_first.transpose(0, 2, 3, 1)), labels)


def _download(progress: ProgressCallback | None) -> Path:
    """The folder that now holds the batches; each file appears whole, so two downloads at once do no harm."""
    folder = _own_folder()
    if folder is None:
        raise _missing("it is not on this machine, and there is no home directory to download it to")
    try:
        with tempfile.TemporaryFile() as archive:
            if _fetch_archive(archive, progress) != ARCHIVE_MD5:
                raise _missing(f"what {ARCHIVE_ADDRESS} sent is truncated or altered")
            archive.seek(0)
            _extract(archive, folder)
    except OSError as error:
        raise _missing(f"it cannot be kept in {folder} ({error.strerror or error})") from error
    return folder


def _fetch_archive(archive: IO[bytes], progress: ProgressCallback | None) -> str:
    """Returns the MD5 of what came.  Raises OSError if it cannot be kept, DatasetMissing if it does not come."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk, total in _chunks():
        archive.write(chunk)
        digest.update(chunk)
        if progress is not None:
            progress(archive.tell(), total)
    return digest.hexdigest()


def _chunks() -> Iterator[tuple[bytes, int]]:
    """The archive in parts, each with the number of bytes in all; 0 if that is not told."""
    try:
        with urllib.request.urlopen(ARCHIVE_ADDRESS, timeout=_SECONDS_OF_SILENCE) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK_BYTES):
                yield chunk, total
    except (OSError, http.client.HTTPException) as error:
        raise _missing(f"{ARCHIVE_ADDRESS} cannot be fetched ({error})") from error


def _extract(archive: IO[bytes], folder: Path) -> None:
    """Only the batches, by their names: no path from the archive is ever written to."""
    with tarfile.open(fileobj=archive, mode="r:gz") as members:
        for name in BATCH_MD5:
            batch = members.extractfile(f"{FOLDER}/{name}")
            assert batch is not None, "the archive's digest is the official one, so its batches are files"
            replace_file(folder / name, batch.read())


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _missing(reason: str) -> DatasetMissing:
    return DatasetMissing(
        f"CIFAR-10 is not to be had: {reason}; put the official Python batches into a directory and name it "
        "with --data DIR or ORCH_DATA."
    )
