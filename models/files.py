"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int = 0o666, parents: bool = True) -> None:
    """Put `content` at `path` in one step; a crash, a full disk or a power cut leaves the file that was there before.

    The bytes reach the disk before the name does: without the first fsync a power cut can leave the new name
    on an empty file, without the second the name itself may be lost.

    Args:
        mode: who may do what with the file, less what the umask takes: unlike `tempfile`'s 0600, which hides a file
            from the others that its directory is shared with.
        parents: make the directory if it is not there.

    Raises:
        OSError: what was there before is there still.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what file systems of networks say that cannot
            raise
    finally:
        os.close(descriptor)
