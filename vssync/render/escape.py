"""Finished output that no CI runner takes for a command."""

from __future__ import annotations

import re


def escape_ci_commands(text: str) -> str:
    """A finished output of which no line is a CI runner's workflow command."""
    return re.sub(r"(?m)^(\s*):(?=:)", r"\1: ", text).replace("##[", "## [")
