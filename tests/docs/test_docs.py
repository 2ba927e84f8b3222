"""The guide cannot drift: its manifests are valid, its reference has every field, its commands and links work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from vssync.cli.main import cli
from vssync.commands.status import trace_files
from vssync.manifest.build import build_manifest, check_document
from vssync.manifest.diagnostics import Documents
from vssync.manifest.yaml_loader import parse_document
from vssync.render.manifest import manifest_yaml
from vssync.sources.load import load_sources
from vssync.sources.schemas import load_schema

ROOT = Path(__file__).parents[2]
GUIDE = sorted((ROOT / "examples/quickstart/docs").rglob("*.md"))
PAGES = [ROOT / "README.md", *GUIDE]
SCHEMA = load_schema("manifest.schema.json")
REFERENCE = (ROOT / "examples/quickstart/docs/manifest-reference.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for tag, text in BLOCK.findall(page.read_text()) if tag == language]


def named(texts: Iterator[tuple[Path, str]]) -> list[Any]:
    """Test parameters with the page's name and a running number."""
    return [pytest.param(text, id=f"{page.stem}-{number}") for number, (page, text) in enumerate(texts)]


YAML = [(page, text) for page in PAGES for text in blocks(page, "yaml")]
MANIFESTS = named((page, text) for page, text in YAML if re.search(r"^version:", text, re.MULTILINE))
INCLUDED = named((page, text) for page, text in YAML if text.startswith("stores:"))
COMMANDS = named(
    (page, line.removeprefix("$ "))
    for page in PAGES
    for text in blocks(page, "console")
    for line in text.splitlines()
    if re.match(r"\$ (\S*/)?vssync\b", line)
)
LINKS = [
    (page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link
]
OWN = re.compile(r"https://github\.com/vssync/vssync/(?:blob|tree)/main/([^)\s]+)")
FILES = [(page, path) for page in PAGES for path in OWN.findall(page.read_text())]


def test_there_is_something_to_check() -> None:
    assert min(len(MANIFESTS), len(INCLUDED), len(COMMANDS), len(LINKS), len(FILES)) > 0


@pytest.mark.parametrize("text", MANIFESTS)
def test_manifests_are_valid_in_every_environment(text: str) -> None:
    document = check_document(parse_document(text, "vssync.yaml"), SCHEMA)
    variables = document.tree.get("variables") or {}
    values = {name: "1" for name, value in variables.items() if isinstance(value, dict) and "default" not in value}
    for env in document.tree.get("environments") or (None,):
        assert build_manifest(Documents(document), SCHEMA, env and env.replace("*", "1"), values).problems == ()


@pytest.mark.parametrize("text", INCLUDED)
def test_included_files_are_valid(text: str) -> None:
    assert check_document(parse_document(text, "more.yaml"), SCHEMA, "included").problems == ()


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_can_be_given(line: str) -> None:
    program, name, *arguments = shlex.split(re.split(r"\s[|>&]", line)[0])
    context = cli.make_context(program, [name, *arguments])
    command = cli.get_command(context, name)
    assert command, f"there is no command {name}"
    command.make_context(name, arguments, parent=click.Context(cli))


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda value: value.name if isinstance(value, Path) else value)
def test_links_lead_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists()
    assert not anchor or anchor in headings(target.read_text())


@pytest.mark.parametrize(("page", "path"), FILES, ids=lambda value: value.name if isinstance(value, Path) else value)
def test_links_to_other_files_of_the_repository_lead_somewhere(page: Path, path: str) -> None:
    assert (ROOT / path).exists()


def headings(text: str) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


DEFINITIONS = SCHEMA["definitions"]
SECTIONS: dict[str, Any] = {
    "The manifest": SCHEMA,
    "`service`": DEFINITIONS["service"],
    "`service.capabilities`": DEFINITIONS["service"]["properties"]["capabilities"],
    "`variables`": DEFINITIONS["variable"],
    "`environments`": DEFINITIONS["environment"],
    "Included files": DEFINITIONS["included"],
    "A store": DEFINITIONS["store"],
    "`expires_after`": DEFINITIONS["store"]["properties"]["expires_after"],
    "`guards`": DEFINITIONS["store"]["properties"]["guards"],
    "A file entry": DEFINITIONS["file"],
    "An override": DEFINITIONS["override"],
    "An attribute": DEFINITIONS["attributes"]["additionalProperties"],
    "`chunking`": DEFINITIONS["chunking"],
}


def schema_nodes(node: Any) -> Iterator[Any]:
    """Every part of the schema that has fields."""
    if isinstance(node, dict):
        if "properties" in node and "title" in node:
            yield node
        for value in node.values():
            yield from schema_nodes(value)


def rows(section: str) -> dict[str, tuple[str, str]]:
    """A section's table: field to default and meaning."""
    text = re.split(r"^## ", REFERENCE, flags=re.MULTILINE)
    (part,) = [part for part in text if part.splitlines()[0] == section]
    cells = re.findall(r"^\| `([^`]+)` \|(.*?)\|(.+)\|$", part, re.MULTILINE)
    return {field: (default.strip(), meaning.strip()) for field, default, meaning in cells}


def test_the_reference_has_every_part_of_the_schema() -> None:
    apart = [DEFINITIONS["defaults"]]
    assert [node["title"] for node in schema_nodes(SCHEMA) if node not in [*SECTIONS.values(), *apart]] == []
    without = set(DEFINITIONS["store"]["properties"]) - set(DEFINITIONS["defaults"]["properties"])
    assert f"but {', '.join(f'`{name}`' for name in sorted(without)[:-1])} and `{max(without)}`." in REFERENCE


@pytest.mark.parametrize("section", SECTIONS)
def test_the_reference_has_every_field_with_its_default(section: str) -> None:
    node, table = SECTIONS[section], rows(section)
    assert set(table) == set(node["properties"])
    required = {*node.get("required", ()), *node.get("else", {}).get("required", ())}
    for field, (default, meaning) in table.items():
        rules = resolved(node["properties"][field])
        assert meaning
        if field in required:
            assert default == "required"
        elif "default" in rules:
            assert yaml.safe_load(default.strip("`")) == rules["default"]
        else:
            assert not default.startswith("`"), f"{field} has no default"


def resolved(rules: Any) -> Any:
    """A field's rules with what its reference says."""
    if "$ref" not in rules:
        return rules
    target: Any = SCHEMA
    for step in rules["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**resolved(target), **rules}


def test_the_rendered_files_of_the_guide_are_what_is_printed(tmp_path: Path) -> None:
    page = ROOT / "examples/quickstart/docs/manifest.md"
    (shown,) = [text for text in blocks(page, "text") if text.startswith("# guide/")]
    complete = next(text for text in blocks(page, "yaml") if "version:" in text)
    (tmp_path / "vssync.yaml").write_text(complete)
    for name in ("docs/guide/a.md", "docs/faq.md", "docs/api/errors.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text\n")
    loaded = load_sources(tmp_path)
    printed = manifest_yaml(loaded.manifest, trace_files(loaded, ("guide/docs/api/errors.md",)))
    assert printed.replace(f"{tmp_path}/", "").endswith(f"\n\n{shown.rstrip()}")
