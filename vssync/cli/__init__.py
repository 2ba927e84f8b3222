"""The command line: parse, call one workflow function, render, exit. The only part that prints.

Nothing heavy is imported here, so that `vssync --help` answers at once; each command imports what it needs.
"""

from __future__ import annotations

from vssync.cli.commands import main

__all__ = ["main"]
