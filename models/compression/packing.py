"""A LiteRT file packed with zstd, as it is shipped, and unpacked again within a bound.

The format is RFC 8878's, one frame that says how long its content is; `zstd -d` unpacks it, and so does any library.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import zstandard

from models.failures import PermanentFailure

COMPRESSION = "zstd"
SUFFIX = ".zst"
"""What follows the name of the file that is packed."""
MOST_BYTES = 2**31 - 1
"""So much is unpacked at most: a LiteRT file is a FlatBuffer, whose offsets reach no further."""

_LEVEL = 16
"""Of pruned weights, float32 or int8, level 19 takes twice as long and leaves 2 to 4 % more."""
_MOST_WINDOW = 2**27
"""Bytes that unpacking holds in memory at most: what `zstd -d` takes without being asked for more."""
_AT_A_TIME = 2**11
"""Bytes of the packed file: four of them can be 128 KiB of one value, so these are 64 MiB at most."""
_MAGIC = b"\x28\xb5\x2f\xfd"
_LONGEST_HEADER = 18


class CannotUnpack(PermanentFailure, ValueError):
    """A packed file is damaged, or larger than a LiteRT file can be; says which in one sentence."""


def pack(path: Path) -> Path:
    """Write the file packed beside itself: `model.tflite` -> `model.tflite.zst`, the same bytes for the same bytes."""
    packed = path.with_name(path.name + SUFFIX)
    # With a checksum, as of `zstd` itself: else an altered weight would be taken for one.
    compressor = zstandard.ZstdCompressor(_LEVEL, write_checksum=True)
    packed.write_bytes(compressor.compress(path.read_bytes()))
    return packed


def is_packed(path: Path) -> bool:
    """By its first bytes, which no LiteRT file has: an artifact has no name that would say it."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def unpack(path: Path, to: Path) -> None:
    """Write what is packed in `path` to `to`, a piece at a time.

    Whoever may write in a shared home may have packed gigabytes of zeros into a few kilobytes: no more is written than
    the frame says that it holds, and nothing if that is more than `MOST_BYTES`.

    Raises:
        CannotUnpack: it is no whole packed file, or holds too much.
    """
    try:
        with path.open("rb") as file:
            holds = _content_size(file.read(_LONGEST_HEADER))
            file.seek(0)
            with to.open("wb") as unpacked:
                _copy(file, unpacked, holds)
    except zstandard.ZstdError as error:
        raise CannotUnpack(f"The packed file is damaged: {error}.") from error


def _content_size(header: bytes) -> int:
    holds = zstandard.get_frame_parameters(header).content_size
    if holds == zstandard.CONTENTSIZE_UNKNOWN:
        raise CannotUnpack("The packed file does not say how many bytes it holds.")
    if holds > MOST_BYTES:
        raise CannotUnpack(f"The packed file holds {holds:,} bytes, more than a LiteRT file can have.")
    return holds


def _copy(packed: BinaryIO, unpacked: BinaryIO, holds: int) -> None:
    frame = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()
    written = 0
    # Not a stream_reader, which does not tell a frame's end from the end of a file that is cut off.
    while not frame.eof:
        if not (piece := packed.read(_AT_A_TIME)):
            raise CannotUnpack(f"The packed file is cut off: it has {written:,} of {holds:,} bytes.")
        content = frame.decompress(piece)
        written += len(content)
        if written > holds:
            raise CannotUnpack(f"The packed file holds more than the {holds:,} bytes that it speaks of.")
        unpacked.write(content)
