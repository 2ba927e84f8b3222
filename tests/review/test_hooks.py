"""The pre-commit hook runs the command that checks a manifest."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
import pytest
import yaml

from tests.review.runner import ROOT
from vssync.cli.main import cli

HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_the_hook_is_a_command(hook: dict[str, Any]) -> None:
    program, name, *arguments = shlex.split(hook["entry"])
    assert (hook["id"], hook["language"]) == (f"{program}-{name}", "python")
    cli.commands[name].make_context(name, arguments, parent=click.Context(cli))


@pytest.mark.parametrize(
    ("path", "is_one"), [("vssync.yaml", True), ("kb/vssync.yml", True), ("docs/a.md", False), ("myvssync.yaml", False)]
)
def test_it_runs_for_manifests(path: str, is_one: bool) -> None:
    assert bool(re.search(HOOKS[0]["files"], path)) is is_one
