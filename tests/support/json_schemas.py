"""JSON Schemas of `docs/`: what commands print is valid against them, and says nothing that they do not describe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DOCS = Path(__file__).parents[2] / "docs"


def schema(name: str) -> dict[str, Any]:
    """One of `docs/`, sound by itself."""
    found: dict[str, Any] = json.loads((DOCS / name).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(found)
    return found


def faults(document: Any, of: Mapping[str, Any]) -> list[str]:
    """What is wrong with a document, keys that the schema does not describe included: people read it to know them."""
    wrong = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(of).iter_errors(document)]
    return [*wrong, *(f"{path} is not described" for path in _undescribed(document, of, of, "$"))]


def _undescribed(document: Any, of: Any, root: Mapping[str, Any], path: str) -> Iterator[str]:
    for rule in _resolved(of, root):
        if isinstance(document, dict):
            yield from _undescribed_keys(document, rule, root, path)
        if isinstance(document, list) and "items" in rule:
            for number, item in enumerate(document):
                yield from _undescribed(item, rule["items"], root, f"{path}[{number}]")


def _undescribed_keys(document: dict[str, Any], rule: Any, root: Mapping[str, Any], path: str) -> Iterator[str]:
    properties, more = rule.get("properties", {}), rule.get("additionalProperties")
    for key, value in document.items():
        if key in properties:
            yield from _undescribed(value, properties[key], root, f"{path}.{key}")
        elif isinstance(more, dict):
            yield from _undescribed(value, more, root, f"{path}.{key}")
        else:
            yield f"{path}.{key}"


def _resolved(of: Any, root: Mapping[str, Any]) -> Iterator[Any]:
    """The rules that may describe an object or a list, without the ways to name them."""
    if "$ref" in of:
        yield from _resolved(root["$defs"][of["$ref"].removeprefix("#/$defs/")], root)
    elif "oneOf" in of:
        for each in of["oneOf"]:
            yield from _resolved(each, root)
    elif "properties" in of or "additionalProperties" in of or "items" in of:
        yield of
