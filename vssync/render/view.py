"""How a person wants to see something. It changes what is printed and never what is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """Columns to print in, colour or not, everything or a summary, only the last lines, the manifest's name.

    On a `terminal` totals may take a second line; elsewhere a program may look for them, and they stay one line.
    """

    width: int = 80
    color: bool = False
    terminal: bool = False
    full: bool = False
    quiet: bool = False
    manifest: str = "vssync.yaml"
