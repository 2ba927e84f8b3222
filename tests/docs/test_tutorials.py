"""The tutorials are done as a reader does them: files written, commands run in order, shown output compared.

A `text` block after commands is what the last of them prints, or the end of it; ids differ from run to run.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.docs.test_docs import BLOCK, ROOT
from tests.program import program
from tests.support import masked

GUIDE = ROOT / "examples/quickstart/docs"
TUTORIALS = {
    "take-over-a-store.md": "Step by step",
    "environments.md": "Step by step: a store for each tenant",
    "promotion.md": "Step by step",
    "questions.md": "Step by step",
}
NAMED = re.compile(r"`([\w./-]+\.(?:md|yaml|py))`[^`]*:\n*$")


def run(words: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The local service while a script uses it, as the variables it prints."""
    words = [sys.executable, "-u", "-m", "vssync", "serve", "--port", "0"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout
        variables: dict[str, str] = {}
        while len(variables) < 2:
            if (line := service.stdout.readline().strip()).startswith("export "):
                name, value = line.removeprefix("export ").split("=", 1)
                variables[name] = value
        try:
            yield variables
        finally:
            service.terminate()


def section(page: str, heading: str) -> str:
    """One `##` section of a page of the guide."""
    parts = re.split(r"^## (.+)$", (GUIDE / page).read_text(), flags=re.MULTILINE)
    return parts[parts.index(heading) + 1]


@pytest.mark.parametrize("name", TUTORIALS)
def test_the_tutorial_works_as_written(name: str, tmp_path: Path) -> None:
    page, folder, printed, shown = section(name, TUTORIALS[name]), tmp_path, "", 0
    for block in BLOCK.finditer(page):
        language, text = block.groups()
        if language == "console":
            for command in text.replace("$ ", "").splitlines():
                words = shlex.split(command)
                if words[0] == "cd":
                    folder = folder / words[1]
                else:
                    printed = run([program(), *words[1:]] if words[0] == "vssync" else words, folder)
        elif language == "text":
            shown += 1
            assert masked(printed).strip().endswith(masked(text).strip())
        elif named := NAMED.search(page[: block.start()]) or re.search(
            r"`([\w./-]+\.yaml)`[^`]*\n*$", page[: block.start()]
        ):
            (folder / named[1]).write_text(text)
            if language == "python":
                with served(folder) as variables:
                    run([sys.executable, named[1]], folder, **variables)
    assert shown > 0


def test_the_programs_against_the_local_service_work_as_written(tmp_path: Path) -> None:
    programs = [
        text for language, text in BLOCK.findall((GUIDE / "local-service.md").read_text()) if language == "python"
    ]
    text = "# Refunds\n\nA refund takes a week.\n"
    (tmp_path / "intro.md").write_text(text)
    with served(tmp_path) as variables:
        printed = [run([sys.executable, "-c", code], tmp_path, **variables) for code in programs]
    assert [output.split()[1:] for output in printed] == [["intro.md", *text.split()], []]


def test_every_promise_names_tests_that_exist() -> None:
    """A whole file, or one test of it."""
    page = (GUIDE / "promises.md").read_text()
    promised = re.findall(r"^\| .+ \| (`tests/.+`) \|$", page, re.MULTILINE)
    assert len(promised) > 10
    for named in re.findall(r"`(tests/[^`]+)`", page):
        path, _, test = named.partition("::")
        assert f"def {test or 'test_'}" in (ROOT / path).read_text(), named


@cache
def texts() -> str:
    """Every text the program's source holds, with `{}` for what is filled in."""
    found = []
    for path in (ROOT / "vssync").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\0".join(found)


MESSAGES = re.findall(r"^### (.+)$", section("when-things-go-wrong.md", "Messages"), re.MULTILINE)


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_that_the_guide_explains_is_one_of_the_program(message: str) -> None:
    assert message in texts()
