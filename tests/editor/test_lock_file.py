"""What is installed for these tests is the same everywhere, and from wherever npm has its registry."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent


def test_versions_are_locked_and_no_host_is_named() -> None:
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert locked.pop("")["dependencies"] == json.loads((HERE / "package.json").read_text())["dependencies"]
    assert [name for name, package in locked.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in locked.items() if "resolved" in package] == []
