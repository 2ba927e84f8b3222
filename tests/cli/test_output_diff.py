"""`vssync output` and `vssync diff` as their users run them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync

MANIFEST = """\
version: 1
owner: kb
environments: {dev: {}, prod: {stores: {docs: {attributes: {tier: gold}}}}, copy: {}}
stores:
  docs: {name: "docs-${env}", files: [{path: "*.md"}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    (tmp_path / "a.md").write_text("# Stop\nPull the plug.\n")
    return tmp_path


def test_applications_find_their_stores(folder: Path) -> None:
    before = vssync(folder, "output", "-e", "dev")
    assert (before.code, before.out) == (1, "")
    assert "docs: the store does not exist yet; run `vssync apply -e dev` first" in before.err
    asked = vssync(folder, "search", "-f", str(folder), "-e", "dev", "stop")
    assert f"run `vssync apply -f {folder} -e dev` first" in asked.err
    assert vssync(folder, "apply", "--yes", "-e", "dev").code == 0
    told = json.loads(vssync(folder, "output", "-e", "dev", "--format", "json").out)["stores"]["docs"]
    assert vssync(folder, "output", "docs", "--format", "id", "-e", "dev").out == f"{told['id']}\n"
    assert (told["name"], told["current"]) == ("docs-dev", True)
    (folder / "a.md").write_text("changed\n")
    assert "differs from the manifest" in vssync(folder, "output", "-e", "dev").out


def test_two_environments_side_by_side(folder: Path) -> None:
    desired = vssync(folder, "diff", "dev", "prod", "--detailed-exitcode", "--desired")
    assert (desired.code, desired.err) == (2, "")
    assert 'attributes.tier  (none) -> "gold"' in desired.out
    assert desired.out.endswith("Same content: 0 of 1 store.\n")
    live = vssync(folder, "diff", "dev", "copy", "--detailed-exitcode")
    assert (live.code, live.err) == (2, "")
    assert "docs  not live on either side" in live.out
    for env in ("dev", "copy", "prod"):
        assert vssync(folder, "apply", "--yes", "-e", env).code == 0
    end = vssync(folder, "diff", "dev", "copy", "--detailed-exitcode", "--format", "json")
    assert end.code == 0
    assert json.loads(end.out)["stores"]["docs"]["same_content"]
    assert 'attributes.tier  (none) -> "gold"' in vssync(folder, "diff", "dev", "prod").out
    assert vssync(folder, "diff", "dev", "nowhere").code == 1
    assert vssync(folder, "diff", "-e", "dev", "dev", "prod").code == 64


def test_an_apply_that_writes_nothing_and_leaves_something_open_says_so_last(folder: Path) -> None:
    assert vssync(folder, "apply", "--yes", "-e", "dev").code == 0
    text = MANIFEST.replace("docs", "other").replace("stores: {other: {attributes: {tier: gold}}}", "")
    (folder / "vssync.yaml").write_text(text)
    assert vssync(folder, "apply", "--yes", "-e", "dev").code == 4
    left = vssync(folder, "apply", "--yes", "-e", "dev")
    assert left.code == 4
    assert "`removed: delete`, or --allow-store-deletes" in " ".join(left.out.split())
    last = left.out.splitlines()[-1]
    assert re.fullmatch("Apply: 0 added, .*, 1 undeclared store in 0.0 s.", last)
