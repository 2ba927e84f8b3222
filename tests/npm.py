"""Installs what tests need of npm's registry, in the versions of a lock file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def install(source: Path, target: Path) -> Path:
    """The `node_modules` of a folder's `package.json`; skips the test where node or npm is missing."""
    npm = shutil.which("npm")
    if not (shutil.which("node") and npm):
        pytest.skip("node and npm are not installed")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, target)
    options = ("--offline=false", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
    command = (npm, "ci", "--prefix", target, "--cache", target / "cache", *options)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return target / "node_modules"
