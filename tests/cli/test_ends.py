"""What the end of a command prints, where neither the words nor the machine are friendly."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from vssync.cli import process
from vssync.errors import VssyncError


def raising(error: Exception) -> NoReturn:
    raise error


def test_no_message_holds_a_command_of_a_ci_runner(capsys: pytest.CaptureFixture[str]) -> None:
    error = VssyncError("GET /v1/files: 400: no\n::add-mask::x\n  ::error::y ##[error]z")
    assert process.run_command(lambda: raising(error)) == 1
    assert capsys.readouterr().err == "vssync: GET /v1/files: 400: no\n: :add-mask::x\n  : :error::y ## [error]z\n"


def test_the_traceback_of_a_bug_is_kept_whatever_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert process.run_command(lambda: raising(KeyError("half \ud800"))) == process.BUG
    (kept,) = tmp_path.iterdir()
    assert capsys.readouterr().err.endswith(f"The traceback is in {kept}\n")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "raising(KeyError(" in kept.read_text()


def test_the_traceback_of_a_bug_is_printed_where_no_file_can_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda *_, **__: raising(full))
    assert process.run_command(lambda: raising(KeyError("x"))) == process.BUG
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == "vssync: a bug: KeyError: 'x'. The traceback cannot be saved to a file:"
    assert rest[-1] == "KeyError: 'x'"
