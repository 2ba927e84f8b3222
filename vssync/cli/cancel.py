"""`vssync cancel`: cancels a file batch in progress."""

from __future__ import annotations

import click

from vssync.cli.help import verb
from vssync.cli.options import LOCK_TIMEOUT, SERVICE, CommandOptions, shared_options
from vssync.cli.session import lock_or_wait, session_with_progress


@verb
@shared_options(*SERVICE, LOCK_TIMEOUT)
@click.argument("batch_id", metavar="ID")
def cancel(options: CommandOptions, batch_id: str, lock_timeout: float) -> None:
    """Cancel a file batch in progress whose files this manifest owns."""
    from vssync.commands.batches import cancel_batch

    with session_with_progress(options.settings()) as session, lock_or_wait(session, lock_timeout) as journal:
        status = cancel_batch(session, batch_id, journal)
    click.echo(f"{batch_id}: asked to stop; it is now {status.replace('_', ' ')}. Plan again to see what is left.")
