"""The guide's page on the local service: complete, its rules and command lines understood, its programs run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.local.serving import on_a_port
from vssync.cli.serve import serve
from vssync.local.app import Service
from vssync.local.dialects import DIALECTS, Dialect, dialect
from vssync.local.faults.rules import KINDS, parse

PAGE = (Path(__file__).parents[2] / "examples/quickstart/docs/local-service.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ vssync serve ?(.*)$", PAGE, re.MULTILINE)


def test_every_fault_option_provider_and_switch_is_listed() -> None:
    faults_and_options, _, providers = PAGE.partition("## Providers")
    named = set(re.findall(r"^\| `([a-z-]+)", faults_and_options, re.MULTILINE))
    options = {option for one in serve.params for option in one.opts}
    assert named == set(KINDS) | options
    switches = {one.name.replace("_", "-") for one in fields(Dialect)} - {"file-ids", "batch-ids"}
    assert set(re.findall(r"^\| `([a-z0-9-]+)", providers, re.MULTILINE)) == set(DIALECTS) | switches
    assert "`file-ids` and `batch-ids`" in providers


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_line_is_understood(command: str) -> None:
    for rule in re.findall(r'--fault "?([^ "]+)', command):
        assert parse(rule)
    for provider in re.findall(r"--provider (\S+)", command):
        assert dialect(provider)


def test_the_program_that_uses_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., Service], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    Path("intro.md").write_text("How to get a refund.")
    with on_a_port(opened()) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        names: dict[str, Any] = {}
        exec(PROGRAMS[0], names)
        names["client"].close()
    assert re.fullmatch(r"0\.\d+ intro\.md\n", capsys.readouterr().out)


def test_the_program_that_needs_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openai = pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(PROGRAMS[1], names)
    with names["service"], names["client"] as client:
        once = client.with_options(max_retries=0)
        with pytest.raises(openai.InternalServerError, match="This 503 was asked for"):
            once.files.create(file=("a.md", b"text"), purpose="assistants")
        assert once.files.create(file=("a.md", b"text"), purpose="assistants").status == "processed"
