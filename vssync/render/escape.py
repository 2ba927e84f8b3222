"""Finished output that no CI runner takes for a command."""

from __future__ import annotations

import re


def escape_ci_commands(text: str) -> str:
    """A finished output of which no line is a CI runner's workflow command."""
    return re.sub(r"(?m)^(\s*):(?=:)", r"\1: ", text).replace("##[", "## [")


def escape_ci_commands_json(text: str) -> str:
    """The same for JSON, whose meaning must not change: `#` may be written as an escape inside strings."""
    return text.replace("##[", "\\u0023#[")
