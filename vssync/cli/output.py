"""`vssync output`: the ids of the stores, for applications."""

from __future__ import annotations

from dataclasses import replace

import click

from vssync.cli.completion import complete_stores
from vssync.cli.help import verb
from vssync.cli.options import ENGINE, SERVICE, CommandOptions, format_option, shared_options
from vssync.cli.session import read_with_progress, session_with_progress
from vssync.errors import VssyncError


@verb
@shared_options(*SERVICE, ENGINE)
@format_option("text", "json", "dotenv", "github", "id")
@click.argument("store", required=False, shell_complete=complete_stores)
def output(options: CommandOptions, store: str | None) -> None:
    """Print the id, name and content digest of every store, or of STORE.

    Stores with equal digests hold the same files, attributes and chunking. If a store cannot be searched, such as one
    that does not exist yet, the others are printed, and the exit code is 1.
    """
    from vssync.commands import output as outputs
    from vssync.commands.plan import make_plan_now, options_of
    from vssync.model.plan import Options

    is_read = options.output_format != "id"  # no other form goes without digests
    with session_with_progress(options.settings(), hashed=is_read) as session:
        make, targets = make_plan_now if is_read else outputs.plan_stores, (store,) if store else ()
        plan = read_with_progress(session, lambda: make(session, Options(targets=targets)))
    plan = replace(plan, options=options_of(session.settings, Options()))  # for commands to type here
    click.echo(getattr(outputs, f"output_{options.output_format}")(plan))
    if problems := outputs.unusable_stores(plan):
        raise VssyncError("\n".join(problems.values()))
