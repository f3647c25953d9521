from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from models.architectures import catalog
from models.compression import methods
from models.recipes import Recipe

USERS_MODULE = """
def build(keras, image_shape=(32, 32, 3), classes=10):
    return ("built with", keras, image_shape, classes)

not_a_function = 3
"""


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_networks.py").write_text(USERS_MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)
    return "my_networks"


def test_names_and_recipes_are_known_without_tensorflow_or_keras() -> None:
    heavy = {"tensorflow", "keras", "ai_edge_litert", "litert_quantizer"}
    program = (
        "import sys; from models.architectures import catalog; from models.compression import methods;"
        f"catalog.get('vit'); print(sorted({heavy!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_name_leads_to_its_own_architecture() -> None:
    assert len(catalog.names()) == 15
    for name in catalog.names():
        assert catalog.is_known(name)
        assert catalog.get(name).name == name


def test_every_recipe_survives_a_job_spec() -> None:
    for name in catalog.names():
        recipe = catalog.get(name).recipe
        assert Recipe.from_dict(json.loads(json.dumps(asdict(recipe)))) == recipe


def test_a_misspelt_architecture_is_refused_with_the_allowed_names_and_the_nearest() -> None:
    with pytest.raises(catalog.UnknownArchitecture) as refusal:
        catalog.get("alexnet-tinny")
    sentence = str(refusal.value)
    assert "'alexnet-tinny'" in sentence
    assert "Did you mean 'alexnet-tiny'?" in sentence
    assert all(name in sentence for name in catalog.names())


def test_an_architecture_like_no_other_is_refused_without_a_guess() -> None:
    with pytest.raises(catalog.UnknownArchitecture) as refusal:
        catalog.get("zzz")
    assert "Did you mean" not in str(refusal.value)


def test_a_users_own_builder_is_imported_with_the_default_recipe(users_module: str) -> None:
    architecture = catalog.get(f"{users_module}:build")
    assert architecture.recipe == Recipe()
    assert architecture.build("namespace", classes=3) == ("built with", "namespace", (32, 32, 3), 3)


@pytest.mark.parametrize(
    ("function", "reason"),
    [("missing", "has no attribute 'missing'"), ("not_a_function", "is a int; it must be a function")],
)
def test_a_users_own_builder_that_is_no_function_is_refused(users_module: str, function: str, reason: str) -> None:
    with pytest.raises(catalog.UnknownArchitecture, match=reason):
        catalog.get(f"{users_module}:{function}")


def test_a_module_that_does_not_exist_is_refused_with_its_name() -> None:
    with pytest.raises(catalog.UnknownArchitecture, match="No module named 'no_such_module'"):
        catalog.get("no_such_module:build")


@pytest.mark.parametrize("name", ["a:b", "my_package.networks:build"])
def test_a_dotted_name_is_known_before_it_is_imported(name: str) -> None:
    assert catalog.is_known(name)


@pytest.mark.parametrize("name", ["", "resnet", "a.b", "a:", ":b", "a:b:c", "a-b:c", "a:b.c", "a b:c"])
def test_other_shapes_of_a_name_are_not_known(name: str) -> None:
    assert not catalog.is_known(name)


def test_a_misspelt_method_is_refused_with_the_allowed_names_and_the_nearest() -> None:
    with pytest.raises(methods.UnknownMethod) as refusal:
        methods.get("dynamic_int8")
    assert str(refusal.value) == (
        "There is no compression method 'dynamic_int8'; allowed are float32, float16, dynamic-int8, weight-int8, "
        "static-int8, dense-int4, int4. "
        "Did you mean 'dynamic-int8'?"
    )


def test_the_reference_method_comes_first() -> None:
    assert methods.names()[0] == "float32"
    assert all(methods.is_known(name) for name in methods.names())
    assert not methods.is_known("int3")
