"""`vssync render` as its user runs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync

MANIFEST = """\
version: 1
owner: shelf
defaults:
  attributes: {lang: en}
stores:
  docs:
    name: docs-${env}
    files: [{path: "*.md"}]
environments: {dev: {}, prod: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    (tmp_path / "a.md").write_text("a\n")
    return tmp_path


def test_what_is_printed_is_a_manifest_that_prints_itself(folder: Path) -> None:
    first = vssync(folder, "render", "--env", "prod")
    note = "note: this environment has the owner shelf/prod; applied by itself, this manifest has shelf\n"
    assert (first.code, first.err) == (0, note)
    assert "    name: docs-prod\n" in first.out
    (folder / "again.yaml").write_text(first.out)
    assert vssync(folder, "render", "-f", "again.yaml") == replace(first, err="")
    assert not (folder / ".vssync").exists()


def test_files_and_where_each_part_came_from(folder: Path) -> None:
    end = vssync(folder, "render", "--env", "dev", "--files")
    assert "\n# docs/a.md\n" in end.out
    assert "#   attributes.lang  en    vssync.yaml:4:22\n" in end.out
    (folder / "again.yaml").write_text(end.out)
    assert vssync(folder, "validate", "-f", "again.yaml").code == 0


def test_json(folder: Path) -> None:
    end = vssync(folder, "render", "--env", "dev", "--files", "--format", "json")
    (file,) = json.loads(end.out)["x-files"]
    assert (file["address"], file["from"]["attributes.lang"]) == ("docs/a.md", "vssync.yaml:4:22")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["render"], 1, "dev, prod"),
        (["render", "--env", "dev", "--target", "docs"], 64, "--files"),
        (["render", "--env", "dev", "--files", "--target", "shed"], 64, "shed"),
        (["render", "--env", "dev", "--format", "xml"], 64, "xml"),
    ],
)
def test_bad_calls(folder: Path, arguments: list[str], code: int, words: str) -> None:
    end = vssync(folder, *arguments)
    assert (end.code, end.out, words in end.err) == (code, "", True)
