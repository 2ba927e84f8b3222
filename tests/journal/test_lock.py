"""One run at a time: who waits, who is refused, and what a killed process leaves."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vssync.cli import process
from vssync.cli.main import cli
from vssync.commands.apply import locked_journal
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.errors import Refused, VssyncError
from vssync.journal.folder import exclusive_lock, lock_holder

HOLD = """\
import sys
from pathlib import Path
from vssync.journal.folder import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""
WAIT = """\
import sys
from pathlib import Path
from vssync.journal.folder import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), 30, lambda who: print(who, flush=True)):
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
    who = rf"locked: process {holder.pid} on {os.uname().nodename} \(since 20\d\d-"
    with pytest.raises(Refused, match=who), exclusive_lock(tmp_path / "state"):
        pass


ODD = [b"", b"{", b"\xff", b"[]", b'{"pid": 1}', b'{"pid": 1, "host": "h", "since": 1e999}', b"[" * 100_000]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_who_holds_it_may_not_be_told(tmp_path: Path, holder: subprocess.Popen[str], text: bytes) -> None:
    (tmp_path / "state" / "holder.json").write_bytes(text)
    with (
        pytest.raises(Refused, match="locked: an unknown process is working on"),
        exclusive_lock(tmp_path / "state"),
    ):
        pass


def test_a_folder_that_takes_no_locks_is_not_called_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some network file systems."""

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    with (
        pytest.raises(VssyncError, match=r"No locks available.*VSSYNC_STATE_DIR") as caught,
        exclusive_lock(tmp_path / "state"),
    ):
        pass
    assert not isinstance(caught.value, Refused)


def test_a_killed_process_holds_no_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with exclusive_lock(tmp_path / "state"):
        assert (tmp_path / "state" / "holder.json").exists()
    with exclusive_lock(tmp_path / "state"):
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


COMMANDS = (
    ["apply", "--yes"],
    ["gc"],
    ["destroy", "--confirm", "locked"],
)


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Another process at work for the manifest of a folder."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "vssync.yaml").write_text("version: 1\nowner: locked\nstores: {docs: {}}\n")
    monkeypatch.chdir(tmp_path / "docs")
    monkeypatch.setenv("VSSYNC_STATE_DIR", str(tmp_path / "state"))
    settings = Settings(manifest=".", environment=os.environ)
    with open_session(settings, load_manifest(settings)) as work, locked_journal(work):
        pass
    (folder,) = (tmp_path / "state").iterdir()
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_that_writes_is_refused_meanwhile(
    at_work: subprocess.Popen[str], command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 3
    assert f"vssync: locked: process {at_work.pid} on {os.uname().nodename} (since 20" in capsys.readouterr().err


@pytest.mark.parametrize("ends", ["well", "killed"])
def test_a_command_waits_as_long_as_it_is_told_and_says_for_whom(
    at_work: subprocess.Popen[str], ends: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one ends as soon as somebody is said to wait for it."""
    said: list[str] = []

    def echo(text: str = "", **how: Any) -> None:
        said.append(text)
        if text.startswith("Waiting for process"):
            assert at_work.stdin
            at_work.kill() if ends == "killed" else at_work.stdin.close()
            at_work.wait()

    monkeypatch.setattr("click.echo", echo)
    assert run(["apply", "--yes", "--lock-timeout", "60"]) == 0
    assert said[0].startswith(f"Waiting for process {at_work.pid} on {os.uname().nodename} (since 20")
    assert "1 store created, 0 failed" in said[-1]


def run(command: list[str]) -> int:
    return process.run_command(lambda: cli.main(command, prog_name="vssync", standalone_mode=False))


def test_who_holds_the_lock_is_told_by_the_lock(tmp_path: Path) -> None:
    """A process of the same id may be another program's."""
    assert lock_holder(tmp_path / "none") == 0
    with exclusive_lock(tmp_path):
        assert lock_holder(tmp_path) == os.getpid()
        for odd in (*ODD[:4], b'{"pid": "x"}', b'{"pid": [7]}', b'{"pid": 1e999}', ODD[-1]):
            (tmp_path / "holder.json").write_bytes(odd)
            assert lock_holder(tmp_path) == 0
    (tmp_path / "holder.json").write_text(json.dumps({"pid": os.getpid()}))
    assert lock_holder(tmp_path) == 0
