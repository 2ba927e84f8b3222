"""`vssync cancel`: cancels a file batch in progress."""

from __future__ import annotations

import click

from vssync.cli.help import verb
from vssync.cli.options import SERVICE, CommandOptions, shared_options
from vssync.cli.session import session_with_progress


@verb
@shared_options(*SERVICE)
@click.argument("batch_id", metavar="ID")
def cancel(options: CommandOptions, batch_id: str) -> None:
    """Cancel a file batch in progress whose files this manifest owns, also while an apply waits for it."""
    from vssync.commands.batches import cancel_batch
    from vssync.render.wording import status_text

    with session_with_progress(options.settings(), hashed=False) as session:
        batch = cancel_batch(session, batch_id)
    click.echo(f"{batch_id}: asked to stop; it is now {status_text(batch)}. Plan again to see what is left.")
