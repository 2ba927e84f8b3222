"""Shells complete what the manifest at hand says, and nothing where it cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from tests.program import program
from vssync.cli.completion import VARIABLE
from vssync.cli.main import cli
from vssync.cli.schema import KINDS

MANIFEST = """\
version: 1
owner: shelf
environments: {dev: {}, prod: {}, pr-*: {}}
stores:
  docs: {files: [{path: "*.md"}]}
  more: {}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("text\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def completed(*words: str) -> list[str]:
    """What a shell offers for the last of these words."""
    kind = get_completion_class("bash")
    assert kind is not None
    return [found.value for found in kind(cli, {}, "vssync", VARIABLE).get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("com", ["completion"]),
        ("plan --det", ["--detailed-exitcode"]),
        ("init --provider a", ["azure"]),
        ("plan -e ", ["dev", "prod"]),
        ("plan -e d", ["dev"]),
        ("plan -e dev -t ", ["docs", "more"]),
        ("plan -e dev -t docs/", ["docs/a.md", "docs/b.md"]),
        ("apply -e dev --replace docs/b", ["docs/b.md"]),
        ("status -e dev mo", ["more"]),
        ("search -e dev -s d", ["docs"]),
        ("render -e dev -t docs/a", ["docs/a.md"]),
        ("plan -t docs/", []),  # no environment was chosen, so nobody knows the files
        ("plan -f nowhere -e ", []),
    ],
)
def test_names_come_from_the_manifest(folder: Path, line: str, offered: list[str]) -> None:
    assert completed(*line.split(" ")) == offered


@pytest.mark.parametrize("broken", ["stores: [", "", "- a\n", "environments: none\n", "\udcff"])
def test_a_broken_manifest_completes_nothing(folder: Path, broken: str) -> None:
    (folder / "vssync.yaml").write_bytes(os.fsencode(broken))
    assert completed("plan", "-e", "") == []
    assert completed("plan", "-t", "") == []


def run(*arguments: str, **environment: str) -> str:
    return subprocess.run(
        [program(), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_the_program(folder: Path, shell: str) -> None:
    assert f"{VARIABLE}={shell}_complete" in run("completion", shell)


@pytest.mark.parametrize(
    ("shell", "current", "answer"),
    [("bash", "3", "plain,prod"), ("zsh", "3", "plain\nprod\n_"), ("fish", "p", "plain,prod")],
)
def test_the_program_answers_as_its_script_asks(folder: Path, shell: str, current: str, answer: str) -> None:
    """As bash, zsh 5.9 and fish 3.6 asked it when they were tried; the script of bash is checked, too."""
    asked = {VARIABLE: f"{shell}_complete", "COMP_WORDS": "vssync plan -e p", "COMP_CWORD": current}
    assert run(**asked).rstrip() == answer
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=run("completion", "bash"), text=True, check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_printed_as_they_ship(kind: str) -> None:
    shipped = Path(__file__).parent.parent.parent / f"schemas/{kind}.schema.json"
    printed = run("schema", kind)
    assert printed == shipped.read_text()
    assert json.loads(printed)["title"]
