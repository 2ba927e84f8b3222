"""The guide's page on the local service: every fault in it, every rule and command line of it understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vssync.cli.serve import serve
from vssync.local import DIALECTS, dialect, parse
from vssync.local.faults import KINDS

PAGE = (Path(__file__).parents[2] / "examples/quickstart/docs/local-service.md").read_text()
COMMANDS = re.findall(r"^\$ vssync serve ?(.*)$", PAGE, re.MULTILINE)


def test_every_fault_option_and_provider_is_listed() -> None:
    named = set(re.findall(r"^\| `([a-z-]+)", PAGE, re.MULTILINE))
    options = {option for one in serve.params for option in one.opts}
    assert set(KINDS) <= named
    assert set(DIALECTS) <= named
    assert named - set(KINDS) - set(DIALECTS) == options


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_line_is_understood(command: str) -> None:
    for rule in re.findall(r'--fault "?([^ "]+)', command):
        assert parse(rule)
    for provider in re.findall(r"--provider (\S+)", command):
        assert dialect(provider)
