"""The layers: imports point up this table only, each part keeps to its tools, and no piece grows past its size."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vssync"
LAYERS = (
    ("errors", "limits"),
    ("text", "providers"),
    ("model", "document"),
    ("manifest", "planner", "planfile", "staleness"),
    ("render",),
    ("files", "endpoints", "sources", "auth", "threads", "journal", "address"),
    ("api",),
    ("applier", "ci"),
    ("commands",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
CORE = {name for names in LAYERS[:5] for name in names}
SHELL_ONLY = {"os", "io", "pathlib", "socket", "subprocess", "threading", "time", "random", "logging", "tempfile"}
ONLY_IN = {
    "oci": {"auth", "commands"},
    "httpx": {"api", "auth", "ci", "commands"},
    "click": {"cli"},
    "jinja2": {"render"},
    "rich": {"cli"},
    "falcon": set[str](),
}
ALL_FILES = sorted(PACKAGE.rglob("*.py"))
LOCAL_FILES = [path for path in ALL_FILES if "local" in path.relative_to(PACKAGE).parts]
FILES = [path for path in ALL_FILES if path not in LOCAL_FILES]
MOST_FILES = 222
# What reads or writes JSON and YAML has to do with values of any form; elsewhere a value has a type.
JSON_EDGE = (
    "api",
    "ci/github.py",
    "ci/gitlab.py",
    "ci/rest.py",
    "commands/dump",
    "document.py",
    "journal/records.py",
    "manifest",
    "planfile.py",
    "render/yaml_writer.py",
    "sources/schemas.py",
)


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported module, dotted, and whether only type checkers see it."""
    typing_only = {
        id(node)
        for block in ast.walk(parsed(path))
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            named = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "vssync" else [node.module]
            )
            yield from ((name, id(node) in typing_only) for name in named)


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_part_has_a_layer_and_imports_only_upwards(path: Path) -> None:
    own = part(path)
    if own in ("__init__", "__main__"):
        return
    assert own in LEVEL, f"{own} is in no layer"
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "vssync" or len(parts) == 1:
            continue
        other = parts[1]
        if other in (own, "__version__"):
            continue
        if other == "local":
            assert own in ("commands", "cli"), "only a session and the command line mount the local service"
            continue
        assert LEVEL[other] <= LEVEL[own], f"{own} imports {other}, which is below it"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_the_core_does_no_io_and_tools_stay_where_they_belong(path: Path) -> None:
    own = part(path)
    for name, _ in imports(path):
        top = name.split(".")[0]
        assert own not in CORE or top not in SHELL_ONLY, f"{own} is core and imports {top}"
        assert top not in ONLY_IN or own in ONLY_IN[top], f"{top} does not belong in {own}"


@pytest.mark.parametrize("path", LOCAL_FILES, ids=relative)
def test_the_local_service_stands_alone(path: Path) -> None:
    assert not [name for name, _ in imports(path) if name.startswith("vssync") and not name.startswith("vssync.local")]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    printing = [call for call in calls if getattr(call.func, "id", "") == "print"]
    assert part(path) == "cli" or not printing


# Sizes and names


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("path", ALL_FILES, ids=relative)
def test_files_and_functions_have_a_readable_size(path: Path) -> None:
    assert lines(path) <= 400
    small_on_purpose = path.name in ("__init__.py", "__main__.py") or part(path) == "cli"
    assert small_on_purpose or lines(path) >= 20, "join it with the module that uses it"
    functions = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef)]
    assert not [node.name for node in functions if node.end_lineno and node.end_lineno - node.lineno >= 60]


def test_files_are_joined_rather_than_added() -> None:
    assert len(ALL_FILES) <= MOST_FILES


def test_the_local_service_stays_a_test_double() -> None:
    """It has what vssync calls, and what an application needs to read what vssync loaded."""
    assert sum(map(lines, LOCAL_FILES)) < 4_500


def test_a_class_name_has_one_meaning() -> None:
    classes = [node.name for path in ALL_FILES for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)]
    assert [name for name, count in Counter(classes).items() if count > 1] == []


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """The functions of a module and the methods of its classes that others may call."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name.endswith("__")):
            yield node


def names_in_annotations(function: ast.FunctionDef) -> set[str]:
    arguments = [node.annotation for node in ast.walk(function.args) if isinstance(node, ast.arg)]
    nodes = [node for part in (*arguments, function.returns) if part for node in ast.walk(part)]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_public_signatures_name_their_types(path: Path) -> None:
    if part(path) == "cli" or relative(path).startswith(JSON_EDGE):
        return
    functions = public_functions(parsed(path).body)
    loose = [function.name for function in functions if "Any" in names_in_annotations(function)]
    assert loose == []
