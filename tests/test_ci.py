"""What `.ci/run` says where it cannot do its work: which step failed, and what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("bash", "cp", "dirname", "env", "grep", "mkdir", "mktemp", "rm", "sed", "tee")
PYTHON = """\
case "$*" in
    *version_info*) exit {old} ;;
    *ensurepip*) exit {bare} ;;
    --version) echo "Python 3.10.13" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp pip "$3/bin/pip" ;;
esac
"""
GOOD = PYTHON.format(old=0, bare=0)
SET_UP = "README: set up and run the main job"
CONFLICT = "ERROR: Cannot install vssync because these package versions have conflicting dependencies.\n"
OFFLINE = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError': /simple/click/\n"
NOTHING = "ERROR: No matching distribution found for click"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `.ci/run` reads, and a folder of tools that is all it finds on the path."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "tools").mkdir()
    for tool in TOOLS:
        (tmp_path / "tools" / tool).symlink_to(shutil.which(tool) or tool)
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{text}")
    path.chmod(0o755)


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(checkout / "tools"), "TMPDIR": str(checkout)}
    command = [str(checkout / ".ci/run"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("option", ["", "--newest", "--lowest"])
@pytest.mark.parametrize(
    ("python", "advice"),
    [
        (None, "no python3 on the PATH: install Python 3.11 or newer"),
        (PYTHON.format(old=1, bare=0), "Python 3.10.13 is too old: put Python 3.11 or newer first on the PATH"),
        (PYTHON.format(old=0, bare=1), "no venv module: install it"),
    ],
)
def test_a_python_that_will_not_do(checkout: Path, option: str, python: str | None, advice: str) -> None:
    if python:
        script(checkout / "tools/python3", python)
    done = run(checkout, *option.split())
    assert done.returncode == 1
    assert done.stderr.startswith(".ci/run: failed at: A suitable python3\n")
    assert advice in done.stderr


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        (OFFLINE + "ERROR: Could not find a version (from versions: none)\n" + NOTHING, "look at the network"),
        ("ERROR: Could not find a version (from versions: none)\n" + NOTHING, "look at the network"),
        ("error: Failed to fetch: simple/click/", "look at the network"),
        (CONFLICT + "ERROR: ResolutionImpossible: for help visit", "make .ci/constraints.txt anew"),
        ("ERROR: Could not find a version (from versions: 8.1, 8.2)\n" + NOTHING, "make .ci/constraints.txt anew"),
        ("No solution found when resolving dependencies:", "make .ci/constraints.txt anew"),
        ("ERROR: No space left on device", "this step alone: bash -euo pipefail -c python3 -m venv .venv && "),
    ],
)
def test_an_installation_that_fails(checkout: Path, message: str, advice: str) -> None:
    script(checkout / "tools/python3", GOOD)
    script(checkout / "pip", f'echo "{message}"; exit 1')
    done = run(checkout)
    assert (done.returncode, message in done.stdout) == (1, True)
    assert done.stderr.startswith(f".ci/run: failed at: {SET_UP}\n")
    assert advice in done.stderr


def test_the_first_step_that_fails_is_the_last(checkout: Path) -> None:
    script(checkout / "tools/python3", GOOD)
    script(checkout / "pip", "exit 7")
    assert [line for line in run(checkout).stdout.splitlines() if line.startswith("==")][2:] == [f"== {SET_UP}"]


def test_a_readme_without_its_two_commands(checkout: Path) -> None:
    script(checkout / "tools/python3", GOOD)
    (checkout / "README.md").write_text("python3 -m venv .venv && true\n")
    done = run(checkout)
    assert (done.returncode, "README.md must hold two commands" in done.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [("--new",), ("--newest", "--lowest"), ("newest",)])
def test_wrong_usage(checkout: Path, arguments: tuple[str, ...]) -> None:
    done = run(checkout, *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert ".ci/run --newest" in done.stderr


def test_nothing_is_left_behind(checkout: Path) -> None:
    before = {path.name for path in checkout.iterdir()}
    run(checkout, "--newest")
    assert {path.name for path in checkout.iterdir()} == before


def test_every_set_of_versions_is_tested_with_the_extras_that_tests_need(checkout: Path) -> None:
    """Else their tests would be skipped there. The pins of converter set 1 are exact, so no other version is chosen."""
    installed = re.findall(r"-e '\.\[([a-z,]+)\]'", (checkout / ".ci/run").read_text())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert installed == ["oci,convert,dask,test"] * 3
    assert [pin for pin in extras["convert"] if not re.fullmatch(r"[a-z0-9-]+(\[[a-z,]+\])?==[0-9.]+", pin)] == []
