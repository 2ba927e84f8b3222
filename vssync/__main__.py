"""`python -m vssync` is the program."""

from vssync.cli import main

main()
