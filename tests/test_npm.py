"""What is installed for these tests is the same everywhere, and from wherever npm has its registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("folder", ["editor", "local/node"])
def test_versions_are_locked_and_no_host_is_named(folder: str) -> None:
    locked = json.loads((HERE / folder / "package-lock.json").read_text())["packages"]
    assert locked.pop("")["dependencies"] == json.loads((HERE / folder / "package.json").read_text())["dependencies"]
    assert [name for name, package in locked.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in locked.items() if "resolved" in package] == []
