"""What an apply offers to go on with: commands that work as they stand, after the first apply, to a person."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.manifest.builders import write_files
from tests.planner.builders import desired_file
from vssync.commands.next_steps import find_question
from vssync.local.app import open_service
from vssync.local.server import serving
from vssync.sources.convert import FileContents

MANIFEST = "version: 1\nowner: shelf\nservice: {SERVICE}\nstores: {docs: {files: [{path: '*.md'}]}}\n"
PAGE = {"a.md": "---\ntitle: x\n---\n# Reset a *password*\n\nOn the page Security.\n"}
ASK = 'vssync search "Reset a password"'


def steps_after(folder: Path, *options: str, **environment: str) -> list[str]:
    """The commands that an apply prints, without what they are for."""
    end = vssync(folder, "apply", "--yes", *options, **environment)
    assert end.code == 0, end.err
    lines = end.out.partition("\nNext  ")[2].splitlines()
    return [line.strip().partition("   ")[0] for line in lines]


def write_manifest(folder: Path, files: dict[str, str], service: str = "provider: local") -> Path:
    return write_files(folder, {**files, "vssync.yaml": MANIFEST.replace("SERVICE", service)})


@pytest.mark.parametrize(
    ("files", "question"),
    [
        (PAGE, "Reset a password"),
        (PAGE | {"README.md": "# All you need\n", "b.md": "# A second page\n"}, "Reset a password"),
        ({"README.md": "# All you need\n"}, "All you need"),
        ({"a.md": "# Intro\n", "b.md": "# How to ask\n"}, "How to ask"),
        ({"a.md": "# Intro\n"}, "Intro"),
        ({"a.md": "# Wie groß ist die Größe?\n"}, "Wie groß ist die Größe?"),
        ({"a.md": "# `rm` $(rm -rf x)\n", "b.md": '# Say "yes"\n', "c.md": "# -n\n", "d.txt": "# A comment\n"}, ""),
        ({}, ""),
    ],
)
def test_a_question_is_a_heading_that_a_shell_leaves_alone(
    tmp_path: Path, files: dict[str, str], question: str
) -> None:
    write_files(tmp_path, files)
    texts = {**files, "gone.md": ""}
    desired = [replace(desired_file(name), sha256=sha256(text.encode()).hexdigest()) for name, text in texts.items()]
    assert find_question(FileContents(tmp_path), desired) == question


@pytest.mark.parametrize(("options", "environment"), [(["-q"], {}), ([], {"CI": "true"}), (["--format", "json"], {})])
def test_only_a_person_is_told(tmp_path: Path, options: list[str], environment: dict[str, str]) -> None:
    assert steps_after(write_manifest(tmp_path, PAGE), *options, **environment) == []


def test_steps_are_told_after_the_first_apply_only(tmp_path: Path) -> None:
    assert steps_after(write_manifest(tmp_path, PAGE)) == [ASK, "vssync serve"]
    assert steps_after(write_manifest(tmp_path, {"b.md": "# Another page\n"})) == []


def test_the_commands_reach_the_same_manifest_and_service(tmp_path: Path) -> None:
    write_manifest(tmp_path / "my kb", PAGE)
    search, serve = steps_after(tmp_path, "-f", "my kb", "--workers", "2")
    assert search == "vssync search -f 'my kb' --workers 2 \"Reset a password\""
    assert serve == "vssync serve --data 'my kb/.vssync/local'"
    assert "a.md" in vssync(tmp_path, *shlex.split(search)[1:]).out


@pytest.mark.parametrize(
    ("remote", "workflow", "step"),
    [
        ("git@github.com:acme/kb.git", "", ["vssync init --ci github"]),
        ("https://me:secret@gitlab.acme.example/kb", "", ["vssync init --ci gitlab"]),
        ("git@github.com:acme/kb.git", ".github/workflows/vssync.yml", []),
        ("https://git.example/kb", "", []),
    ],
)
def test_of_a_hosted_service_ids_and_a_workflow(tmp_path: Path, remote: str, workflow: str, step: list[str]) -> None:
    folder = tmp_path / "kb"
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, "remote", "add", "origin", remote], check=True)
    with open_service(tmp_path / "live") as service, serving(service) as url:
        write_manifest(folder, PAGE | ({workflow: ""} if workflow else {}), f"provider: compatible, data_url: '{url}'")
        assert steps_after(folder) == [ASK, "vssync output --format dotenv", *step]
