"""The pages and settings around the code: what they link to and name exists, and their tables are complete."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.docs.test_docs import headings
from tests.test_architecture import LAYERS, PACKAGE
from vssync.cli.main import cli

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
ARCHITECTURE = (GITHUB / "ARCHITECTURE.md").read_text()
PAGES = sorted(GITHUB.glob("*.md"))
FILES = (
    *(
        f".github/{name}.md"
        for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "SECURITY", "pull_request_template")
    ),
    *(f".github/ISSUE_TEMPLATE/{name}.yml" for name in ("bug", "config", "feature", "provider-evidence")),
    *(f".github/workflows/{name}.yml" for name in ("ci", "release")),
    ".github/LICENSE",
    ".pre-commit-config.yaml",
    ".pre-commit-hooks.yaml",
)
LINKS = [
    (page, link)
    for page in PAGES
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    if "://" not in link and link != "#"
]
NAMED = re.compile(r"(?<![\w/.-])(?!vssync/vssync\b)(?:vssync|tests|schemas|examples|\.github|\.ci)/[\w./-]*\w")
PATHS = sorted({(page, path) for page in PAGES for path in NAMED.findall(page.read_text())})


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_there(name: str) -> None:
    assert (ROOT / name).read_text().strip()


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def item_id(value: Any) -> str:
    return value.name if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("page", "link"), LINKS, ids=item_id)
def test_links_lead_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.exists()
    assert not anchor or anchor in headings(target.read_text())


@pytest.mark.parametrize(("page", "path"), PATHS, ids=item_id)
def test_paths_in_the_text_exist(page: Path, path: str) -> None:
    assert (ROOT / path).exists()


def test_there_is_something_to_check() -> None:
    assert {page.name for page, _ in LINKS} >= {"ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
    assert len(PATHS) > len(PAGES)


# The architecture


def table(heading: str) -> list[list[str]]:
    """The cells of the tables under a heading, without the tables' own heads."""
    (part,) = [text for text in re.split(r"^#+ ", ARCHITECTURE, flags=re.MULTILINE) if text.startswith(f"{heading}\n")]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    ruled = {number for number, row in enumerate(cells) if set("".join(row)) <= {"-"}}
    return [row for number, row in enumerate(cells) if number not in ruled and number + 1 not in ruled]


def spans(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", text))


def test_the_layers_are_those_that_are_enforced() -> None:
    rows = [(level, spans(modules)) for level, modules, _ in table("Layers")]
    assert [(level, set(names)) for level, names in rows] == [
        *((str(level), set(names)) for level, names in enumerate(LAYERS)),
        ("apart", {"local"}),
    ]


def test_every_module_is_in_a_layer() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    named = {name for _, modules_of_it, _ in table("Layers") for name in spans(modules_of_it)}
    assert named == modules - {"__init__", "__main__"}


def package_names(requirements: list[str]) -> set[str]:
    packages = {re.split(r"[^\w-]", item, maxsplit=1)[0] for item in requirements}
    return packages - {"vssync"}  # an extra that takes in another one


def test_every_dependency_earns_its_place() -> None:
    """What users install is named exactly; of what is installed for development, nothing is left out."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = pyproject["project"]["optional-dependencies"]
    rows = table("Dependencies")
    assert all(all(row) for row in rows)
    used = {name for row in rows if len(row) == 3 for name in spans(row[0])}
    assert used == package_names(
        [*pyproject["project"]["dependencies"], *extras["oci"], *extras["convert"], *extras["dask"]]
    )
    others = package_names(
        [*pyproject["build-system"]["requires"], *(item for extra in extras.values() for item in extra)]
    )
    assert others - used <= {name for row in rows if len(row) == 2 for name in spans(row[0])}


def test_every_fact_says_how_sure_it_is() -> None:
    levels = {level for level, _ in table("What is known of the services")}
    facts = [row for heading in ("Limits", "Behaviour", "OCI") for row in table(heading)]
    assert len(facts) > len(levels) > 0
    unclear = [fact for fact, sure, source in facts if not source or re.split(r"[ ;]", sure)[0] not in levels]
    assert unclear == []


# The changelog


def test_the_changelog_can_be_released_from() -> None:
    text = (GITHUB / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert [item for item in sections[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", item)] == []
    assert [item for item in sections if f"\n{item.split(' ')[0]}: https://" not in text] == []


# Commands


def commands(page: Path) -> Iterator[str]:
    """Every command in a page's shell blocks."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield from re.split(r" +#", line)[0].strip().split(" && ")


def check_command(line: str) -> None:
    """A program of the checkout, or one that the set-up installs; of our own, also its arguments."""
    program, *arguments = shlex.split(line)
    if program.startswith(".venv/bin/"):
        assert shutil.which(Path(program).name, path=str(Path(sys.executable).parent)), f"{program} is not installed"
    else:
        assert (ROOT / program).stat().st_mode & 0o100, f"{program} cannot be run"
    if program == ".venv/bin/vssync":
        name, *rest = arguments
        cli.commands[name].make_context(name, rest, parent=click.Context(cli))


@pytest.mark.parametrize("line", [*commands(GITHUB / "CONTRIBUTING.md")])
def test_commands_for_contributors_exist(line: str) -> None:
    check_command(line)


HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_run_what_the_set_up_installs(hook: dict[str, Any]) -> None:
    assert hook["entry"].startswith(".venv/bin/")
    check_command(hook["entry"])


def test_every_example_has_a_hook() -> None:
    manifests = sorted((ROOT / "examples").rglob("vssync.yaml"))
    checked = [hook for hook in HOOKS if hook["entry"].startswith(".venv/bin/vssync validate")]
    assert sorted(ROOT / shlex.split(hook["entry"])[3] for hook in checked) == [path.parent for path in manifests]
    for path in manifests:
        assert [hook for hook in checked if re.search(hook["files"], str(path.relative_to(ROOT)))]


# Issue forms

TYPES = {"markdown", "input", "textarea", "dropdown", "checkboxes"}
FORMS = sorted(set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"})


@pytest.mark.parametrize("path", FORMS, ids=item_id)
def test_issue_forms_are_as_github_takes_them(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert set(form) == {"name", "description", "labels", "body"}
    fields = [element for element in form["body"] if element["type"] != "markdown"]
    assert fields
    assert len({element["id"] for element in fields}) == len(fields)
    for element in form["body"]:
        assert element["type"] in TYPES
        assert set(element) <= {"type", "id", "attributes", "validations"}
        assert element["attributes"]["value" if element["type"] == "markdown" else "label"]
        assert element["type"] not in ("dropdown", "checkboxes") or element["attributes"]["options"]


def test_the_bug_form_knows_every_provider() -> None:
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE/bug.yml").read_text())
    (offered,) = [item["attributes"]["options"] for item in form["body"] if item.get("id") == "provider"]
    manifest = yaml.safe_load((ROOT / "schemas/manifest.schema.json").read_text())
    assert offered == manifest["definitions"]["service"]["properties"]["provider"]["enum"]
