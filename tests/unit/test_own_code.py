"""A person's own code: gathered, looked through without being run, and imported under a name of its own."""

from __future__ import annotations

import hashlib
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from models.own_code import bundle, importing, inspection, reference
from models.own_code.bundle import Bundle
from models.own_code.errors import OwnCodeFault, UntrustedCode
from models.own_code.reference import Reference

PACKAGE = {
    "nets/__init__.py": "",
    "nets/layers.py": "WIDTH = 8\n",
    "nets/deep/__init__.py": "from ..layers import WIDTH\n",
    "nets/deep/vits.py": "from . import WIDTH\nfrom ..layers import WIDTH as again\n"
    "def build(keras, image_shape, classes):\n    return WIDTH + again\n",
}


def write(folder: Path, **files: str) -> None:
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")


def named(text: str) -> Reference:
    found = reference.parse(text)
    assert found is not None
    return found


def checked(folder: Path, text: str) -> Bundle:
    """The code as `orch plan` takes it for a network."""
    gathered = bundle.gather(folder, named(text))
    inspection.check(gathered, named(text), folder, "build(keras, ...)", image_shape=(8, 8, 3), classes=3)
    return gathered


def imported(gathered: Bundle, text: str) -> Any:
    importing.install(gathered.to_bytes(), gathered.digest)
    return importing.function(named(text).pinned(gathered.digest))


@pytest.mark.parametrize(
    "text",
    [
        "my_nets:build",
        "package.module:function",
        "../nets.py:build",
        "/nets.py:build",
        "a-b.py:build",
        "n.py:",
        "n.py@12:build",
    ],
)
def test_what_is_no_file_of_a_persons_own_is_no_reference(text: str) -> None:
    assert reference.parse(text) is None


def test_a_reference_is_read_back_as_it_is_written() -> None:
    for text in ("nets.py:build", f"a/b_1.py@{'0' * 64}:build"):
        assert str(named(text)) == text


def test_a_file_travels_alone_and_a_package_with_all_its_modules(tmp_path: Path) -> None:
    write(
        tmp_path,
        **PACKAGE,
        **{"alone.py": "", "nets/data/table.csv": "1", "nets/scripts/run.py": "", "nets/a-b.py": ""},
    )
    assert bundle.gather(tmp_path, named("alone.py:build")).modules.keys() == {""}
    gathered = bundle.gather(tmp_path, named("nets/deep/vits.py:build"))
    assert gathered.modules.keys() == {"", ".layers", ".deep", ".deep.vits"}
    assert Bundle.from_bytes(gathered.to_bytes()) == gathered


def test_the_digest_follows_from_the_sources_and_not_from_how_they_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_bytes(b"# \xc3\xa4\nx = 1\n")
    before = bundle.gather(tmp_path, named("nets.py:build")).digest
    path.write_bytes(b"\xef\xbb\xbf# \xc3\xa4\r\nx = 1\r\n")
    assert bundle.gather(tmp_path, named("nets.py:build")).digest == before
    path.write_bytes(b"# \xc3\xa4\nx = 2\n")
    assert bundle.gather(tmp_path, named("nets.py:build")).digest != before


def test_what_is_imported_has_a_name_of_its_own_and_leaves_the_import_path_alone(tmp_path: Path) -> None:
    write(tmp_path, **PACKAGE)
    path_before, modules_before = list(sys.path), set(sys.modules)

    build = imported(checked(tmp_path, "nets/deep/vits.py:build"), "nets/deep/vits.py:build")

    assert build(None, None, None) == 16
    assert sys.path == path_before
    assert all(name.startswith("orch_own_code_") for name in set(sys.modules) - modules_before)


def test_two_versions_of_one_file_are_there_at_once(tmp_path: Path) -> None:
    text, results = "models.py:build", []
    for number in (1, 2):
        write(tmp_path, **{"models.py": f"def build(keras, image_shape, classes):\n    return {number}\n"})
        results.append(imported(checked(tmp_path, text), text))
    assert [build(None, None, None) for build in results] == [1, 2]
    assert sys.modules["models"].__name__ == "models"


def test_a_module_that_did_not_travel_is_not_looked_for_where_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, **{"nets/__init__.py": "def build():\n    from . import hidden\n", "nets/hidden.txt": ""})
    gathered = bundle.gather(tmp_path, named("nets/__init__.py:build"))
    write(tmp_path, **{"nets/hidden.py": ""})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError):
        imported(gathered, "nets/__init__.py:build")()


def test_code_that_is_not_the_one_that_is_meant_is_not_run(tmp_path: Path) -> None:
    write(tmp_path, **{"nets.py": "raise SystemExit('run')\n"})
    content = bundle.gather(tmp_path, named("nets.py:build")).to_bytes()
    with pytest.raises(UntrustedCode):
        importing.install(content, hashlib.sha256(content + b" ").hexdigest())


def test_the_line_of_an_exception_is_the_persons_own_and_its_source_is_shown(tmp_path: Path) -> None:
    write(tmp_path, **{"nets.py": "def build():\n    return helper()\n\ndef helper():\n    return int('seven')\n"})
    build = imported(bundle.gather(tmp_path, named("nets.py:build")), "nets.py:build")
    with pytest.raises(ValueError, match="seven") as told:
        build()
    assert importing.place_of(told.value) == "nets.py, line 5"
    assert "return int('seven')" in "".join(traceback.format_exception(told.value))
    assert importing.place_of(ValueError("elsewhere")) is None


GOOD = "def build(keras, image_shape=(32, 32, 3), classes=10):\n    pass\n"


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "def build(keras, image_shape, classes): pass",
        "def build(k, *, classes, image_shape, width=8): pass",
        "def build(keras, **more): pass",
        "def build(*a, **more): pass",
        "import functools\nbuild = functools.partial(print, 1)",
        "from elsewhere import build",
        "class build: pass",
        "import functools\n@functools.cache\ndef build(): pass",
        "if True:\n    def build(): pass",
    ],
)
def test_whatever_may_be_called_is_taken(tmp_path: Path, source: str) -> None:
    write(tmp_path, **{"nets.py": source})
    checked(tmp_path, "nets.py:build")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def build(keras:\n    pass\n", r"nets\.py, line 1: "),
        ("x = 1\nx = '\n", r"nets\.py, line 2: unterminated string"),
        ("x = 1\0", r"nets\.py"),
        ("def bild(keras, image_shape, classes): pass", r"has no function 'build'; did you mean 'bild'\?"),
        ("x = 1", r"has no function 'build'; it has no function at all\."),
        ("\nasync def build(keras, image_shape, classes): pass", r"line 2: build is a coroutine"),
        ("\ndef build(): pass", r"line 2: build is called as build\(keras, \.\.\.\), and that cannot be: too many"),
        ("def build(keras, shape, classes): pass", r"cannot be: .*(shape|image_shape)"),
        ("def build(keras, image_shape, classes, width): pass", r"missing a required argument: 'width'"),
        ("def build(keras, image_shape, /, classes): pass", r"positional.only"),
        (f"import beside\n{GOOD}", r"line 1: beside lies beside the study and is not found where workers run"),
        (f"def f():\n    from folder.inner import x\n{GOOD}", r"line 2: folder lies beside the study"),
        (f"from .beside import x\n{GOOD}", r"line 1: a dot before an import means the package"),
    ],
)
def test_a_mistake_is_told_with_its_line_without_running_the_code(tmp_path: Path, source: str, complaint: str) -> None:
    write(tmp_path, **{"nets.py": source, "beside.py": "", "folder/__init__.py": ""})
    with pytest.raises(OwnCodeFault, match=complaint) as told:
        checked(tmp_path, "nets.py:build")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("from .nowhere import x\n", r"nets/vit\.py, line 1: the package has no module nowhere"),
        ("from ... import x\n", r"nets/vit\.py, line 1: \.\.\. leads out of the package"),
        ("import nets.layers\n", r"nets/vit\.py, line 1: nets lies beside the study"),
    ],
)
def test_an_import_that_leads_out_of_the_package_is_told(tmp_path: Path, source: str, complaint: str) -> None:
    write(tmp_path, **{"nets/__init__.py": "", "nets/layers.py": "", "nets/vit.py": source + GOOD})
    with pytest.raises(OwnCodeFault, match=complaint):
        checked(tmp_path, "nets/vit.py:build")


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(OwnCodeFault, match=r"There is no file .*nets\.py"):
        checked(tmp_path, "nets.py:build")
    (tmp_path / "nets.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(OwnCodeFault, match="not text in the encoding"):
        checked(tmp_path, "nets.py:build")


def test_a_package_of_something_else_is_refused(tmp_path: Path) -> None:
    write(tmp_path, **{"nets/__init__.py": "", "nets/vit.py": GOOD, "nets/table.py": "x = 1\n" * 400_000})
    with pytest.raises(OwnCodeFault, match="leave what the study does not need"):
        checked(tmp_path, "nets/vit.py:build")
