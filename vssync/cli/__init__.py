"""The command line: parse, call one workflow function, render, exit. The only part that prints.

Nothing heavy is imported here, so that `vssync --help` answers at once; each command imports what it needs.
"""
