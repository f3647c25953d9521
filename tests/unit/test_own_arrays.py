"""A person's own data, returned by a function in their file: taken, or refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import datasets
from models.datasets import DatasetError

ARRAYS = """
import numpy as np

def arrays(**changes):
    labels = np.arange(12) % 3
    images = np.full((12, 4, 5, 3), 200, np.uint8)
    return {"x_train": images, "y_train": labels, "x_test": images[:3], "y_test": labels[:3]} | changes

"""


def write(folder: Path, body: str) -> None:
    (folder / "my_data.py").write_text(f"{ARRAYS}def load():\n{body}\n", encoding="utf-8")


@pytest.mark.parametrize(
    "body",
    [
        "    return arrays()",
        "    a = arrays(); return (a['x_train'], a['y_train']), (a['x_test'], a['y_test'])",
        "    return {name: array.tolist() if name[0] == 'y' else array for name, array in arrays().items()}",
    ],
)
def test_what_a_function_returns_is_loaded_and_described(tmp_path: Path, body: str) -> None:
    write(tmp_path, body)

    loaded = datasets.load("my_data.py:load", tmp_path)

    described = loaded.description
    assert (described.name, described.classes, described.image_shape) == ("my_data.py:load", ("0", "1", "2"), (4, 5, 3))
    assert (described.train_images, described.test_images, described.smallest_class) == (12, 3, 4)
    assert loaded.test.labels.tolist() == [0, 1, 2]


def test_the_digest_follows_from_the_arrays_and_not_from_the_code(tmp_path: Path) -> None:
    write(tmp_path, "    return arrays()")
    before = datasets.describe("my_data.py:load", tmp_path).digest
    write(tmp_path, "    return arrays()  # the same")
    assert datasets.describe("my_data.py:load", tmp_path).digest == before
    write(tmp_path, "    return arrays(y_test=np.array([2, 1, 0]))")
    assert datasets.describe("my_data.py:load", tmp_path).digest != before


def test_the_function_finds_files_that_lie_beside_it_and_its_prints_are_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "labels.npy", np.array([1, 1, 0]))
    write(
        tmp_path,
        "    import pathlib\n    print('reading')\n"
        "    return arrays(y_test=np.load(pathlib.Path(__file__).parent / 'labels.npy'))",
    )
    assert datasets.load("my_data.py:load", tmp_path).test.labels.tolist() == [1, 1, 0]
    told = capsys.readouterr()
    assert told.out == "" and "reading" in told.err


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("    pass", "it returns nothing; return a dictionary of x_train"),
        ("    return 1, 2, 3", "it returns tuple of 3; return"),
        ("    return {'x_train': 1}", "has no y_train and no x_test and no y_test; return"),
        ("    return arrays(x_train=np.zeros((12, 4, 5, 3)))", r"x_train is float64\[12, 4, 5, 3\]; images are uint8"),
        ("    return arrays(x_train=np.full((12, 4, 5, 3), np.nan))", "some are not finite"),
        ("    return arrays(x_train=np.zeros((12, 3, 4, 5), np.uint8))", "channels seem to come first"),
        ("    return arrays(x_train=np.array([None] * 12))", "x_train is an array of Python objects"),
        ("    return arrays(x_train=[np.zeros((2, 2)), np.zeros(3)])", "x_train cannot become an array"),
        ("    return arrays(y_train=np.eye(12, 3))", "one-hot"),
        ("    return arrays(y_test=[0])", "for 3 images"),
        ("    return open('nowhere.csv')", r"my_data\.py, line 10: FileNotFoundError: .*nowhere\.csv"),
        ("    return 1 / 0", r"my_data\.py, line 10: ZeroDivisionError: division by zero\."),
        ("    raise SystemExit(3)", r"my_data\.py, line 10: SystemExit: 3\."),
        ("    import not_installed_anywhere", r"line 10: No module named 'not_installed_anywhere'; install it here"),
        ("    raise MemoryError", "load fewer images"),
        ("    return (", r"my_data\.py, line 10: '\(' was never closed"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(tmp_path: Path, body: str, complaint: str) -> None:
    write(tmp_path, body)
    with pytest.raises(DatasetError, match=complaint) as told:
        datasets.load("my_data.py:load", tmp_path)
    assert "\n" not in str(told.value)


def test_a_function_that_wants_something_is_refused_before_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "my_data.py").write_text("raise SystemExit('run')\ndef load(directory): pass\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"line 2: load is called as load\(\), and that cannot be: .*'directory'"):
        datasets.describe("my_data.py:load", tmp_path)
