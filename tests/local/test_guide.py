"""The guide's page on the local service: every fault in it, every rule and command line of it understood."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from vssync.cli.serve import serve
from vssync.local import DIALECTS, Dialect, dialect, parse
from vssync.local.faults import KINDS

PAGE = (Path(__file__).parents[2] / "examples/quickstart/docs/local-service.md").read_text()
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
