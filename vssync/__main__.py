"""`python -m vssync` is the program."""

from __future__ import annotations

from vssync.cli.main import main

main()
