"""Every verb with `--format json` prints a document of its own kind, which its schema describes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.test_commands import vssync
from tests.sources.test_git import commit, git
from vssync import __version__
from vssync.cli.schema import KINDS

ROOT = Path(__file__).parents[2]
SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8"))
    for path in (ROOT / "schemas").glob("*.schema.json")
}


MANIFEST = """\
version: 1
owner: shelf
environments: {dev: {}, prod: {}}
stores:
  docs: {name: "docs-${env}", files: [{path: "*.md", attributes: {lang: en}}]}
"""
ASKED = MANIFEST.replace("lang: en}}]", "lang: en}}], tests: questions.yaml")
QUESTIONS = """\
pass: 0%
questions:
  - {ask: stop, expect: a.md, filter: {lang: en}}
  - {ask: start, expect: [b.md, c.md]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was applied, one of whose files cannot be ingested, and files that changed since."""
    home = tmp_path_factory.mktemp("kb")
    (home / "vssync.yaml").write_text(ASKED)
    (home / "questions.yaml").write_text(QUESTIONS)
    for name, text in {"a.md": "# How to stop\n", "b.md": "# How to start\n", "é.md": "déjà vu\n"}.items():
        (home / name).write_text(text, "utf-8")
    git(home, "init", "-q")
    git(home, "commit", "-q", "--allow-empty", "-m", "before all")
    commit(home, 1)
    document(home, "report", "apply", "--yes", "-e", "dev")
    (home / "a.md").write_text("# How to stop at once\n")
    (home / "b.md").unlink()
    return home


def document(folder: Path, kind: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What a command printed, checked against the schema of its kind."""
    end = vssync(folder, *arguments, "--format", "json")
    assert end.code == code, end.err
    printed: dict[str, Any] = json.loads(end.out)
    assert [*printed][:3] == ["format", "kind", "vssync"]
    assert (printed["format"], printed["kind"], printed["vssync"]) == (1, kind, __version__)
    jsonschema.Draft7Validator(SCHEMAS[kind]).validate(printed)
    return printed


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("plan", ("plan", "-e", "dev")),
        ("plan", ("plan", "-e", "prod")),
        ("against", ("plan", "-e", "dev", "--against", "HEAD")),
        ("against", ("plan", "-e", "dev", "--against", "HEAD^", "--at", "HEAD")),
        ("status", ("status", "-e", "dev")),
        ("status", ("status", "-e", "prod")),
        ("status", ("status", "-e", "dev", "docs/a.md")),
        ("status", ("status", "-e", "dev", "docs/b.md")),
        ("status", ("status", "-e", "dev", "docs/é.md")),
        ("batches", ("batches", "-e", "dev")),
        ("search", ("search", "-e", "dev", "stop")),
        ("test", ("test", "-e", "dev")),
        ("test", ("test", "-e", "dev", "docs")),
        ("output", ("output", "-e", "dev")),
        ("diff", ("diff", "dev", "prod")),
        ("diff", ("diff", "dev", "prod", "--desired")),
        ("doctor", ("doctor", "-e", "dev")),
        ("doctor", ("doctor", "-e", "dev", "--probe", "--yes")),
        ("gc", ("gc", "-e", "dev")),
        ("gc", ("gc", "-e", "dev", "--yes")),
        ("validate", ("validate", "-e", "dev")),
        ("report", ("apply", "-e", "prod", "--yes", "--test")),
        ("destroy", ("destroy", "-e", "prod", "--confirm", "shelf/prod")),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_document_fits_the_schema_of_its_kind(folder: Path, kind: str, arguments: tuple[str, ...]) -> None:
    document(folder, kind, *arguments)


def test_a_report_names_the_saved_plan_also_where_it_was_applied_before(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    (tmp_path / "a.md").write_text("# How to stop\n")
    assert vssync(tmp_path, "plan", "-e", "dev", "--out", "plan.json").code == 0
    reports = [document(tmp_path, "report", "apply", "plan.json") for _ in range(2)]
    checksum = json.loads((tmp_path / "plan.json").read_text("utf-8"))["checksum"]
    assert [report["audit"]["plan_digest"] for report in reports] == [checksum] * 2
    assert [len(report["already"]) for report in reports] == [0, 2]


def test_an_invalid_manifest_is_a_document_too(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text("version: 1\nowner: shelf\nstoers: {}\n")
    printed = document(tmp_path, "validate", "validate", code=1)
    assert (printed["valid"], printed["owner"]) == (False, None)
    assert 3 in [problem["line"] for problem in printed["problems"] if "stoers" in problem["message"]]


def test_a_plan_names_its_deletions_to_whoever_asks(folder: Path) -> None:
    printed = document(folder, "plan", "plan", "-e", "dev")
    changes = [change for store in printed["stores"] for change in store["changes"]]
    assert [change["key"] for change in changes if change["action"] == "delete"] == ["b.md"]


def test_text_is_printed_as_it_is(folder: Path) -> None:
    assert "déjà vu" in vssync(folder, "search", "-e", "dev", "déjà vu", "--format", "json").out


def test_orphans_that_are_left_are_a_document_too(folder: Path) -> None:
    assert document(folder, "gc", "gc", "-e", "dev", "--suspected")["deleted"] is None


def test_every_kind_has_a_schema_that_ships_and_is_printed() -> None:
    assert set(KINDS) == set(SCHEMAS)
    for kind, schema in SCHEMAS.items():
        jsonschema.Draft7Validator.check_schema(schema)
        if kind not in ("manifest", "questions", "event"):
            assert schema["properties"]["kind"] == {"const": kind}
            assert schema["required"][:3] == ["format", "kind", "vssync"]
            assert schema["additionalProperties"] is False


def test_the_document_of_a_comparison_holds_that_of_a_plan() -> None:
    plan, against = SCHEMAS["plan"], SCHEMAS["against"]
    assert plan["definitions"].items() <= against["definitions"].items()
    properties = {name: schema for name, schema in plan["properties"].items() if name != "kind"}
    assert properties.items() <= against["properties"].items()
    assert set(plan["required"]) < set(against["required"])


def test_the_document_of_destroy_is_that_of_apply() -> None:
    names = ("$id", "title", "description")
    apply, destroy = (
        {name: value for name, value in SCHEMAS[kind].items() if name not in names} for kind in ("report", "destroy")
    )
    properties = {name: value for name, value in apply["properties"].items() if name != "test"}  # it asks nothing
    assert apply | {"properties": properties | {"kind": {"const": "destroy"}}} == destroy
