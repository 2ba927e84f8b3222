"""The schema itself: good draft-07, complete for editors, and in step with the types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from jsonschema import Draft7Validator

from vssync.manifest.validator import SchemaValidator
from vssync.model.service import Capabilities, ServiceSpec
from vssync.model.state import DesiredStore
from vssync.sources.schemas import load_schema

SCHEMA = load_schema("manifest.schema.json")
DEFINITIONS = SCHEMA["definitions"]
OURS = {"key", "expires_after_days", "skipped"}  # of a DesiredStore, and not a field of its own


def described(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of the schema with its rules, references followed once."""
    for name, rules in node.get("properties", {}).items():
        target = rules
        if set(rules) == {"$ref"}:
            target = SCHEMA
            for step in rules["$ref"].removeprefix("#/").split("/"):
                target = target[step]
        yield f"{path}.{name}", target
        yield from described(rules, f"{path}.{name}")


FIELDS = dict(described(SCHEMA)) | {
    name: rules for key, part in DEFINITIONS.items() for name, rules in described(part, key)
}


def test_it_is_draft_7() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_is_explained_with_examples_that_are_right(field: str) -> None:
    rules = FIELDS[field]
    assert rules["title"]
    assert rules["description"]
    assert rules["examples"]
    checker = SchemaValidator(
        {**rules, "definitions": DEFINITIONS, "properties": {**SCHEMA["properties"], **rules.get("properties", {})}}
    )
    for example in [*rules["examples"], *([rules["default"]] if "default" in rules else [])]:
        assert not list(checker.iter_errors(example))


def test_a_manifest_is_small_enough_to_know() -> None:
    names = {field.rpartition(".")[2] for field in FIELDS if ".properties." not in field} - {"$schema"}
    assert len(names) < 66, sorted(names)


def test_defaults_are_a_store_without_what_is_its_own() -> None:
    store, defaults = DEFINITIONS["store"]["properties"], DEFINITIONS["defaults"]["properties"]
    assert set(defaults) == set(store) - {"id", "was", "adopt", "external", "removed"}


@pytest.mark.parametrize(
    ("names", "kind", "left_out"),
    [
        (DEFINITIONS["service"]["properties"], ServiceSpec, set[str]()),
        (DEFINITIONS["service"]["properties"]["capabilities"]["properties"], Capabilities, set[str]()),
    ],
)
def test_the_schema_names_what_the_types_hold(names: dict[str, Any], kind: Any, left_out: set[str]) -> None:
    assert set(names) == {field.name for field in fields(kind)} - left_out


def test_a_store_holds_every_setting() -> None:
    assert {field.name for field in fields(DesiredStore)} - OURS <= set(DEFINITIONS["store"]["properties"])


@pytest.mark.parametrize("field", ["prune", "protect", "external"])
def test_defaults_of_the_schema_are_those_of_the_types(field: str) -> None:
    assert DEFINITIONS["store"]["properties"][field]["default"] is getattr(DesiredStore("k", "n"), field)
