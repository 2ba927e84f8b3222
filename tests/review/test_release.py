"""A release: the tag, the version and the changelog agree, the bytes can be made again, and rights are where needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.review.runner import ROOT

SCRIPTS = ".github/release"
LINK = "\n[Unreleased]: https://example.com\n"
RELEASED = (
    f"# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-12-24\n\n- New.\n\n## [1.2.2] - 2026-01-01\n\n- Old.\n{LINK}"
)


def run_script(script: str, argument: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script of the release in a checkout, with the Python that has the build backend."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", f"{SCRIPTS}/{script}", argument]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def checkout(folder: Path, changelog: str) -> Path:
    shutil.copytree(ROOT / SCRIPTS, folder / SCRIPTS)
    (folder / "vssync").mkdir()
    (folder / "vssync/__init__.py").write_text('"""A program."""\n\n__version__ = "1.2.3"\n')
    (folder / ".github/CHANGELOG.md").write_text(changelog)
    return folder


def test_a_release_is_told_with_its_changes(tmp_path: Path) -> None:
    done = run_script("check.sh", "v1.2.3", checkout(tmp_path, RELEASED))
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "- New.", "")


@pytest.mark.parametrize(
    ("tag", "changelog", "message"),
    [
        ("v1.2.4", RELEASED, "says version 1.2.3"),
        ("1.2.3", RELEASED, "tag v1.2.3"),
        ("v1.2.3-rc.1", RELEASED, "says version 1.2.3"),
        ("v1.2.3", f"# Changelog\n\n## [Unreleased]\n\n- New.\n{LINK}", "has nothing under"),
        ("v1.2.3", f"## [11.2.3] - 2026-12-24\n\n- New.\n{LINK}", "has nothing under"),
        ("v1.2.3", "## [1x2y3] - 2026-12-24\n\n- New.\n", "has nothing under"),
        ("v1.2.3", RELEASED.replace("- New.\n", ""), "has nothing under"),
        ("v1.2.3", f"## [1.2.3] - 2026-12-24\n\n{LINK}", "has nothing under"),
        ("v1.2.3", "## [1.2.3]\n\n- New.\n", "has nothing under"),
        ("", RELEASED, "the tag is missing"),
    ],
)
def test_a_tag_that_does_not_fit_is_refused(tmp_path: Path, tag: str, changelog: str, message: str) -> None:
    done = run_script("check.sh", tag, checkout(tmp_path, changelog))
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as a repository with one commit."""
    folder = tmp_path_factory.mktemp("release") / "project"
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("vssync", "schemas", "examples", ".github"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    git = ["git", "-c", "user.name=anybody", "-c", "user.email=anybody@example.com", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "All"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.slow  # tests/packaging builds twice in every run
def test_two_builds_are_the_same_bytes(committed: Path, tmp_path: Path) -> None:
    done = run_script("build.sh", str(tmp_path / "dist"), committed)
    assert done.returncode == 0, done.stderr
    built = sorted(path.name for path in (tmp_path / "dist").iterdir())
    assert [name.partition("-")[0] + name[name.rindex(".") :] for name in built] == ["vssync.whl", "vssync.gz"]
    assert all(f"  {name}\n" in done.stdout for name in built)


def test_what_no_commit_holds_is_not_released(committed: Path, tmp_path: Path) -> None:
    stray = committed / "vssync/stray.py"
    stray.write_text("")
    try:
        done = run_script("build.sh", str(tmp_path / "dist"), committed)
    finally:
        stray.unlink()
    assert done.returncode == 1
    assert "The two builds differ" in done.stderr


def test_nothing_old_is_released(committed: Path, tmp_path: Path) -> None:
    done = run_script("build.sh", str(tmp_path), committed)
    assert done.returncode == 1
    assert "exists already" in done.stderr


def workflow(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())
    return loaded


def test_only_what_signs_or_publishes_gets_a_token() -> None:
    release = workflow("release")
    jobs = release["jobs"]
    assert release["permissions"] == {}
    assert {name: set(job["permissions"]) for name, job in jobs.items()} == {
        "ci": {"contents"},
        "build": {"contents"},
        "attest": {"id-token", "attestations"},
        "publish": {"id-token"},
    }
    assert [name for name, job in jobs.items() if "environment" in job] == ["publish"]
    for name in ("attest", "publish"):
        assert [step for step in jobs[name]["steps"] if "run" in step] == []


def test_nothing_is_published_before_it_is_tested_built_and_attested() -> None:
    jobs = workflow("release")["jobs"]
    assert (jobs["publish"]["needs"], set(jobs["attest"]["needs"])) == ("attest", {"ci", "build"})
    assert jobs["ci"]["uses"].endswith("/.github/workflows/ci.yml")


def test_ci_runs_everything_on_each_python_and_system() -> None:
    ci = workflow("ci")
    (job,) = ci["jobs"].values()
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert job["strategy"]["matrix"]["python"][0] == oldest
    assert {each.partition("-")[0] for each in job["strategy"]["matrix"]["system"]} == {"ubuntu", "macos"}
    assert ci["permissions"] == {"contents": "read"}
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert set(ci[True]) == {"push", "pull_request", "workflow_call"}  # YAML 1.1 takes `on` for a boolean
