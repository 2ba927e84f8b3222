"""The schemas are found wherever vssync runs from: a wheel, an editable install, a plain checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIND = (
    "import vssync; from vssync.sources.schemas import schema_text as text; "
    "print(vssync.__file__); [text(f'{name}.schema.json') for name in ('manifest', 'plan', 'report')]"
)


def found_from(path: Path, cwd: Path) -> Path:
    """Which vssync a Python finds with this path, having read every schema of it."""
    run = [sys.executable, "-c", FIND]
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(run, cwd=cwd, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return Path(done.stdout.strip())


def test_from_a_wheel(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert (tmp_path / "site") in found_from(tmp_path / "site", tmp_path).parents
    assert not (tmp_path / "site" / "tests").exists()


def test_from_a_checkout(tmp_path: Path) -> None:
    assert ROOT in found_from(ROOT, tmp_path).parents
