"""`vssync batches` and `vssync cancel`: the file batches under way."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, exit_codes
from vssync.cli.options import make_settings, manifest_options, service_options
from vssync.cli.session import json_format_option, lock_or_wait, lock_timeout_option, open_session_or_exit


@click.command()
@manifest_options
@service_options
@json_format_option
@click.argument("store", required=False, shell_complete=completion.stores)
def batches(store: str | None, form: str, **given: Any) -> int:
    """List the file batches in progress, in all stores or in STORE."""
    from vssync.commands.batches import list_batches
    from vssync.render.batches import batches_json, batches_text

    with open_session_or_exit(make_settings(given)) as work:
        rows = list_batches(work, store)
    click.echo(batches_json(rows, work.loaded.desired) if form == "json" else batches_text(rows, work.loaded.desired))
    return exit_codes.DONE


@click.command()
@manifest_options
@service_options
@lock_timeout_option
@click.argument("batch_id", metavar="ID")
def cancel(batch_id: str, lock_timeout: float, **given: Any) -> int:
    """Cancel a file batch in progress whose files this manifest owns."""
    from vssync.commands.batches import cancel_batch

    with open_session_or_exit(make_settings(given)) as work, lock_or_wait(work, lock_timeout) as record:
        status = cancel_batch(work, batch_id, record)
    click.echo(f"{batch_id}: asked to stop; it is now {status.replace('_', ' ')}. Plan again to see what is left.")
    return exit_codes.DONE
