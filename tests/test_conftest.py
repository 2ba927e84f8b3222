"""The guards of conftest.py guard."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

from tests.conftest import NoSleepingInTests, OnlyLoopbackInTests

ROOT = Path(__file__).parent.parent


def test_other_machines_are_out_of_reach() -> None:
    with socket.socket() as line, pytest.raises(OnlyLoopbackInTests):
        line.connect(("192.0.2.1", 80))


def test_nobody_waits() -> None:
    with pytest.raises(NoSleepingInTests):
        time.sleep(1)


@pytest.fixture(scope="module")
def shared() -> dict[str, str]:
    """The variables that the tests of a file begin with."""
    return dict(os.environ)


def test_the_real_home_and_credentials_are_hidden(shared: dict[str, str], own_home: Path) -> None:
    assert Path.home() == own_home
    assert Path(shared["XDG_STATE_HOME"]).parent == own_home.parent
    shaping = ("OPENAI_", "OCI_", "VSSYNC_ENV", "VSSYNC_STATE_DIR", "KUBERNETES_", "COLUMNS", "TERM")
    assert not [name for name in shared if name.startswith(shaping)]
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--no-skips",), 1)])
def test_what_needs_oci_is_skipped_without_it_where_that_is_allowed(
    tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys, pytest\nsys.modules['oci'] = None\n@pytest.mark.oci\ndef test_it(): raise AssertionError\n"
    )
    run = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), *options]
    done = subprocess.run([*run, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "AssertionError" in done.stdout) == (code, False), done.stdout
    assert "pip install" in done.stdout


def test_no_law_is_broken_by_a_slow_machine() -> None:
    assert settings().deadline is None
