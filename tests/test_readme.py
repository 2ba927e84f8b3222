"""The README shows what is really printed, and its commands are the ones that work.

A block after `<!-- prints: COMMAND -->` is that command's output; `pytest --update-goldens` writes them anew. Ids and
times differ from run to run and are not compared.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.program import program
from tests.support import masked

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"<!-- prints: ([^\n]+) -->\n\n?```\w+\n(.*?)```", re.DOTALL)
SET_UP = "python3 -m venv .venv && .venv/bin/pip install -q -c .ci/constraints.txt -e "
COMMANDS = [
    SET_UP + ". && .venv/bin/vssync apply --yes -f examples/quickstart",
    SET_UP + "'.[test]' && .venv/bin/pytest -q -n 2",
]


def same(text: str) -> str:
    """Without what differs from run to run."""
    return re.sub(r"in [0-9.]+ s\.", "in 0 s.", masked(text))


def printed(command: str, folder: Path) -> str:
    words = [word for word in shlex.split(command) if word != "vssync"]
    run = [program(), *words]
    return subprocess.run(run, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout


def test_blocks_are_what_is_printed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".vssync"))
    readme = README.read_text()
    blocks = BLOCK.findall(readme)
    assert len(blocks) == 2
    for what, shown in blocks:
        real = printed(what, tmp_path)
        if request.config.getoption("--update-goldens"):
            README.write_text(README.read_text().replace(shown, real))
        else:
            assert same(shown) == same(real)


def test_the_two_commands_stand_as_they_are_run_in_ci() -> None:
    assert [line for line in README.read_text().splitlines() if line.startswith("python3 -m venv")] == COMMANDS


def test_the_design_table_names_every_layer() -> None:
    from tests.test_architecture import LAYERS

    readme = README.read_text()
    missing = [name for names in LAYERS for name in names if f"`{name}`" not in readme]
    assert missing == []
