"""`vssync batches`: the file batches in progress."""

from __future__ import annotations

import click

from vssync.cli.completion import complete_stores
from vssync.cli.help import verb
from vssync.cli.options import ENGINE, JSON_FORMAT, SERVICE, CommandOptions, shared_options
from vssync.cli.session import session_with_progress


@verb
@shared_options(*SERVICE, ENGINE, JSON_FORMAT)
@click.argument("store", required=False, shell_complete=complete_stores)
def batches(options: CommandOptions, store: str | None) -> None:
    """List the file batches in progress, in all stores or in STORE."""
    from vssync.commands.batches import list_batches
    from vssync.render.batches import batches_json, batches_text

    with session_with_progress(options.settings()) as session:
        rows, are_all = list_batches(session, store)
        show = batches_json if options.output_format == "json" else batches_text
        click.echo(show(rows, session.loaded.desired, are_all=are_all))
