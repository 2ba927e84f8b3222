"""What becomes of a command whose output nobody takes: it goes on, and its exit code stays true."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import MANIFEST, ended, vssync
from tests.program import STARTED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    (tmp_path / "a.md").write_text("# A\n")
    return tmp_path


@pytest.fixture
def left() -> Iterator[int]:
    """A pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.wide(3)
@pytest.mark.parametrize(("command", "code"), [("plan --detailed-exitcode", 2), ("apply --yes", 0), ("plan --no", 64)])
def test_a_reader_that_leaves_changes_nothing(folder: Path, left: int, command: str, code: int) -> None:
    end = subprocess.run([*STARTED, *command.split()], cwd=folder, stdout=left, stderr=left, check=False, timeout=60)
    assert end.returncode == code
    assert vssync(folder, "plan", "--detailed-exitcode").code == (0 if "apply" in command else 2)


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [
        pytest.param(
            ">/dev/full",
            4,
            "vssync: standard output: cannot be written: No space left on device; make room\n",
            marks=FULL,
        ),
        pytest.param("2>/dev/full", 0, "", marks=FULL),
        pytest.param(
            "--log-file /dev/full",
            0,
            "vssync: /dev/full: the log ends here: [Errno 28] No space left on device\n",
            marks=FULL,
        ),
        ("<&- >&- 2>&-", 0, ""),
    ],
)
def test_only_results_that_are_lost_are_an_error(folder: Path, streams: str, code: int, said: str) -> None:
    end = ended(["sh", "-c", f'exec "$@" {streams}', "sh", *STARTED, "apply", "--yes"], folder)
    assert end.code == code
    assert said in end.err
    assert vssync(folder, "plan", "--detailed-exitcode").code == (2 if code else 0)
