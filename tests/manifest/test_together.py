"""What is wrong in one part of a manifest hides nothing in another, and nothing is reported that follows from it."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.manifest.builders import load_problems
from tests.manifest.test_laws import MANIFESTS, SCHEMA
from vssync.errors import ManifestError
from vssync.manifest.build import build_manifest, check_document
from vssync.manifest.diagnostics import Documents
from vssync.manifest.rules import (
    FIELDS_APART_FROM_SELECTION,
    INERT_ITEMS,
    stores_of_unknown_selection,
    without_invalid_parts,
)
from vssync.manifest.schema import validate_tree
from vssync.manifest.yaml_loader import parse_document

BASE = {
    "version": 1,
    "owner": "docs",
    "stores": {"guide": {"files": [{"path": "docs/**"}]}, "more": {"files": [{"path": "top.md"}]}},
}
PAGES = {
    "docs/a.md": "a",
    "docs/b.md": "b",
    "top.md": "t",
    "bad/nested.md": "---\nk: {a: 1}\n---\n",
    "bad/empty.md": "",
}
# What is wrong: where in the manifest, what stands there, and what is said of it. A number stands for a new entry.
FAULTS: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "form of a store": (
        ("guide", "chunking"),
        {"size": 50, "overlap": 0},
        "is 50; must be at least 100",
    ),
    "form of an attribute": (("guide", "attributes"), {"v": [1]}, "must be text, a number"),
    "form of a name": (("guide", "name"), 12, "must be text, not a number"),
    "form of an entry": (("guide", "files", 1), {"path": 1}, "must be text, not a number"),
    "form of an override": (("guide", "overrides"), [{"math": "docs/**", "match": "docs/**"}], "unknown field `math`"),
    "an unknown field": (("guide", "prun"), True, "unknown field `prun`"),
    "form of another store": (("more", "prune"), "maybe", "must be true or false, not text"),
    "form of the service": (("/service",), {"provider": "bedrock"}, "must be `local`, `oci`"),
    "form of the defaults": (("/defaults",), {"expires_after": {"days": 0}}, "is 0; must be at least 1"),
    "a placeholder": (("guide", "description"), "${stor}", "`${stor}` is not a placeholder"),
    "a rule of a store": (("guide", "was"), ["more"], "not a former key"),
    "a rule of an entry": (("guide", "files", 2), {"path": "../x"}, "leaves `root`"),
    "a rule of two entries": (
        ("more", "files", 2),
        [{"file_id": "f", "key": "a"}, {"file_id": "f", "key": "b"}],
        "declared twice",
    ),
    "a pattern without a match": (("guide", "files", 3), {"path": "gone/**"}, "`gone/**` matches no file"),
    "a file chosen twice": (("guide", "files", 4), {"path": "docs/a.md"}, "chosen by two entries"),
    "an empty file": (("more", "files", 3), {"path": "bad/empty.md"}, "the file is empty"),
    "front matter": (
        ("more", "files", 4),
        {"path": "bad/nested.md", "attributes": {"k": {"from": "front_matter"}}},
        "`k` is nested",
    ),
    "an attribute filled in": (("more", "attributes"), {"v": "${dir.3}"}, "asks for more folders"),
}


def text_with(*names: str) -> str:
    """A manifest with these faults, as JSON, one value a line."""
    tree = json.loads(json.dumps(BASE))
    for (first, *rest), value, _ in (FAULTS[name] for name in names):
        if not rest:
            tree[str(first).removeprefix("/")] = value
        elif len(rest) == 1:
            tree["stores"][first][rest[0]] = value
        else:
            tree["stores"][first]["files"] += value if isinstance(value, list) else [value]
    return json.dumps(tree, indent=1)


@pytest.mark.parametrize("names", [*combinations(FAULTS, 2), tuple(FAULTS)], ids=" and ".join)
def test_all_that_is_wrong_is_reported_and_nothing_that_follows(tmp_path: Path, names: tuple[str, ...]) -> None:
    messages = [problem.message for problem in load_problems(tmp_path, text_with(*names), PAGES)]
    wanted = [FAULTS[name][2] for name in names]
    assert [message for message in messages if not any(words in message for words in wanted)] == []
    assert [words for words in wanted if not any(words in message for message in messages)] == []
    assert len(messages) == len(wanted)


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("skip", "[emty]", "must be `unsupported`"),
        ("skipp", "[empty]", "unknown field `skipp`"),
        ("formats", "{.xyz: md}", "cannot be `md`"),
        ("filename", "[a]", "must be text, not a list"),
        ("overrides", "[{match: '**/*.xyz', filename: 1}]", "must be text, not a number"),
        ("overrides", "[{match: ../x, filename: '${stem}.md', attributes: {a: null}}]", "leaves `root`"),
    ],
)
def test_a_store_that_may_have_meant_to_skip_files_is_not_blamed_for_them(
    tmp_path: Path, field: str, wrong: str, message: str
) -> None:
    many = ", ".join(f"k{number}: 1" for number in range(15))
    text = f"stores: {{s: {{{field}: {wrong}, attributes: {{{many}}}, files: [{{path: 'docs/*'}}, {{path: gone}}]}}}}"
    reported = load_problems(tmp_path, text, {"docs/a.xyz": "x", "docs/empty.md": ""})
    assert len(reported) == 2
    assert message in reported[0].message
    assert reported[1].message == "`gone` does not exist"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("defaults: {prune: 1}\nstores: {a: {files: [{path: x}]}, b: , c: }\n", [3, 4]),
        ("defaults: {id: x}\nstores: {a: , b: {files: [{path: x}]}}\n", [3, 4]),
        ("environments: {dev: {stores: {a: {prune: 1}}}, prod: }\nstores: {a: {files: [{path: x}]}}\n", [3, 4]),
        ("include: [more.yaml]\nstores: {a: {files: [{path: x}]}}\n", [2, 4]),
        ("root: gone\nstores: {a: {prune: 1, files: [{path: x}, {path: ../y}]}}\n", [3, 4, 4]),
        ("root: '${x}'\nstores: {a: {prune: 1, files: [{path: x}]}}\n", [3, 4]),
        ("x: 1\nstores: {a: {prune: 1, files: [{path: x}]}}\n", [3, 4]),
    ],
)
def test_what_is_wrong_around_the_stores_hides_nothing_that_can_be_told(
    tmp_path: Path, text: str, lines: list[int]
) -> None:
    pages = {"docs/a.md": "a", "more.yaml": "stores:\n  m: {prune: 1}\n"}
    env = "prod" if text.startswith("environments") else None
    assert sorted(problem.line for problem in load_problems(tmp_path, text, pages, env=env)) == lines


def test_fields_that_leave_a_store_clear_are_the_schemas() -> None:
    fields = SCHEMA["definitions"]["store"]["properties"]
    assert set(fields) - FIELDS_APART_FROM_SELECTION == {"files", "overrides", "skip", "formats", "filename", "removed"}
    assert FIELDS_APART_FROM_SELECTION - set(fields) == set()


@pytest.mark.parametrize(
    ("path", "is_unknown", "left"),
    [
        ((), True, {"name": "\0s"}),
        (("name",), False, {"name": "\0s", "files": [{"path": "a"}, {"path": "b"}], "prune": False}),
        (("prune",), False, {"files": [{"path": "a"}, {"path": "b"}]}),
        (("files",), True, {"prune": False}),
        (("removed",), True, {"prune": False}),
        (("files", 1), False, {"files": [{"path": "a"}, INERT_ITEMS["files"]], "prune": False}),
        (("files", 1, "path"), False, {"files": [{"path": "a"}, INERT_ITEMS["files"]], "prune": False}),
        (("skip",), True, {"files": [{"path": "a"}, {"path": "b"}], "prune": False}),
    ],
)
def test_what_is_left_of_a_store_with_a_mistake(path: tuple[str | int, ...], is_unknown: bool, left: Any) -> None:
    tree = {"stores": {"s": {"files": [{"path": "a"}, {"path": "b"}], "prune": False}}}
    invalid = ("stores", "s", *path)
    assert without_invalid_parts(tree, [invalid])["stores"]["s"] == left
    assert stores_of_unknown_selection([invalid]) == (frozenset("s") if is_unknown else frozenset())


@settings(max_examples=100)
@given(MANIFESTS, st.sampled_from([None, "a"]))
def test_what_is_left_has_the_right_form(tree: Any, env: str | None) -> None:
    try:
        left = build_manifest(
            Documents(check_document(parse_document(json.dumps(tree), "m.json"), SCHEMA)), SCHEMA, env, {}
        )
    except ManifestError:
        return
    assert validate_tree(left.tree, SCHEMA) == ()
