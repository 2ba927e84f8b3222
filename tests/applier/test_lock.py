"""One run at a time: who waits, who is refused, and what a killed process leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vssync.errors import Refused
from vssync.journal import alone

HOLD = """\
import sys
from pathlib import Path
from vssync.journal import alone
with alone(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""
WAIT = """\
import sys
from pathlib import Path
from vssync.journal import alone
with alone(Path(sys.argv[1]), 30, lambda who: print(who, flush=True)):
    print("in")
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its stdin ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "state")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_is_at_work(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    who = rf"locked: process {holder.pid} on {os.uname().nodename}, since 20\d\d-"
    with pytest.raises(Refused, match=who), alone(tmp_path / "state"):
        pass


def test_a_killed_process_holds_no_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with alone(tmp_path / "state"):
        assert (tmp_path / "state" / "holder.json").exists()
    with alone(tmp_path / "state"):
        pass


def test_the_second_waits_as_long_as_it_is_told(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    command = [sys.executable, "-c", WAIT, str(tmp_path / "state")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout
        assert f"process {holder.pid}" in second.stdout.readline()
        assert holder.stdin
        holder.stdin.close()
        assert second.stdout.read() == "in\n"
        assert second.wait() == 0
