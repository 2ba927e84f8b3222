"""The first tutorial of the guide is done as a reader does it: its files written, its commands run, its output shown.

A `text` block behind commands is what the last of them prints; `pytest --update-goldens` writes it anew.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.program import program
from tests.support import masked

PAGE = Path(__file__).parents[2] / "examples/quickstart/docs/first-store.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w./-]+\.md)`:\n*$")


def change_things(folder: Path) -> None:
    """The two edits of section 7 that no block of the page makes."""
    refunds = folder / "docs/refunds.md"
    refunds.write_text(refunds.read_text().replace("30 days", "60 days"))
    (folder / "docs/shipping.md").unlink()


def run(command: str, folder: Path) -> str:
    """What a command of ours prints; others make folders."""
    words = shlex.split(command)
    if words[0] != "vssync":
        subprocess.run(command, shell=True, cwd=folder, check=True)
        return ""
    answer = ["--yes"] if words[1:] == ["apply"] else []
    done = subprocess.run(
        [program(), *words[1:], *answer], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_tutorial_works_as_written(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text()
    folder, printed, manifests, shown = tmp_path, "", 0, 0
    for block in BLOCK.finditer(page):
        language, text = block.groups()
        if language == "console":
            for command in text.replace("$ ", "").splitlines():
                if command.startswith("cd "):
                    folder = folder / command.removeprefix("cd ")
                else:
                    printed = run(command, folder)
        elif language == "yaml":
            manifests += 1
            (folder / "vssync.yaml").write_text(text)
            if manifests == 2:
                change_things(folder)
        elif language == "markdown" and (named := NAMED.search(page[: block.start()])):
            (folder / named[1]).write_text(text)
        elif language == "text":
            shown += 1
            if request.config.getoption("--update-goldens"):
                PAGE.write_text(PAGE.read_text().replace(block.group(), f"```text\n{printed}```"))
            else:
                assert stable(text) == stable(printed)
    assert (manifests, shown) == (2, 6)


def stable(text: str) -> str:
    """Without ids, times and commits."""
    return re.sub(r"in [0-9.]+ s\.", "in 0 s.", masked(text))
