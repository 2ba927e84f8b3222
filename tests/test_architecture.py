"""The layers: imports point up this table only, each part keeps to its tools, and no piece grows past its size."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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
MOST_FILES = 249
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


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(path)))


def imports(path: Path) -> Iterator[str]:
    """Every imported module, dotted."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from inner if node.module == "vssync" else [node.module]


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_part_has_a_layer_and_imports_only_upwards() -> None:
    assert {part(path) for path in FILES} - {"__init__", "__main__"} <= LEVEL.keys()
    wrong = [
        f"{relative(path)} imports {name}, which is below it"
        for path in FILES
        if part(path) in LEVEL
        for name in imports(path)
        if name.startswith("vssync.") and not may_import(part(path), name.split(".")[1])
    ]
    assert wrong == []


def may_import(own: str, other: str) -> bool:
    """Only a session and the command line mount the local service."""
    if other == "local":
        return own in ("commands", "cli")
    return other in (own, "__version__") or LEVEL[other] <= LEVEL[own]


def test_the_core_does_no_io_and_tools_stay_where_they_belong() -> None:
    uses = [(path, part(path), name.split(".")[0]) for path in FILES for name in imports(path)]
    assert [(relative(path), tool) for path, own, tool in uses if own in CORE and tool in SHELL_ONLY] == []
    assert [(relative(path), tool) for path, own, tool in uses if own not in ONLY_IN.get(tool, {own})] == []


def test_the_local_service_stands_alone() -> None:
    names = {name for path in LOCAL_FILES for name in imports(path) if name.startswith("vssync")}
    assert [name for name in names if not name.startswith("vssync.local")] == []


def test_only_the_command_line_prints() -> None:
    calls = [(path, node) for path in FILES for node in nodes(path) if isinstance(node, ast.Call)]
    printing = {relative(path) for path, call in calls if getattr(call.func, "id", "") == "print"}
    assert {name for name in printing if not name.startswith("cli/")} == set()


# Sizes and names


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_files_and_functions_have_a_readable_size() -> None:
    assert [relative(path) for path in ALL_FILES if lines(path) > 400] == []
    small = [path for path in ALL_FILES if lines(path) < 20 and part(path) != "cli"]
    assert {path.name for path in small} <= {"__init__.py", "__main__.py"}, "join it with the module that uses it"
    functions = [(path, node) for path in ALL_FILES for node in nodes(path) if isinstance(node, ast.FunctionDef)]
    assert [
        f"{relative(path)}: {node.name}"
        for path, node in functions
        if node.end_lineno and node.end_lineno - node.lineno >= 60
    ] == []


def test_files_are_joined_rather_than_added() -> None:
    assert len(ALL_FILES) <= MOST_FILES


def test_the_local_service_stays_a_test_double() -> None:
    """It has what vssync calls, and what an application needs to read what vssync loaded."""
    assert sum(map(lines, LOCAL_FILES)) < 4_500


def test_a_class_name_has_one_meaning() -> None:
    classes = [node.name for path in ALL_FILES for node in nodes(path) if isinstance(node, ast.ClassDef)]
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


def test_public_signatures_name_their_types() -> None:
    strict = [path for path in FILES if part(path) != "cli" and not relative(path).startswith(JSON_EDGE)]
    functions = [(path, function) for path in strict for function in public_functions(parsed(path).body)]
    assert [
        f"{relative(path)}: {function.name}" for path, function in functions if "Any" in names_in_annotations(function)
    ] == []
