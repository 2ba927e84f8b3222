"""Laws over manifests nobody wrote: they load or are refused, and what is rendered renders itself."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.manifest.builders import PAGES, load_manifest, write_files
from tests.manifest.test_environments import TEXT
from tests.manifest.test_yaml_loader import TREES
from vssync.errors import ManifestError
from vssync.manifest.resolve import effective_tree
from vssync.manifest.scalars import parse_number
from vssync.manifest.schema import compile_schema
from vssync.manifest.validator import SchemaValidator
from vssync.sources.load import LoadedManifest, load_sources
from vssync.sources.schemas import load_schema

SCHEMA = load_schema("manifest.schema.json")
WORDS = st.sampled_from(
    [
        "a",
        "auto",
        "docs/**",
        "**/*.md",
        "${store}",
        "${env}",
        "${path}",
        "${dir.1}",
        "${",
        "$${x}",
        "${var.v}",
        "*",
        "..",
        "é",
    ]
)
SCALARS = WORDS | st.booleans() | st.none() | st.integers(-2, 400) | st.floats(-1, 500)


def likely(rules: Any) -> st.SearchStrategy[Any]:
    """Values that have the schema's fields, and mostly its types."""
    if "$ref" in rules:
        target: Any = SCHEMA
        for step in rules["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return likely({**target, **{name: part for name, part in rules.items() if name != "$ref"}})
    if "properties" in rules:
        needed = [*rules.get("required", ()), *rules.get("else", {}).get("required", ())]
        names = st.lists(st.sampled_from(sorted(rules["properties"])), max_size=3)
        return names.flatmap(
            lambda some: st.fixed_dictionaries({name: likely(rules["properties"][name]) for name in {*needed, *some}})
        )
    if isinstance(rules.get("additionalProperties"), dict):
        return st.dictionaries(st.sampled_from(["a", "b", "v"]), likely(rules["additionalProperties"]), max_size=2)
    if "items" in rules:
        return st.lists(likely(rules["items"]), min_size=1, max_size=2)
    return st.integers(0, 40).flatmap(lambda luck: right(rules) if luck else SCALARS)


def right(rules: Any) -> st.SearchStrategy[Any]:
    """Values of a plain field's type; texts also with placeholders and patterns."""
    values: st.SearchStrategy[Any] = st.sampled_from([*rules.get("examples", ()), *rules.get("enum", ())] or ["a", "b"])
    if "string" in rules.get("type", ()) and not {"enum", "pattern"} & set(rules):
        values |= WORDS
    return values | st.booleans() if "boolean" in rules.get("type", ()) else values


MANIFESTS = likely(SCHEMA).map(lambda tree: {**tree, "version": 1, "owner": "docs"} if isinstance(tree, dict) else tree)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(MANIFESTS | TREES, st.sampled_from([None, "a", "pr-1"]))
def test_any_tree_loads_or_is_refused(tmp_path: Path, tree: Any, env: str | None) -> None:
    folder = write_files(tmp_path / "once", {"vssync.yaml": json.dumps(tree), **PAGES})
    with suppress(ManifestError):
        loaded = load_sources(folder, env=env)
        assert loads_again(tmp_path / "again", loaded)


def loads_again(folder: Path, loaded: LoadedManifest) -> bool:
    """Whether a rendered manifest means what it was rendered from; over the same files it may not be refused."""
    try:
        reloaded = load_manifest(folder, json.dumps(effective_tree(loaded.manifest)))
    except ManifestError as error:
        raise AssertionError("a rendered manifest was refused") from error
    return reloaded.desired.stores == loaded.desired.stores


@pytest.mark.parametrize("env", ["dev", "prod", "pr-7"])
def test_what_is_rendered_renders_itself(tmp_path: Path, env: str) -> None:
    loaded = load_manifest(tmp_path, TEXT, env=env)
    text = json.dumps(effective_tree(loaded.manifest))
    reloaded = load_manifest(tmp_path, text)
    assert effective_tree(reloaded.manifest) == effective_tree(loaded.manifest)
    assert reloaded.desired.stores == loaded.desired.stores
    assert reloaded.desired.service == loaded.desired.service


INLINED, CHECK = compile_schema(SCHEMA, "")
MISTAKES = st.tuples(st.integers(0, 400), SCALARS | TREES | st.sampled_from([1.0, parse_number("+1"), math.nan, "a\n"]))


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(MANIFESTS | TREES, st.none() | MISTAKES)
def test_the_quick_check_says_what_jsonschema_says(tree: Any, mistake: tuple[int, Any] | None) -> None:
    """Also of a manifest with anything in one place."""
    tree = copy.deepcopy(tree)  # parts of it are the schema's own examples
    places = list(places_in(tree))
    if mistake and places:
        holder, name = places[mistake[0] % len(places)]
        holder[name] = mistake[1]
    assert CHECK(tree) is not any(SchemaValidator(INLINED).iter_errors(tree))


def places_in(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or mapping in a tree with each of its places."""
    for name, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield tree, name
        yield from places_in(value)
