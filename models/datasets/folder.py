"""A person's own data set: image files in folders, DIR/train/CLASS/FILE and DIR/test/CLASS/FILE, read by Pillow.

A class is called as its folder is.  All images are of one size, because a network takes one: how to make them so (cut,
squeeze, pad) decides what is learned, and is the person's to say.
"""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.datasets import arrays
from models.datasets.description import Description
from models.datasets.errors import DatasetError, DatasetMissing
from models.datasets.splits import Split

_PARTS = ("train", "test")

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""Files that are called otherwise are left out, and told: a folder has its README and its Thumbs.db."""

_LARGEST_SIDE = 4096
"""Pixels.  A file of a few kilobytes can promise an image that fills any memory; this is read from its head."""

_GREY, _COLOUR = "L", "RGB"
_AS_GREY = ("1", "L")
"""Pillow's modes of images that are grey without loss."""
_TRANSPARENT = ("LA", "PA", "La", "RGBA", "RGBa")

_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
)
"""What Pillow raises for a file that is truncated, altered, or of another kind."""


class _File(NamedTuple):
    path: Path
    label: int


@dataclass(frozen=True)
class _Tree:
    """The files of a data set."""

    classes: tuple[str, ...]
    files: dict[str, list[_File]]
    """Of each part, in the order of the classes' and the files' names."""
    left_out: tuple[Path, ...]


def read(name: str, directory: Path) -> tuple[Description, Split, Split]:
    """The description (named `name`), the training and the test images of the folder `directory`.

    Raises:
        DatasetMissing: there is no such folder.
        DatasetError: it has no images in folders of classes, they are not all of one size, or one cannot be used.
    """
    tree = _look_through(directory)
    everything = [file for part in _PARTS for file in tree.files[part]]
    images, note = _pixels(everything)
    labels = np.array([file.label for file in everything], np.int64)
    count = len(tree.files["train"])
    train, test = Split.whole(images[:count], labels[:count]), Split.whole(images[count:], labels[count:])
    try:
        description = arrays.described(name, train, test, tree.classes, _digest(tree.classes, train, test))
    except DatasetError as error:
        raise DatasetError(f"{directory}: {error}") from None
    return description.noting(*_notes(tree), *note), train, test


# --- the folders ---


def _look_through(directory: Path) -> _Tree:
    if not directory.is_dir():
        raise DatasetMissing(
            f"There is no folder {directory}; give its path after folder:, from the --data directory if named."
        )
    lacking = [part for part in _PARTS if not (directory / part).is_dir()]
    if lacking:
        raise DatasetError(
            f"{directory} has no folder {' and no folder '.join(lacking)}; images lie in {directory.name}/train/CLASS "
            f"and {directory.name}/test/CLASS, each class in a folder of its own."
        )
    folders = {part: _visible(directory / part) for part in _PARTS}
    classes = tuple(sorted({entry.name for entries in folders.values() for entry in entries if entry.is_dir()}))
    files: dict[str, list[_File]] = {}
    left_out: list[Path] = []
    for part in _PARTS:
        found = [
            _File(path, classes.index(entry.name))
            for entry in folders[part]
            if entry.is_dir()
            for path in _visible(entry)
        ]
        files[part] = [file for file in found if _is_image(file.path)]
        left_out += [file.path for file in found if not _is_image(file.path)]
        left_out += [entry for entry in folders[part] if not entry.is_dir()]
        if not files[part]:
            raise DatasetError(
                f"{directory / part} has no images in it; they lie in {part}/CLASS/FILE, as {', '.join(_SUFFIXES)}."
            )
    return _Tree(classes, files, tuple(left_out))


def _visible(directory: Path) -> list[Path]:
    """What is in a folder, by name, without what begins with a dot.  Raises DatasetError: it may not be read."""
    try:
        return sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{directory} cannot be read: {error.strerror}.") from error


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def _notes(tree: _Tree) -> Iterator[str]:
    if tree.left_out:
        shown, count = tree.left_out[0], len(tree.left_out)
        one = count == 1
        yield (
            f"{count:,} {'entry that is no image' if one else 'entries that are no images'} by name or place "
            f"{'was' if one else 'were'} left out{'' if one else ', such as'}{':' if one else ''} {shown}."
        )


# --- their images ---


def _pixels(files: Sequence[_File]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """[N, H, W, 1] if all are grey, else [N, H, W, 3]; and what is to be told of it."""
    sizes = [_head(file.path) for file in files]
    _check_one_size(files, sizes)
    grey = Counter(mode in _AS_GREY for _, mode in sizes)
    mode = _COLOUR if grey[False] else _GREY
    (width, height), _ = sizes[0]
    try:
        images = np.empty((len(files), height, width, len(mode) if mode == _COLOUR else 1), np.uint8)
    except MemoryError as error:
        raise DatasetError(
            f"{len(files):,} images of {width}x{height} pixels are more than the memory of this machine."
        ) from error
    for number, file in enumerate(files):
        images[number] = _decoded(file.path, mode)
    mixed = f"{grey[True]:,} of {len(files):,} images are grey, and become colour images with three equal channels."
    return images, (mixed,) if grey[True] and grey[False] else ()


def _head(path: Path) -> tuple[tuple[int, int], str]:
    """Width and height as the image is looked at, and Pillow's mode; its pixels are not decoded."""
    with _opened(path) as image:
        if max(image.size) > _LARGEST_SIDE:
            raise DatasetError(
                f"{path} is {image.size[0]}x{image.size[1]} pixels; images may have {_LARGEST_SIDE} on a side."
            )
        if (pictures := getattr(image, "n_frames", 1)) > 1:
            raise DatasetError(f"{path} has {pictures} pictures in it; save the one that is meant.")
        return ImageOps.exif_transpose(image).size if _turned(image) else image.size, image.mode


def _check_one_size(files: Sequence[_File], heads: Sequence[tuple[tuple[int, int], str]]) -> None:
    counts = Counter(size for size, _ in heads)
    if len(counts) == 1:
        return
    (usual, _), *_ = counts.most_common()
    other = next(number for number, (size, _) in enumerate(heads) if size != usual)
    width, height = heads[other][0]
    raise DatasetError(
        f"{files[other].path} is {width}x{height} pixels, and {counts[usual]:,} of the {len(files):,} images are "
        f"{usual[0]}x{usual[1]}; a network takes one size: bring all images to it."
    )


def _decoded(path: Path, mode: str) -> NDArray[np.uint8]:
    """[H, W, 1] or [H, W, 3] as `mode` says."""
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in _TRANSPARENT or "transparency" in upright.info:
            upright = _without_alpha(path, upright.convert("RGBA"))
        if upright.mode not in (*_AS_GREY, _COLOUR, "P"):
            raise DatasetError(
                f"{path} is an image of the kind {upright.mode!r} (Pillow's name), which has no exact form of 8 bits a "
                "channel; save it as grey or RGB."
            )
        converted = upright.convert(mode)
        return np.asarray(converted, np.uint8).reshape(converted.height, converted.width, -1)


def _without_alpha(path: Path, image: Image.Image) -> Image.Image:
    lowest, _ = image.getchannel("A").getextrema()
    if lowest != 255:
        raise DatasetError(f"{path} has transparent pixels, behind which nothing stands; save it without transparency.")
    return image.convert(_COLOUR)


def _turned(image: Image.Image) -> bool:
    """Whether a camera has noted that the image lies on its side."""
    return bool(image.getexif().get(0x0112, 1) >= 5)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file; whatever Pillow says against it becomes a sentence."""
    try:
        with warnings.catch_warnings():
            # The sizes that Pillow warns of are refused here.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                yield image
    except MemoryError as error:
        raise DatasetError(f"{path} is larger than the memory of this machine.") from error
    except Image.DecompressionBombError as error:
        raise DatasetError(
            f"{path} promises more pixels than fit into memory; images may have {_LARGEST_SIDE} on a side."
        ) from error
    except PermissionError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
    except _UNREADABLE as error:
        raise DatasetError(
            f"{path} is damaged, or no image that Pillow can read; delete it or save it again."
        ) from error


def _digest(classes: Sequence[str], train: Split, test: Split) -> str:
    """Of what is seen, and not of the files: the same images in another format are the same data set."""
    return arrays.digest(train, test, "\n".join(classes))
