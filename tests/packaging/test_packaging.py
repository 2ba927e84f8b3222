"""What is published: the same bytes from every build, all metadata, a README that needs no file beside it.

The schemas, workflows and templates are found wherever vssync runs from: a wheel, an editable install, a plain
checkout.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = (ROOT / ".ci/constraints.txt").read_text().splitlines()
FIND = (
    "import vssync; from vssync.sources.schemas import schema_text, shipped_text; "
    "print(vssync.__file__); [schema_text(f'{name}.schema.json') for name in ('manifest', 'plan', 'report')]; "
    "[shipped_text(f'examples/{path}') for path in ('github/vssync.yml', 'gitlab/vssync.gitlab-ci.yml')]; "
    "from vssync.model.report import Audit; from vssync.model.plan import Plan; from vssync.model.service import "
    "ServiceSpec; from vssync.render.html import plan_html; from vssync.render.layout import View; "
    "plan_html(Plan('kb', ServiceSpec()), View(), Audit())"
)


class Built(NamedTuple):
    """What one build made."""

    wheel: Path
    sdist: Path


def build(source: Path, target: Path) -> Built:
    run = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
    subprocess.run(run, cwd=source, check=True, capture_output=True, timeout=120)
    return Built(*target.glob("*.whl"), *target.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def unpacked(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution's folder."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder, filter="data")
    (built_file,) = folder.iterdir()
    return built_file


@pytest.fixture(scope="module")
def metadata(built: Built) -> Metadata:
    """The wheel's, which is refused where a field is not as the standard says."""
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(name), validate=True)


def found_from(path: Path, cwd: Path) -> Path:
    """Which vssync a Python finds with this path, having read every file that ships with it."""
    run = [sys.executable, "-c", FIND]
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(run, cwd=cwd, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return Path(done.stdout.strip())


def test_from_a_wheel(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert (tmp_path / "site") in found_from(tmp_path / "site", tmp_path).parents
    assert {path.name.partition("-")[0] for path in (tmp_path / "site").iterdir()} == {"vssync"}
    assert (tmp_path / "site/vssync/py.typed").exists()


def test_from_a_checkout(tmp_path: Path) -> None:
    assert ROOT in found_from(ROOT, tmp_path).parents


def test_every_build_makes_the_same_bytes(built: Built, unpacked: Path, tmp_path: Path) -> None:
    for rebuilt in (build(ROOT, tmp_path / "again"), build(unpacked, tmp_path / "from the sdist")):
        assert rebuilt.wheel.read_bytes() == built.wheel.read_bytes()
        assert rebuilt.sdist.read_bytes() == built.sdist.read_bytes()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="these are the files of a source distribution")
def test_a_source_distribution_has_what_the_checkout_has(unpacked: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [name for name in listed.split("\0") if name and not (unpacked / name).exists()] == []


def test_the_licence_comes_along(built: Built, metadata: Metadata) -> None:
    assert (metadata.license_expression, metadata.license_files) == ("MIT", [".github/LICENSE"])
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("licenses/.github/LICENSE"))
        assert archive.read(name) == (ROOT / ".github/LICENSE").read_bytes()


def test_whoever_finds_it_learns_whose_it_is_and_where(metadata: Metadata) -> None:
    assert metadata.author == "the vssync authors"
    assert {*(metadata.project_urls or {})} >= {"Documentation", "Source", "Issues", "Changelog"}
    assert metadata.description_content_type == "text/markdown"
    assert "Typing :: Typed" in (metadata.classifiers or [])


def test_the_readme_needs_no_file_beside_it(metadata: Metadata) -> None:
    links = re.findall(r"(!?)\[[^]]*\]\(([^)\s]+)\)", metadata.description or "")
    assert len(links) == len(re.findall(r"\]\([^)\s]+\)", (ROOT / "README.md").read_text())) > 10
    assert [link for _, link in links if not re.match(r"https://|#", link)] == []
    assert [link for picture, link in links if picture and "/blob/" in link] == []


@pytest.mark.parametrize("extra", ["", *PROJECT["project"]["optional-dependencies"]])
def test_the_constraints_fit(extra: str) -> None:
    project = PROJECT["project"]
    exact = {line.name: line.specifier for line in map(Requirement, (c for c in CONSTRAINTS if not c.startswith("#")))}
    for wanted in map(Requirement, project["optional-dependencies"][extra] if extra else project["dependencies"]):
        (version,) = exact[wanted.name.lower()]
        assert (version.operator, wanted.specifier.contains(version.version)) == ("==", True), wanted


def test_the_constraints_name_no_index_and_how_they_are_made() -> None:
    assert "uv pip compile --universal" in CONSTRAINTS[1]
    assert [line for line in CONSTRAINTS if "/" in line and not line.startswith("#    uv ")] == []


@pytest.mark.parametrize("dependency", [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]])
def test_dependencies_have_a_lower_bound(dependency: str) -> None:
    assert any(part.operator in (">=", "==") for part in Requirement(dependency).specifier)
