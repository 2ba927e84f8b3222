"""The program: registers the commands, runs one, and ends with its exit code."""

from __future__ import annotations

from typing import NoReturn

import click

from vssync import __version__
from vssync.cli import exit_codes, signals, streams
from vssync.cli.apply import apply
from vssync.cli.batches import batches
from vssync.cli.cancel import cancel
from vssync.cli.completion import completion
from vssync.cli.destroy import destroy
from vssync.cli.diff import diff
from vssync.cli.doctor import doctor
from vssync.cli.dump import dump
from vssync.cli.gc import gc
from vssync.cli.help import HELP_NAMES
from vssync.cli.init import init
from vssync.cli.output import output
from vssync.cli.plan import plan
from vssync.cli.render import render
from vssync.cli.schema import schema
from vssync.cli.search import search
from vssync.cli.serve import serve
from vssync.cli.show import show
from vssync.cli.status import status
from vssync.cli.validate import validate


@click.group(context_settings={"help_option_names": HELP_NAMES, "max_content_width": 100})
@click.version_option(__version__, prog_name="vssync")
def cli() -> None:
    """Manage vector stores from a YAML manifest: plan, review and apply changes."""


for command in (
    *(apply, batches, cancel, completion, destroy, diff, doctor, dump, gc, init),
    *(output, plan, render, schema, search, serve, show, status, validate),
):
    cli.add_command(command)


def main() -> NoReturn:
    """Runs the program, and ends the process."""
    streams.replace_streams()
    signals.signals.listen()
    try:
        code = exit_codes.run_command(lambda: cli.main(prog_name="vssync", standalone_mode=False))
    except KeyboardInterrupt:  # a second signal, while the first was still being handled
        code = signals.signals.exit_code()
    exit_codes.end_process(code)
