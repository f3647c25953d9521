"""A person's own images in folders: read as they are, or refused in a sentence that names the file."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import datasets
from models.datasets import DatasetError, DatasetMissing

Change = Callable[[Path], None]


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (8, 6)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), np.uint8)
    return Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels, mode)


def write(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes, three training images and one test image of each, 8 pixels wide and 6 high."""
    for number, name in enumerate(("cat", "dog")):
        for image in range(3):
            write(tmp_path / f"pictures/train/{name}/{image}.png", picture(10 * number + image))
        write(tmp_path / f"pictures/test/{name}/0.png", picture(10 * number + 9))
    return tmp_path / "pictures"


def refusal(pictures: Path) -> str:
    with pytest.raises(DatasetError) as told:
        datasets.load(f"folder:{pictures}")
    said = str(told.value)
    assert said.endswith(".") and "\n" not in said
    return said


def test_images_in_folders_are_loaded_with_the_names_of_their_folders(pictures: Path) -> None:
    loaded = datasets.load("folder:pictures", pictures.parent)

    assert loaded.description == datasets.describe("folder:pictures", pictures.parent)
    assert loaded.description.classes == ("cat", "dog")
    assert loaded.description.image_shape == (6, 8, 3)
    assert (len(loaded.train), len(loaded.test), loaded.description.smallest_class) == (6, 2, 3)
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1] and loaded.test.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(loaded.train.images[4], np.asarray(picture(11)))
    assert loaded.description.notes == ()


def test_the_digest_follows_from_what_is_seen_and_not_from_the_format(pictures: Path) -> None:
    before = datasets.describe(f"folder:{pictures}").digest
    (pictures / "train/cat/0.png").unlink()
    write(pictures / "train/cat/0.bmp", picture(0))
    assert datasets.describe(f"folder:{pictures}").digest == before
    write(pictures / "train/cat/0.bmp", picture(77))
    assert datasets.describe(f"folder:{pictures}").digest != before


def test_grey_images_have_one_channel(pictures: Path) -> None:
    for path in pictures.rglob("*.png"):
        write(path, picture(1, "L"))
    assert datasets.describe(f"folder:{pictures}").image_shape == (6, 8, 1)


def test_grey_images_among_coloured_ones_become_coloured_and_that_is_told(pictures: Path) -> None:
    write(pictures / "train/cat/0.png", picture(1, "L"))

    loaded = datasets.load(f"folder:{pictures}")

    assert loaded.description.image_shape == (6, 8, 3)
    assert np.ptp(loaded.train.images[0], axis=-1).max() == 0
    assert any("1 of 8 images are grey" in note for note in loaded.description.notes)


def test_an_alpha_channel_that_hides_nothing_is_left_out(pictures: Path) -> None:
    opaque = picture(0).convert("RGBA")
    write(pictures / "train/cat/0.png", opaque)
    loaded = datasets.load(f"folder:{pictures}")
    np.testing.assert_array_equal(loaded.train.images[0], np.asarray(picture(0)))


def test_an_image_that_a_camera_turned_is_seen_upright(pictures: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(0, size=(6, 8)).save(pictures / "train/cat/0.png", exif=exif)
    assert datasets.describe(f"folder:{pictures}").image_shape == (6, 8, 3)


def test_what_is_no_image_is_left_out_and_told_and_hidden_files_are_passed_over(pictures: Path) -> None:
    (pictures / "train/cat/.DS_Store").write_bytes(b"\0")
    assert datasets.describe(f"folder:{pictures}").notes == ()
    (pictures / "train/cat/notes.txt").write_text("taken in May")
    (note,) = datasets.describe(f"folder:{pictures}").notes
    assert note.startswith("1 entry that is no image") and "notes.txt" in note
    (pictures / "train/lost.png").write_bytes((pictures / "train/cat/0.png").read_bytes())
    (note,) = datasets.describe(f"folder:{pictures}").notes
    assert note.startswith("2 entries that are no images")


def test_a_class_without_test_images_is_named_by_its_folder(pictures: Path) -> None:
    (pictures / "test/dog/0.png").unlink()
    assert "There are no test images of class dog" in datasets.describe(f"folder:{pictures}").notes[0]


def bomb(side: int) -> bytes:
    """A PNG of a few bytes whose head promises so many pixels in each direction."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def frames() -> bytes:
    content = io.BytesIO()
    first, second = picture(1).quantize(8), picture(2).quantize(8)
    first.save(content, "GIF", save_all=True, append_images=[second])
    return content.getvalue()


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is damaged, or no image"),
        (b"not an image", "is damaged, or no image"),
        (encoded(picture(1))[:-40], "is damaged, or no image"),
        (encoded(picture(1, size=(9, 9))), r"is 9x9 pixels, and 7 of the 8 images are 8x6; a network takes one size"),
        (encoded(picture(1, "RGBA")), "has transparent pixels"),
        (encoded(Image.new("I;16", (8, 6))), r"of the kind 'I;16'.*save it as grey or RGB"),
        (encoded(picture(1, "CMYK"), "JPEG"), "of the kind 'CMYK'"),
        (bomb(50_000), "promises more pixels than fit into memory; images may have 4096 on a side"),
        (bomb(5_000), "is 5000x5000 pixels; images may have 4096 on a side"),
        (frames(), "has 2 pictures in it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_image_that_cannot_be_used_is_named(pictures: Path, content: bytes, complaint: str) -> None:
    bad = pictures / "train/dog/1.png"
    bad.write_bytes(content)
    said = refusal(pictures)
    assert str(bad) in said
    assert_matches(complaint, said)


def remove(part: str) -> Change:
    def change(pictures: Path) -> None:
        (pictures / part).rename(pictures.parent / "elsewhere")

    return change


def flatten(pictures: Path) -> None:
    for path in (pictures / "train").rglob("*.png"):
        path.rename(pictures / "train" / f"{path.parent.name}{path.name}")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (remove("test"), r"has no folder test; images lie in pictures/train/CLASS and pictures/test/CLASS"),
        (flatten, r"train has no images in it; they lie in train/CLASS/FILE"),
    ],
)
def test_folders_that_are_laid_out_otherwise_are_refused(pictures: Path, change: Change, complaint: str) -> None:
    change(pictures)
    assert_matches(complaint, refusal(pictures))


def test_one_class_alone_is_refused(pictures: Path) -> None:
    for part in ("train", "test"):
        (pictures / part / "dog").rename(pictures / f"dog-{part}")
    assert "nothing to tell apart" in refusal(pictures)


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match="There is no folder"):
        datasets.describe("folder:nowhere", tmp_path)


def assert_matches(pattern: str, said: str) -> None:
    assert re.search(pattern, said), said
