"""A packed file: what it holds, who else can unpack it, and what is not unpacked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zstandard

from models.compression import packing
from models.compression.packing import CannotUnpack
from tests.support.lacking import lacking


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Half of its bytes are zero, as of a pruned network."""
    content = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8)
    content[::2] = 0
    path = tmp_path / "model.tflite"
    path.write_bytes(content.tobytes())
    return path


def test_what_is_unpacked_is_what_was_packed(file: Path, tmp_path: Path) -> None:
    packed = packing.pack(file)
    assert packed.name == "model.tflite.zst" and packed.stat().st_size < file.stat().st_size
    assert packing.is_packed(packed) and not packing.is_packed(file)
    packing.unpack(packed, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_the_command_that_the_report_names_unpacks_it(file: Path) -> None:
    if shutil.which("zstd") is None:
        lacking("zstd is not installed: apt-get install zstd")
    packed = packing.pack(file)
    content = file.read_bytes()
    file.unlink()
    subprocess.run(["zstd", "-q", "-d", packed], check=True)
    assert file.read_bytes() == content


def test_a_file_that_is_cut_off_or_altered_is_refused(file: Path, tmp_path: Path) -> None:
    content = packing.pack(file).read_bytes()
    for damaged in (content[:-1], content[:1000], content[:6], content[:100] + b"\xff" * 50 + content[150:]):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(CannotUnpack):
            packing.unpack(tmp_path / "damaged", tmp_path / "never")


def test_more_than_a_litert_file_can_have_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    written = zstandard.ZstdCompressor().compressobj(size=packing.MOST_BYTES + 1)
    bomb.write_bytes(written.compress(bytes(2**20)) + written.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    with pytest.raises(CannotUnpack, match="holds 2,147,483,648 bytes, more than a LiteRT file can have"):
        packing.unpack(bomb, tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_a_frame_that_does_not_say_what_it_holds_is_refused(tmp_path: Path) -> None:
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(2**24))
    (tmp_path / "silent").write_bytes(silent)
    with pytest.raises(CannotUnpack, match="does not say how many bytes it holds"):
        packing.unpack(tmp_path / "silent", tmp_path / "never")


@pytest.mark.parametrize("window_log", [10, 27])
def test_a_frame_that_lies_about_what_it_holds_writes_no_more_than_it_says(tmp_path: Path, window_log: int) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
    honest = zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(2**24))
    lie = honest.replace((2**24).to_bytes(4, "little"), (1000).to_bytes(4, "little"), 1)
    assert zstandard.get_frame_parameters(lie).content_size == 1000
    (tmp_path / "lie").write_bytes(lie)
    with pytest.raises(CannotUnpack):
        packing.unpack(tmp_path / "lie", tmp_path / "most")
    assert (tmp_path / "most").stat().st_size <= 1000
