"""The main commands, and where the others join them. Each builds settings, calls the workflow, renders, and ends."""

from __future__ import annotations

from typing import NoReturn

import click

from vssync import __version__
from vssync.cli import examples, exit_codes, signals, streams
from vssync.cli.apply import apply
from vssync.cli.batches import batches, cancel
from vssync.cli.completion import completion
from vssync.cli.destroy import destroy
from vssync.cli.diff import diff
from vssync.cli.doctor import doctor
from vssync.cli.dump import dump
from vssync.cli.gc import gc
from vssync.cli.init import init
from vssync.cli.output import output
from vssync.cli.plan import plan, show
from vssync.cli.render import render
from vssync.cli.schema import schema
from vssync.cli.search import search
from vssync.cli.serve import serve
from vssync.cli.status import status
from vssync.cli.validate import validate

_HELP = ["-h", "--help"]


@click.group(context_settings={"help_option_names": _HELP, "max_content_width": 100})
@click.version_option(__version__, prog_name="vssync")
def cli() -> None:
    """Manage vector stores from a YAML manifest: plan, review and apply changes."""


JOINING = (
    validate,
    plan,
    apply,
    show,
    init,
    doctor,
    render,
    dump,
    diff,
    output,
    schema,
    completion,
    serve,
    status,
    search,
    batches,
    cancel,
    destroy,
    gc,
)
for command in JOINING:
    cli.add_command(command)


def main() -> NoReturn:
    """The program."""
    streams.open_all()
    signals.signals.listen()
    try:
        code = exit_codes.run(lambda: cli.main(prog_name="vssync", standalone_mode=False))
    except KeyboardInterrupt:  # a second signal, when the first took long to be answered
        code = signals.signals.code()
    exit_codes.leave(code)


for name, known in cli.commands.items():
    known.epilog = examples.epilog(name)
    known.short_help = " ".join((known.help or "").partition("\n\n")[0].split())  # whole: click would cut it
    known.context_settings = {**known.context_settings, "help_option_names": _HELP}  # also when it stands alone
