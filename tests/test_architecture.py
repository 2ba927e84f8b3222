"""The layers: imports point up this table only, and each part keeps to its tools."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vssync"
LAYERS = (
    ("errors", "limits"),
    ("text", "providers"),
    ("model", "document"),
    ("manifest", "planner", "planfile", "staleness"),
    ("render",),
    ("endpoints", "sources", "auth", "threads", "journal", "address"),
    ("api",),
    ("applier",),
    ("commands",),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
CORE = {name for names in LAYERS[:5] for name in names}
SHELL_ONLY = {"os", "io", "pathlib", "socket", "subprocess", "threading", "time", "random", "logging", "tempfile"}
ONLY_IN = {
    "oci": {"auth", "commands"},
    "httpx": {"api", "auth", "commands"},
    "click": {"cli"},
    "rich": {"cli"},
    "falcon": set[str](),
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "local" not in path.relative_to(PACKAGE).parts)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported module, dotted, and whether only type checkers see it."""
    typing_only = {
        id(node)
        for block in ast.walk(ast.parse(path.read_text()))
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            named = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "vssync" else [node.module]
            )
            yield from ((name, id(node) in typing_only) for name in named)


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_part_has_a_layer_and_imports_only_upwards(path: Path) -> None:
    own = part(path)
    if own in ("__init__", "__main__"):
        return
    assert own in LEVEL, f"{own} stands in no layer"
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
        assert LEVEL[other] <= LEVEL[own], f"{own} imports {other}, which stands below it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_does_no_io_and_tools_stay_where_they_belong(path: Path) -> None:
    own = part(path)
    for name, _ in imports(path):
        top = name.split(".")[0]
        assert own not in CORE or top not in SHELL_ONLY, f"{own} is core and imports {top}"
        assert top not in ONLY_IN or own in ONLY_IN[top], f"{top} does not belong in {own}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "local").rglob("*.py")), ids=lambda path: path.name)
def test_the_local_service_stands_alone(path: Path) -> None:
    assert not [name for name, _ in imports(path) if name.startswith("vssync") and not name.startswith("vssync.local")]


def test_the_local_service_stays_a_test_double() -> None:
    """It has what vssync calls, and what an application needs to read what vssync loaded."""
    assert sum(len(path.read_text().splitlines()) for path in (PACKAGE / "local").rglob("*.py")) < 4500


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = [call for call in calls if getattr(call.func, "id", "") == "print"]
    assert part(path) == "cli" or not printing
